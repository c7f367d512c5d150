"""Search spaces: declare a space once, and sample, count, mutate, encode and build its architectures."""

from ogive.space.architecture import Architecture
from ogive.space.count import SizeBounds
from ogive.space.declaration import Choice, Layer, integer, layer, one_of, real, repeat, some_of
from ogive.space.graph import wiring
from ogive.space.multipliers import scaled
from ogive.space.space import Space
from ogive.space.table import Decision

__all__ = [
    "Architecture",
    "Choice",
    "Decision",
    "Layer",
    "SizeBounds",
    "Space",
    "integer",
    "layer",
    "one_of",
    "real",
    "repeat",
    "scaled",
    "some_of",
    "wiring",
]
