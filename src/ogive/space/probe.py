"""Calls of a space's functions before a search: constraint, canonical form and graph, for many architectures."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ogive.seeds import generator
from ogive.space import moves
from ogive.space.architecture import Architecture
from ogive.space.graph import checked_graph
from ogive.space.space import Space

SMALL = 2_000
"""The largest space of which all architectures are tried."""
SECONDS = 1.0
"""How long more architectures than asked for are drawn from a larger space, up to `SMALL`."""


def probe(space: Space, samples: int = 200, seed: int = 0) -> int:
    """Call the space's functions for all of its architectures where there are at most `SMALL`, else for a sample.

    At least `samples` are drawn, and up to `SMALL` within a second. What fails for one architecture in n escapes k of them
    with probability (1 - 1/n)^k.

    Args:
        space: whose constraint is asked about each architecture, its canonical form and graph about those allowed.
        samples: of a large space.
        seed: of the sample.

    Returns:
        How many architectures were tried; 0 where the space has none of the functions.

    Raises:
        UserCodeError: a function raised, or returned what it must not.
    """
    if space.constraint is None and space.canonical is None and space.graph is None:
        return 0
    size, tried = space.size(), 0
    small = isinstance(size, int) and size <= SMALL
    for choices in moves.grid(space.decisions, 1) if small else _drawn(space, samples, seed):
        architecture = Architecture(space, choices)
        tried += 1
        if space.violation(architecture) is None:
            _ = architecture.id
            if space.graph is not None:
                checked_graph(space.graph, architecture)
    return tried


def _drawn(space: Space, samples: int, seed: int) -> Iterator[moves.Choices]:
    rng = generator(seed, "probe")
    end = time.monotonic() + SECONDS
    for number in range(max(samples, SMALL)):
        if number >= samples and time.monotonic() > end:
            return
        yield moves.complete(space.decisions, {}, rng.random(len(space.decisions)).tolist())
