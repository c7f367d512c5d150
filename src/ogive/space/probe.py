"""Test calls of a space's functions (constraint, canonical form, graph) for many architectures before a search."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ogive.seeds import generator
from ogive.space import moves
from ogive.space.architecture import Architecture
from ogive.space.graph import compute_graph
from ogive.space.space import Space

MAX_TESTED = 2_000
"""Spaces of up to this size are tested with all of their architectures."""
MAX_SECONDS = 1.0
"""In a larger space, more than the requested number of architectures are tested, up to `MAX_TESTED`, for this time."""


def probe_functions(space: Space, samples: int = 200, seed: int = 0) -> int:
    """Call the space's functions for all of its architectures if it has at most `MAX_TESTED`, else for a sample.

    The constraint is called for every architecture, the canonical form and the graph only for those that it allows. A
    sample has at least `samples` architectures, and up to `MAX_TESTED` if they take less than a second. A sample of k
    architectures misses a failure that occurs for one architecture in n with probability (1 - 1/n)^k.

    Args:
        space: the space to test.
        samples: the smallest number of architectures to sample from a large space.
        seed: the seed of the sample.

    Returns:
        The number of architectures that were tested; 0 if the space has none of these functions.

    Raises:
        UserCodeError: a function raised an exception, or returned a value that is not allowed.
    """
    if space.constraint is None and space.canonical is None and space.graph is None:
        return 0
    size, tested = space.size(), 0
    is_small = isinstance(size, int) and size <= MAX_TESTED
    for labels in moves.grid(space.decisions, 1) if is_small else _sample(space, samples, seed):
        architecture = Architecture(space, labels)
        tested += 1
        if space.violation(architecture) is None:
            # Computing the id calls the canonical form.
            _ = architecture.id
            if space.graph is not None:
                compute_graph(space.graph, architecture)
    return tested


def _sample(space: Space, samples: int, seed: int) -> Iterator[moves.Labels]:
    """Yield at least `samples` random architectures, and up to `MAX_TESTED` until the time is over."""
    rng = generator(seed, "probe")
    deadline = time.monotonic() + MAX_SECONDS
    for number in range(max(samples, MAX_TESTED)):
        if number >= samples and time.monotonic() > deadline:
            return
        yield moves.complete(space.decisions, {}, rng.random(len(space.decisions)).tolist())
