"""A document of text, tables and drawings, written as HTML or Markdown."""
