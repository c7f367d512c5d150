"""Drawings: plots, and architectures layer by layer, as SVG or text."""
