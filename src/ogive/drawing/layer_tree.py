"""Turn an architecture into a tree of layer boxes, each with its arguments, and with the chosen alternatives marked."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from ogive.space import Architecture
from ogive.space.domain import Label
from ogive.space.tree import (
    ConstantNode,
    DerivedNode,
    DictNode,
    LayerNode,
    Node,
    NumberNode,
    OneOfNode,
    RepeatNode,
    SequenceNode,
    SomeOfNode,
    build_value,
)

MAX_TEXT = 40
"""At most this many characters of a value are shown."""

NO_LAYERS = "decisions and labels, without layers"
"""The note in the drawing of an architecture whose space was read from a journal, which has no layers."""


@dataclass(frozen=True)
class Setting:
    """An argument that is not a layer.

    Attributes:
        name: the argument's name; None for an argument without one.
        text: the value as text.
        chosen: whether the value depends on a decision.
        decision: the names of the decisions that the value depends on, joined by commas; None if there are none.
    """

    name: str | None
    text: str
    chosen: bool = False
    decision: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class LayerBox:
    """A layer. Boxes are equal if they look equal: the names of decisions are not compared.

    Attributes:
        title: the factory's name. For a box around several layers, it is the name of the argument, the label of the
            alternative, or "Architecture".
        name: the name of the argument that the layer is passed as; None where it is not passed by name.
        label: the label of the chosen alternative; None for a layer that every architecture has.
        decision: the decision whose label chose the layer; None for a layer that every architecture has.
        settings: its arguments that are not layers.
        children: its arguments that are layers.
        times: the number of equal consecutive layers that the box shows.
        is_dense_cell: whether the children are the edges of a dense cell: first all edges into node 1, then all into node 2,
            and so on.
    """

    title: str
    name: str | None = None
    label: str | None = None
    decision: str | None = field(default=None, compare=False)
    settings: tuple[Setting, ...] = ()
    children: tuple[LayerBox, ...] = ()
    times: int = 1
    is_dense_cell: bool = False


Part = LayerBox | Setting
"""What an argument, or an item of one, is shown as."""


def layer_tree(architecture: Architecture) -> LayerBox:
    """Return the boxes of an architecture; if its space was read from a journal, a box for each decision."""
    tree = architecture.space.tree
    if tree is None:
        rows = (
            LayerBox(format_value(label), name=format_value(name), label=format_value(label))
            for name, label in architecture.items()
        )
        return LayerBox("Architecture", settings=(Setting(None, NO_LAYERS),), children=tuple(rows))
    parts = _parts(tree, architecture, None)
    if len(parts) == 1 and isinstance(parts[0], LayerBox):
        return parts[0]
    return _enclosing_box("Architecture", parts)


def format_value(value: Any) -> str:
    """Return a value as at most `MAX_TEXT` characters, on one line, without control characters."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, (list, tuple)):
        text = f"[{', '.join(map(format_value, value))}]"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = getattr(value, "__name__", None) or repr(value)
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def _parts(node: Node, labels: Mapping[str, Label], name: str | None) -> list[Part]:
    """Return the parts that show `node`, passed as the argument `name`: one, or several for a list that has layers."""
    match node:
        case ConstantNode(value):
            return [Setting(name, format_value(value))]
        case NumberNode(_, decision):
            return [Setting(name, format_value(labels[decision]), True, decision)]
        case DerivedNode():
            decisions = _decisions(node)
            return [
                Setting(name, format_value(build_value(node, labels)), bool(decisions), ", ".join(decisions) or None)
            ]
        case LayerNode():
            return [_layer_box(node, labels, name)]
        case OneOfNode(_, decision, alternatives):
            label = labels[decision]
            return _chosen_parts(alternatives[label], label, decision, labels, name)
        case SomeOfNode(_, decision, alternatives):
            chosen = labels[decision]
            parts = [p for label in chosen for p in _chosen_parts(alternatives[label], label, decision, labels, None)]
            if any(isinstance(part, LayerBox) for part in parts):
                return [_as_box(part) for part in parts]
            return [Setting(name, f"{{{', '.join(map(format_value, chosen))}}}", True, decision)]
        case SequenceNode(_, items):
            return _merge_parts([p for item in items for p in _parts(item, labels, None)], name)
        case DictNode(items):
            return _merge_parts(
                [p for key, item in items.items() for p in _parts(item, labels, format_value(key))], name
            )
        case RepeatNode(_, times, items):
            repeated = items[: build_value(times, labels)]
            return [part for item in repeated for part in _parts(item, labels, None)]


def _chosen_parts(node: Node, label: Label, decision: str, labels: Mapping[str, Label], name: str | None) -> list[Part]:
    """Return the parts that show the alternative `node`, marked with its label as chosen by `decision`."""
    parts = _parts(node, labels, name)
    if len(parts) == 1 and isinstance(parts[0], LayerBox):
        inner = parts[0]
        return [inner if inner.label else replace(inner, label=format_value(label), decision=decision)]
    if any(isinstance(part, LayerBox) for part in parts):
        return [
            replace(_enclosing_box(format_value(label), parts), name=name, label=format_value(label), decision=decision)
        ]
    return [Setting(name, format_value(label), True, decision)]


def _merge_parts(parts: list[Part], name: str | None) -> list[Part]:
    """Return the items of a list or dict as boxes if a layer is among them, else merged into one setting."""
    if any(isinstance(part, LayerBox) for part in parts):
        return [_as_box(part) for part in parts]
    settings = [part for part in parts if isinstance(part, Setting)]
    text = ", ".join(f"{s.name}={s.text}" if s.name else s.text for s in settings)
    decisions = ", ".join(dict.fromkeys(s.decision for s in settings if s.decision))
    return [Setting(name, f"[{text}]", any(s.chosen for s in settings), decisions or None)]


def _layer_box(call: LayerNode, labels: Mapping[str, Label], name: str | None) -> LayerBox:
    """Return the box of a layer, with a box around each argument that is a list of layers."""
    parameters = _parameter_names(call.factory)
    arguments = [(parameters[i] if i < len(parameters) else None, node) for i, node in enumerate(call.args)]
    arguments += call.kwargs.items()
    parts: list[Part] = []
    arguments_with_layers = 0
    for argument, node in arguments:
        parts += _repeat_settings(node, labels)
        inner = _parts(node, labels, argument)
        has_layers = any(isinstance(part, LayerBox) for part in inner)
        arguments_with_layers += has_layers
        if has_layers and len(inner) > 1 and argument:
            parts.append(_enclosing_box(argument, inner))
        else:
            parts += inner
    box = replace(_enclosing_box(_factory_name(call.factory), parts), name=name)
    # A layer whose only children are one list of layers needs no box around that list.
    if arguments_with_layers == 1 and len(box.children) == 1 and box.children[0].title in parameters:
        box = replace(box, children=box.children[0].children, settings=box.settings + box.children[0].settings)
    return replace(box, is_dense_cell=_is_dense_cell(call.factory))


def _repeat_settings(node: Node, labels: Mapping[str, Label]) -> list[Part]:
    """Return the chosen numbers of repetitions in an argument, as settings of the layer that receives it."""
    items = node.items if isinstance(node, SequenceNode) else (node,)
    decisions = [name for item in items if isinstance(item, RepeatNode) for name in _decisions(item.times)]
    return [Setting(name, format_value(labels[name]), True, name) for name in decisions]


def _enclosing_box(title: str, parts: Sequence[Part]) -> LayerBox:
    """Return a box around `parts`."""
    settings = tuple(part for part in parts if isinstance(part, Setting))
    return LayerBox(
        title, settings=settings, children=collapse_equal([part for part in parts if isinstance(part, LayerBox)])
    )


def _as_box(part: Part) -> LayerBox:
    if isinstance(part, LayerBox):
        return part
    return LayerBox(part.text, name=part.name, label=part.text if part.chosen else None, decision=part.decision)


def collapse_equal(boxes: Sequence[LayerBox]) -> tuple[LayerBox, ...]:
    """Return the boxes with equal consecutive boxes replaced by a single box, whose `times` is their number."""
    groups = groupby(boxes, key=lambda box: replace(box, times=1))
    return tuple(replace(box, times=sum(item.times for item in equal)) for box, equal in groups)


def list_node_inputs(box: LayerBox) -> list[tuple[int, list[tuple[int, LayerBox]]]]:
    """Return (number, inputs) of each node of a dense cell from node 1 on; an input is (source node, operation)."""
    edges = [child for child in box.children for _ in range(child.times)]
    rows, target = [], 1
    while edges:
        rows.append((target, list(enumerate(edges[:target]))))
        edges, target = edges[target:], target + 1
    return rows


def _decisions(node: Node) -> list[str]:
    """Return the names of the decisions that a computed value depends on."""
    if isinstance(node, (OneOfNode, NumberNode)):
        return [node.decision]
    operands = node.operands if isinstance(node, DerivedNode) else ()
    return list(dict.fromkeys(decision for operand in operands for decision in _decisions(operand)))


def _factory_name(factory: Callable[..., Any]) -> str:
    # A functools.partial has the name of its function.
    inner = getattr(factory, "func", factory)
    return format_value(getattr(inner, "__name__", None) or type(inner).__name__)


def _parameter_names(factory: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some callables written in C have no signature
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _is_dense_cell(factory: Callable[..., Any]) -> bool:
    """Return whether a layer is the zoo's dense cell, without importing the zoo, which would load torch."""
    layers = sys.modules.get("ogive.zoo.layers")
    return layers is not None and factory is layers.DenseCell
