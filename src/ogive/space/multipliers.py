"""Width and depth multipliers: values of a declaration that shrink when a model is built smaller than it is declared.

`scaled(value, "width")` is the value itself wherever an architecture is built in full, so it changes neither decisions nor
identities nor fingerprints. `Architecture.build(multipliers={"width": 0.5})` builds the smaller model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ogive.errors import SpaceError
from ogive.space.declaration import Choice, Derived, Open
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Group, Node, Splice, Table

MULTIPLIERS = ("width", "depth")

_SET: ContextVar[Mapping[str, float]] = ContextVar("multipliers", default={})  # noqa: B039 - never changed in place


@dataclass(frozen=True)
class Scale:
    """Makes a whole number smaller while a model is built with its multiplier; at least 1 is left of what is above 0."""

    multiplier: str

    @property
    def __name__(self) -> str:
        return f"scaled_{self.multiplier}"

    def __call__(self, value: Any) -> Any:
        factor = _SET.get().get(self.multiplier, 1.0)
        if factor == 1.0:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SpaceError(f"scaled({value!r}, {self.multiplier!r}): a multiplier shrinks whole numbers from 0")
        return max(min(value, 1), round(value * factor))


def scaled(value: int | Open, multiplier: str) -> Derived:
    """A number of channels or of layers that is `value`, and less where a model is built with a width or depth multiplier.

    It stands wherever a number may stand: `layer(nn.LazyConv2d, scaled(width, "width"), 3)`,
    `repeat(block, times=scaled(integer(1, 8), "depth"))`.

    Args:
        value: a whole number, a choice of such, or one derived from choices.
        multiplier: "width" or "depth".

    Raises:
        SpaceError: another multiplier, or something that is no number.
    """
    if multiplier not in MULTIPLIERS:
        raise SpaceError(f"scaled(..., {multiplier!r}): the multipliers are {' and '.join(map(repr, MULTIPLIERS))}")
    if not isinstance(value, (Choice, Derived)) and (
        isinstance(value, bool) or not isinstance(value, int) or value < 0
    ):
        raise SpaceError(f"scaled({value!r}, {multiplier!r}): give a whole number from 0, or a choice of such")
    return Derived(Scale(multiplier), (value,))


def multipliers_in(node: Node | None) -> frozenset[str]:
    """The multipliers that something in a tree obeys."""
    match node:
        case Compute(function, operands):
            own = {function.multiplier} if isinstance(function, Scale) else set()
            return frozenset(own).union(*map(multipliers_in, operands))
        case Call(_, _, args, kwargs):
            return frozenset().union(*map(multipliers_in, (*args, *kwargs.values())))
        case Group(_, items):
            return frozenset().union(*map(multipliers_in, items))
        case Table(items) | Choose(_, _, items) | ChooseSome(_, _, items):
            return frozenset().union(*map(multipliers_in, items.values()))
        case Splice(_, times, parts):
            return multipliers_in(times).union(*map(multipliers_in, parts))
    return frozenset()


def check_multipliers(given: Mapping[str, float], known: Set[str]) -> None:
    """See that a space can be built with these multipliers; it has the `known` ones.

    Raises:
        SpaceError: one is unknown, or not above 0 and at most 1.
    """
    for name, factor in given.items():
        if name not in known:
            raise SpaceError(
                f"nothing in this space is scaled by {name!r}; say which numbers it shrinks: og.scaled(value, {name!r})"
            )
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor <= 1:
            raise SpaceError(f"multipliers: {name} is {factor!r}, but must be above 0 and at most 1")


@contextmanager
def multiplied(by: Mapping[str, float]) -> Iterator[None]:
    """Build what is built inside with these multipliers."""
    token = _SET.set(dict(by))
    try:
        yield
    finally:
        _SET.reset(token)
