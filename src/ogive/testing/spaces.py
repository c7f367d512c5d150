"""Spaces for the conformance suites. None of them needs PyTorch."""

from __future__ import annotations

from typing import Any

from ogive.space import Architecture, Space, integer, layer, one_of, real, repeat, some_of


def part(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Return the arguments. As the factory of a layer, this function needs no PyTorch."""
    return (args, tuple(kwargs.items()))


def tiny() -> Space:
    """Return a space of 8 architectures, with one conditional decision. A strategy can exhaust it."""
    return Space(layer(part, one_of(2, 3, name="a"), one_of(none=0, some=layer(part, one_of(1, 2, 3)), name="b")))


def conditional() -> Space:
    """Return a space of chains with 1 to 4 blocks. Each block has separate decisions."""
    block = layer(part, one_of(16, 32), op=one_of(conv=layer(part, kernel=one_of(3, 5)), pool=layer(part)))
    return Space(layer(part, repeat(lambda i: block, times=integer(1, 4)), width=one_of(8, 16)))


def mixed() -> Space:
    """Return a space with an integer, a real number on a log scale, a subset and a `one_of`, and with a constraint."""

    def not_both_large(architecture: Architecture) -> str | None:
        return "n and rate are both large" if architecture["n"] > 6 and architecture["rate"] > 0.1 else None

    return Space(
        layer(
            part,
            integer(1, 9, name="n"),
            real(0.001, 1.0, log=True, name="rate"),
            some_of((1, 3), "a", "b", "c", "d", name="set"),
            one_of("relu", "gelu", name="act"),
        ),
        constraint=not_both_large,
    )


def large() -> Space:
    """Return a space of 60 decisions, most of them conditional, with about 10^30 architectures."""
    cell = layer(part, *(one_of(off=layer(part), on=layer(part, one_of(1, 2, 3, 4, 5, 6, 7, 8, 9))) for _ in range(3)))
    return Space(layer(part, *(repeat(lambda i: cell, times=2) for _ in range(5))))


SPACES = {"tiny": tiny, "conditional": conditional, "mixed": mixed, "large": large}
