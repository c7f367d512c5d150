"""Draw plots as SVG, and architectures layer by layer as SVG or text."""
