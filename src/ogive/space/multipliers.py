"""Width and depth multipliers: numbers of a declaration that are reduced to build a smaller model.

Without multipliers, `scaled(value, "width")` is `value`, so it changes neither decisions nor ids nor fingerprints.
`Architecture.build(multipliers={"width": 0.5})` builds the smaller model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ogive.errors import SpaceError
from ogive.space.declaration import Choice, DerivedValue, OpenValue
from ogive.space.tree import DerivedNode, DictNode, LayerNode, Node, OneOfNode, RepeatNode, SequenceNode, SomeOfNode

MULTIPLIERS = ("width", "depth")

# Inside `apply_multipliers`, the factor of each multiplier.
_ACTIVE_FACTORS: ContextVar[Mapping[str, float]] = ContextVar("multipliers", default={})  # noqa: B039 - never changed in place


@dataclass(frozen=True)
class Scale:
    """A function that multiplies a whole number by the factor that `apply_multipliers` has set for its multiplier.

    The result is rounded, and is at least 1 if the number is positive. Without a factor, the number is returned.

    Attributes:
        multiplier: "width" or "depth".
    """

    multiplier: str

    @property
    def __name__(self) -> str:
        return f"scaled_{self.multiplier}"

    def __call__(self, value: Any) -> Any:
        factor = _ACTIVE_FACTORS.get().get(self.multiplier, 1.0)
        if factor == 1.0:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise SpaceError(f"scaled({value!r}, {self.multiplier!r}): only whole numbers of at least 0 can be scaled")
        at_least = min(value, 1)  # 0 for the number 0
        return max(at_least, round(value * factor))


def scaled(value: int | OpenValue, multiplier: str) -> DerivedValue:
    """Declare a number of channels or layers that a width or depth multiplier reduces.

    Without a multiplier, the result is `value`. It can be used wherever a number can be used, for example in
    `layer(nn.LazyConv2d, scaled(width, "width"), 3)` or `repeat(block, times=scaled(integer(1, 8), "depth"))`.

    Args:
        value: a whole number, a choice of whole numbers, or a value derived from choices.
        multiplier: "width" or "depth".

    Raises:
        SpaceError: the multiplier is unknown, or `value` is not a whole number.
    """
    if multiplier not in MULTIPLIERS:
        raise SpaceError(f"scaled(..., {multiplier!r}): the multipliers are {' and '.join(map(repr, MULTIPLIERS))}")
    if not isinstance(value, (Choice, DerivedValue)) and (
        isinstance(value, bool) or not isinstance(value, int) or value < 0
    ):
        raise SpaceError(
            f"scaled({value!r}, {multiplier!r}): the value must be a whole number of at least 0, or a choice"
        )
    return DerivedValue(Scale(multiplier), (value,))


def collect_multipliers(node: Node | None) -> frozenset[str]:
    """Return the multipliers that affect at least one value of a tree; none without a tree."""
    match node:
        case DerivedNode(function, operands):
            multipliers = {function.multiplier} if isinstance(function, Scale) else set()
            return frozenset(multipliers).union(*map(collect_multipliers, operands))
        case LayerNode(_, _, args, kwargs):
            return frozenset().union(*map(collect_multipliers, (*args, *kwargs.values())))
        case SequenceNode(_, items):
            return frozenset().union(*map(collect_multipliers, items))
        case DictNode(items) | OneOfNode(_, _, items) | SomeOfNode(_, _, items):
            return frozenset().union(*map(collect_multipliers, items.values()))
        case RepeatNode(_, times, parts):
            return collect_multipliers(times).union(*map(collect_multipliers, parts))
    return frozenset()


def check_multipliers(multipliers: Mapping[str, float], declared_names: Set[str]) -> None:
    """Check the multipliers for a space whose values are scaled by the multipliers in `declared_names`.

    Raises:
        SpaceError: a multiplier is not declared, or is not above 0 and at most 1.
    """
    for name, factor in multipliers.items():
        if name not in declared_names:
            raise SpaceError(
                f"nothing in this space is scaled by {name!r}; declare the numbers that it reduces: "
                f"og.scaled(value, {name!r})"
            )
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor <= 1:
            raise SpaceError(f"multipliers: {name} is {factor!r}, but must be above 0 and at most 1")


@contextmanager
def apply_multipliers(multipliers: Mapping[str, float]) -> Iterator[None]:
    """Apply these multipliers to all models that are built inside the block."""
    token = _ACTIVE_FACTORS.set(dict(multipliers))
    try:
        yield
    finally:
        _ACTIVE_FACTORS.reset(token)
