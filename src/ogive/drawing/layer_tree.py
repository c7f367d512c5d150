"""From an architecture to boxes: layers within layers, each with its arguments, and which of all that was chosen."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from ogive.space import Architecture
from ogive.space.domain import Label
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value, realise

MAX_TEXT = 40
"""Characters of a value that are shown."""

NO_LAYERS = "the space was read from a journal, without layers (--trust loads them): its decisions and their labels"


@dataclass(frozen=True)
class Setting:
    """A plain argument. `decision` is the open choice behind it, "" where there is none."""

    name: str
    text: str
    chosen: bool = False
    decision: str = field(default="", compare=False)


@dataclass(frozen=True)
class LayerBox:
    """A layer. Boxes are equal when they look equal: the names of decisions do not count.

    Attributes:
        title: the factory's name.
        name: of the argument that it is given as, where that has one.
        label: of the alternative, where this layer was chosen; "" where it is always there.
        decision: what chose it.
        times: how often it stands here in a row.
        dense: its children are the edges of a dense cell, all into node 1, then all into node 2 ...
    """

    title: str
    name: str = ""
    label: str = ""
    decision: str = field(default="", compare=False)
    settings: tuple[Setting, ...] = ()
    children: tuple[LayerBox, ...] = ()
    times: int = 1
    dense: bool = False


Part = LayerBox | Setting


def layer_tree(architecture: Architecture) -> LayerBox:
    """The boxes of an architecture; a table of its decisions where its space was read from a journal."""
    tree = architecture.space.tree
    if tree is None:
        rows = (LayerBox(plain(label), plain(name), plain(label)) for name, label in architecture.items())
        return LayerBox("Architecture", settings=(Setting("", NO_LAYERS),), children=tuple(rows))
    parts = _parts(tree, architecture, "")
    if len(parts) == 1 and isinstance(parts[0], LayerBox):
        return parts[0]
    return _holding("Architecture", parts)


def has_layers(architecture: Architecture) -> bool:
    """Whether `sketch` can show layers."""
    return architecture.space.tree is not None


def plain(value: Any) -> str:
    """A value in few words, on one line, without control characters."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, (list, tuple)):
        text = f"[{', '.join(map(plain, value))}]"
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = getattr(value, "__name__", None) or repr(value)
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def _parts(node: Node, choices: Mapping[str, Label], name: str) -> list[Part]:
    """What `node` is drawn as, given as the argument `name`: one part, or several for a list with layers in it."""
    match node:
        case Constant(value):
            return [Setting(name, plain(value))]
        case Value(_, decision):
            return [Setting(name, plain(choices[decision]), True, decision)]
        case Compute():
            decisions = _decisions(node)
            return [Setting(name, plain(realise(node, choices)), bool(decisions), ", ".join(decisions))]
        case Call():
            return [_layer(node, choices, name)]
        case Choose(_, decision, alternatives):
            return _chosen(alternatives[choices[decision]], choices[decision], decision, choices, name)
        case ChooseSome(_, decision, alternatives):
            labels = choices[decision]
            some = [p for label in labels for p in _chosen(alternatives[label], label, decision, choices, "")]
            if any(isinstance(part, LayerBox) for part in some):
                return [_as_box(part) for part in some]
            return [Setting(name, f"{{{', '.join(map(plain, labels))}}}", True, decision)]
        case Group(_, items):
            return _several([p for item in items for p in _parts(item, choices, "")], name)
        case Table(items):
            return _several([p for key, item in items.items() for p in _parts(item, choices, plain(key))], name)
        case Splice(_, times, items):
            kept = items[: realise(times, choices)]
            return [part for item in kept for part in _parts(item, choices, "")]


def _chosen(node: Node, label: Label, decision: str, choices: Mapping[str, Label], name: str) -> list[Part]:
    """The alternative `node`, marked as chosen by its label."""
    parts = _parts(node, choices, name)
    if len(parts) == 1 and isinstance(parts[0], LayerBox):
        inner = parts[0]
        return [inner if inner.label else replace(inner, label=plain(label), decision=decision)]
    if any(isinstance(part, LayerBox) for part in parts):
        return [replace(_holding(plain(label), parts), name=name, label=plain(label), decision=decision)]
    return [Setting(name, plain(label), True, decision)]


def _several(parts: list[Part], name: str) -> list[Part]:
    """The items of a list or dict: as they are where layers are among them, else one setting."""
    if any(isinstance(part, LayerBox) for part in parts):
        return [_as_box(part) for part in parts]
    settings = [part for part in parts if isinstance(part, Setting)]
    text = ", ".join(f"{s.name}={s.text}" if s.name else s.text for s in settings)
    decisions = ", ".join(dict.fromkeys(s.decision for s in settings if s.decision))
    return [Setting(name, f"[{text}]", any(s.chosen for s in settings), decisions)]


def _layer(call: Call, choices: Mapping[str, Label], name: str) -> LayerBox:
    names = _parameter_names(call.factory)
    given = [(names[i] if i < len(names) else "", arg) for i, arg in enumerate(call.args)]
    given += call.kwargs.items()
    parts: list[Part] = []
    holders = 0
    for argument, node in given:
        parts += _counts(node, choices)
        inner = _parts(node, choices, argument)
        boxes = any(isinstance(part, LayerBox) for part in inner)
        holders += boxes
        if boxes and len(inner) > 1 and argument:
            parts.append(replace(_holding(argument, inner), name=""))
        else:
            parts += inner
    box = replace(_holding(_name(call.factory), parts), name=name)
    if holders == 1 and len(box.children) == 1 and box.children[0].title in names:  # a single list: no box around it
        box = replace(box, children=box.children[0].children, settings=box.settings + box.children[0].settings)
    return replace(box, dense=_is_dense(call.factory))


def _counts(node: Node, choices: Mapping[str, Label]) -> list[Part]:
    """The open numbers of repetitions in an argument, as settings of the layer that it is given to."""
    items = node.items if isinstance(node, Group) else (node,)
    decisions = [name for item in items if isinstance(item, Splice) for name in _decisions(item.times)]
    return [Setting(name, plain(choices[name]), True, name) for name in decisions]


def _holding(title: str, parts: Sequence[Part]) -> LayerBox:
    settings = tuple(part for part in parts if isinstance(part, Setting))
    return LayerBox(
        title, settings=settings, children=collapsed([part for part in parts if isinstance(part, LayerBox)])
    )


def _as_box(part: Part) -> LayerBox:
    if isinstance(part, LayerBox):
        return part
    return LayerBox(part.text, name=part.name, label=part.text if part.chosen else "", decision=part.decision)


def collapsed(boxes: Sequence[LayerBox]) -> tuple[LayerBox, ...]:
    """Boxes that stand in a row and look equal as one box with `times`."""
    rows = (
        (box, sum(item.times for item in same)) for box, same in groupby(boxes, key=lambda box: replace(box, times=1))
    )
    return tuple(replace(box, times=times) for box, times in rows)


def dense_rows(box: LayerBox) -> list[tuple[int, list[tuple[int, LayerBox]]]]:
    """For each node of a dense cell from 1: its inputs as (source node, operation)."""
    edges = [child for child in box.children for _ in range(child.times)]
    rows, target = [], 1
    while edges:
        rows.append((target, list(enumerate(edges[:target]))))
        edges, target = edges[target:], target + 1
    return rows


def _decisions(node: Node) -> list[str]:
    """The decisions that a derived value comes from."""
    if isinstance(node, (Choose, Value)):
        return [node.decision]
    operands = node.operands if isinstance(node, Compute) else ()
    return list(dict.fromkeys(decision for operand in operands for decision in _decisions(operand)))


def _name(factory: Callable[..., Any]) -> str:
    inner = getattr(factory, "func", factory)  # of a functools.partial
    return plain(getattr(inner, "__name__", None) or type(inner).__name__)


def _parameter_names(factory: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some callables written in C do not tell
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _is_dense(factory: Callable[..., Any]) -> bool:
    """Whether a layer is the zoo's dense cell; asked without importing it, which would load torch."""
    layers = sys.modules.get("ogive.zoo.layers")
    return layers is not None and factory is layers.DenseCell
