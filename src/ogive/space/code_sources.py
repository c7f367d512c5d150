"""The functions and classes whose code is part of the identity of a space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ogive.space.build import ExampleInput
from ogive.space.tree import (
    ConstantNode,
    DerivedNode,
    DictNode,
    LayerNode,
    Node,
    OneOfNode,
    RepeatNode,
    SequenceNode,
    SomeOfNode,
)

if TYPE_CHECKING:
    from ogive.space.space import Space

Source = tuple[str, Any]
"""The role of an object, and the object."""


def layer_sources(tree: Node, example_input: ExampleInput) -> list[Source]:
    """Return the objects that a model depends on: factories, their arguments, derived values, and the example input.

    Each object is returned once.
    """
    sources: dict[int, Source] = {id(source[1]): source for source in _collect_sources(tree)}
    if callable(example_input):
        sources[id(example_input)] = ("example input", example_input)
    return list(sources.values())


def rule_sources(space: Space) -> list[Source]:
    """Return those of the functions constraint, canonical form and graph that the space has."""
    rules = ("constraint", space.constraint), ("canonical", space.canonical), ("graph", space.graph)
    return [(role, function) for role, function in rules if function is not None]


def _collect_sources(node: Node) -> Iterator[Source]:
    """Yield (role, object) for every object below `node` that has code."""
    match node:
        case ConstantNode(value) if not isinstance(value, (type(None), bool, int, float, str)):
            yield "argument", value
        case LayerNode(_, factory, args, kwargs):
            yield "layer", factory
            for item in (*args, *kwargs.values()):
                yield from _collect_sources(item)
        case DerivedNode(function, operands):
            yield "derived value", function
            for item in operands:
                yield from _collect_sources(item)
        case OneOfNode(_, _, alternatives) | SomeOfNode(_, _, alternatives):
            for item in alternatives.values():
                yield from _collect_sources(item)
        # The number of repetitions depends on no code of the user: it is a constant, a choice, or `scaled`.
        case SequenceNode(_, items) | RepeatNode(_, _, items):
            for item in items:
                yield from _collect_sources(item)
        case DictNode(items):
            for item in items.values():
                yield from _collect_sources(item)
