"""A document made of blocks, written as HTML or Markdown."""
