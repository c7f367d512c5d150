"""An architecture: one label for every active decision."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ogive.hashing import hash_text
from ogive.space.build import ExampleInput
from ogive.space.domain import Label
from ogive.user_code import call_user_function, make_user_code_error

if TYPE_CHECKING:
    from ogive.space.space import Space

EMPTY: Mapping[str, float] = MappingProxyType({})
_encode = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


class Architecture(Mapping[str, Label]):
    """One label for every active decision of a space; immutable and hashable. A `Space` creates and validates it.

    `architecture["stage0.times"]` is the label of a decision. Iteration yields the active decisions in the order of the
    space's table. `==` compares the labels. Two architectures with equal `id` are the same network, even if labels differ.
    """

    __slots__ = ("__dict__", "_labels", "space")

    def __init__(self, space: Space, labels: dict[str, Label]) -> None:
        self.space = space
        self._labels = labels

    def __getitem__(self, name: str) -> Label:
        return self._labels[name]

    def __contains__(self, name: object) -> bool:
        return name in self._labels

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    # These methods do the same as those inherited from `Mapping`, in a fraction of the time.
    def keys(self) -> KeysView[str]:
        return self._labels.keys()

    def values(self) -> ValuesView[Label]:
        return self._labels.values()

    def items(self) -> ItemsView[str, Label]:
        return self._labels.items()

    def get(self, name: str, default: Any = None) -> Any:
        return self._labels.get(name, default)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._labels == other._labels

    def __hash__(self) -> int:
        return hash(frozenset(self._labels.items()))

    def __repr__(self) -> str:
        return f"Architecture({', '.join(f'{name}={label}' for name, label in self._labels.items())})"

    @cached_property
    def id(self) -> str:
        """A hash of the network, 16 hexadecimal digits, the same in every process.

        The hash is computed from the names and labels of the active decisions in the space's canonical form, so that
        architectures of equal networks have the same hash.

        Raises:
            UserCodeError: the function `canonical` raised an exception, or returned neither an architecture nor a JSON
                value.
        """
        form = self._canonical_form()
        content = sorted(form._labels.items()) if isinstance(form, Architecture) else form
        return hash_text(_encode(content))

    def _canonical_form(self) -> Any:
        """Return the space's canonical form of this architecture: an architecture or a JSON value."""
        function = self.space.canonical
        if function is None:
            return self
        form = call_user_function("canonical form", function, self, about=self)
        if isinstance(form, Architecture):
            return form
        try:
            if form is not None:
                _encode(form)
                return form
        except (TypeError, ValueError, RecursionError):
            pass
        raise make_user_code_error(
            "canonical form", function, f"returned {form!r}", self, remedy="return an architecture or a JSON value"
        )

    def to_json(self) -> dict[str, Label]:
        """Return the labels of the active decisions by name, as JSON. `Space.architecture` reads them."""
        return {name: list(label) if type(label) is tuple else label for name, label in self._labels.items()}

    def build(
        self,
        seed: int | None = None,
        *,
        multipliers: Mapping[str, float] = EMPTY,
        example_input: ExampleInput = None,
    ) -> Any:
        """Build the model: call the factories of all active layers, and initialize lazy layers.

        With a `seed`, the random states of Python, NumPy and PyTorch are set while the model is built and restored
        afterwards, so that the seed determines the initial weights.

        Args:
            seed: the seed of the initial weights; None leaves the random states as they are.
            multipliers: factors for "width" or "depth", each above 0 and at most 1. They reduce the numbers that the space
                declares as `scaled`.
            example_input: an example input that is used in place of that of the space, for inputs of another shape.

        Raises:
            SpaceError: the space was read from a journal and holds no layers, or a multiplier is unknown or out of range.
            Exception: any exception that a factory raises, with a note that gives the position of the layer.
        """
        return self.space.build(self, seed, multipliers=multipliers, example_input=example_input)
