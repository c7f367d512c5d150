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
from ogive.user_code import call, fault

if TYPE_CHECKING:
    from ogive.space.space import Space

EMPTY: Mapping[str, float] = MappingProxyType({})
_encode = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


class Architecture(Mapping[str, Label]):
    """One label for every active decision of a space; immutable and hashable. Made by a `Space`, which validates it.

    `architecture["stage0.times"]` is the label of a decision; iteration goes through the active decisions in the order
    of the space's table. Equality compares the labels; `id` says whether two are the same network.
    """

    __slots__ = ("__dict__", "_choices", "space")

    def __init__(self, space: Space, choices: dict[str, Label]) -> None:
        self.space = space
        self._choices = choices

    def __getitem__(self, name: str) -> Label:
        return self._choices[name]

    def __contains__(self, name: object) -> bool:
        return name in self._choices

    def __iter__(self) -> Iterator[str]:
        return iter(self._choices)

    def __len__(self) -> int:
        return len(self._choices)

    # what `Mapping` would make of the above, in a fraction of the time
    def keys(self) -> KeysView[str]:
        return self._choices.keys()

    def values(self) -> ValuesView[Label]:
        return self._choices.values()

    def items(self) -> ItemsView[str, Label]:
        return self._choices.items()

    def get(self, name: str, default: Any = None) -> Any:
        return self._choices.get(name, default)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._choices == other._choices

    def __hash__(self) -> int:
        return hash(frozenset(self._choices.items()))

    def __repr__(self) -> str:
        return f"Architecture({', '.join(f'{name}={label}' for name, label in self._choices.items())})"

    @cached_property
    def id(self) -> str:
        """Identity as 16 hexadecimal digits, equal in every process: the names and labels of the active decisions,
        after the space's canonical form, so that two architectures that are the same network share it.

        Raises:
            UserCodeError: the canonical form raised, or returned neither an architecture nor a JSON value.
        """
        form = self._canonical()
        identity = sorted(form._choices.items()) if isinstance(form, Architecture) else form
        return hash_text(_encode(identity))

    def _canonical(self) -> Any:
        """The space's canonical form of this architecture: an architecture or a JSON value."""
        function = self.space.canonical
        if function is None:
            return self
        form = call("canonical form", function, self, about=self)
        if isinstance(form, Architecture):
            return form
        try:
            if form is not None:
                _encode(form)
                return form
        except (TypeError, ValueError, RecursionError):
            pass
        raise fault(
            "canonical form", function, f"returned {form!r}", self, remedy="return an architecture or a JSON value"
        )

    def to_json(self) -> dict[str, Label]:
        """Names and labels, as `Space.architecture` reads them."""
        return {name: list(label) if type(label) is tuple else label for name, label in self._choices.items()}

    def build(
        self,
        seed: int | None = None,
        *,
        multipliers: Mapping[str, float] = EMPTY,
        example_input: ExampleInput = None,
    ) -> Any:
        """The model: every factory on the way is called afresh, and lazy layers are materialised.

        With a `seed`, PyTorch's random state is set for the time of building and put back afterwards, so that the initial
        weights are a function of it.

        Args:
            seed: of the initial weights; None leaves PyTorch's random state alone.
            multipliers: "width" or "depth", each above 0 and at most 1, to shrink what the space declares as `scaled`.
            example_input: as that of the space, where lazy layers are to be made for another one.

        Raises:
            SpaceError: the space was read from a journal and holds no layers, or a multiplier is unknown or out of range.
            Exception: whatever a factory raises, with a note that names the layer's place.
        """
        return self.space.build(self, seed, multipliers=multipliers, example_input=example_input)
