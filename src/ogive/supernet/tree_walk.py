"""Building the relaxed expression: a walk over the compiled tree of a space."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from ogive.errors import SpaceError
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
)
from ogive.supernet.mixture import Mixture, RelaxedDecision

_NO_LABELS: Mapping[str, Label] = MappingProxyType({})


def relax_tree(
    node: Node, decisions: dict[str, RelaxedDecision], enclosing_labels: Mapping[str, Label] = _NO_LABELS
) -> Any:
    """Build the value of `node`, with a mixture for each choice between layers.

    Args:
        node: a node of the compiled tree.
        decisions: the relaxed decisions by name; the walk adds those that it meets for the first time.
        enclosing_labels: the labels of the alternatives that contain this node, by the name of their decision.

    Raises:
        SpaceError: the node is a choice between values, or a repeat with an open number of times.
    """
    match node:
        case ConstantNode(value):
            return value
        case LayerNode(path, factory, args, kwargs):
            values = _relax_items(args, decisions, enclosing_labels)
            keywords = {name: relax_tree(value, decisions, enclosing_labels) for name, value in kwargs.items()}
            try:
                return factory(*values, **keywords)
            except Exception as error:
                error.add_note(f"while relaxing the layer at {path or 'the root'!r} of the space")
                raise
        case SequenceNode(kind, items):
            return kind(_relax_items(items, decisions, enclosing_labels))
        case DictNode(items):
            return {name: relax_tree(value, decisions, enclosing_labels) for name, value in items.items()}
        # This choice is inside an alternative of the same decision, so only one label is possible here.
        case OneOfNode(_, decision, alternatives) if decision in enclosing_labels:
            return relax_tree(alternatives[enclosing_labels[decision]], decisions, enclosing_labels)
        # The relaxation of DARTS (section 2.2): instead of one alternative, a mixture of all of them.
        case OneOfNode():
            return _build_mixture(node, decisions, enclosing_labels)
        # Values cannot be mixed: a layer of width 12 is not a weighted sum of layers with the widths 8 and 16.
        case NumberNode(path, decision) | SomeOfNode(path, decision, _):
            raise _make_value_error(decision, path)
        case DerivedNode(function, operands):
            return function(*(relax_tree(operand, decisions, enclosing_labels) for operand in operands))
        # Here the repeat is not an element of a list or of positional arguments, but for example a keyword argument. Its
        # value is a list.
        case RepeatNode():
            return _relax_items((node,), decisions, enclosing_labels)


def _relax_items(
    items: tuple[Node, ...], decisions: dict[str, RelaxedDecision], enclosing_labels: Mapping[str, Label]
) -> list[Any]:
    """Build the values of `items` in order, with the layers of a repeat as separate elements of the list."""
    values: list[Any] = []
    for item in items:
        if isinstance(item, RepeatNode):
            times = _compute_repeats(item, enclosing_labels)
            values.extend(_relax_items(item.items[:times], decisions, enclosing_labels))
        else:
            values.append(relax_tree(item, decisions, enclosing_labels))
    return values


def _compute_repeats(node: RepeatNode, enclosing_labels: Mapping[str, Label]) -> int:
    """Return the number of times of a repeat.

    Raises:
        SpaceError: the number of times is a decision that the enclosing alternatives do not determine.
    """
    match node.times:
        case ConstantNode(times):
            return int(times)
        case OneOfNode(_, decision, alternatives) if decision in enclosing_labels:
            return _compute_repeats(
                RepeatNode(node.path, alternatives[enclosing_labels[decision]], node.items), enclosing_labels
            )
        # The number is scaled by a depth multiplier. A supernet is built at full size, so the multiplier is ignored.
        case DerivedNode(_, (number,)):
            return _compute_repeats(RepeatNode(node.path, number, node.items), enclosing_labels)
        case OneOfNode(_, decision, _) | NumberNode(_, decision):
            raise SpaceError(
                f"the repeat at {node.path!r} has an open number of times, the decision {decision!r}: a supernet needs an "
                "elastic layer for it, which skips the layers beyond the chosen depth; declare a choice between the layer "
                "and nn.Identity at each position instead, or train each architecture of this space separately"
            )
    raise AssertionError(node.times)  # the compiler creates no other kinds of `times`


def _build_mixture(
    node: OneOfNode, decisions: dict[str, RelaxedDecision], enclosing_labels: Mapping[str, Label]
) -> Mixture:
    """Return the mixture of all alternatives of a choice.

    Raises:
        SpaceError: an alternative is not a layer.
    """
    modules: dict[Label, nn.Module] = {}
    for label, alternative in node.alternatives.items():
        # Choices inside the alternative become mixtures inside of it, except further occurrences of the same decision.
        module = relax_tree(alternative, decisions, {**enclosing_labels, node.decision: label})
        if not isinstance(module, nn.Module):
            raise _make_alternative_error(node, label, module)
        modules[label] = module
    # All positions of a decision share its architecture parameters, as all normal cells of DARTS share theirs.
    if node.decision not in decisions:
        decisions[node.decision] = RelaxedDecision(node.decision, tuple(node.alternatives))
    return Mixture(decisions[node.decision], node.path, modules)


def _make_alternative_error(node: OneOfNode, label: Label, value: Any) -> SpaceError:
    """Return the error for an alternative that is not a layer."""
    if all(isinstance(alternative, ConstantNode) for alternative in node.alternatives.values()):
        return _make_value_error(node.decision, node.path)
    return SpaceError(
        f"the alternative {label!r} of the decision {node.decision!r} at {node.path!r} is {value!r}, but a supernet can mix "
        "layers only: use layer(nn.Identity) for a layer that returns its input"
    )


def _make_value_error(decision: str, path: str) -> SpaceError:
    """Return the error for a choice between values."""
    return SpaceError(
        f"the decision {decision!r} at {path!r} chooses between values, not between layers: a supernet needs an "
        "elastic layer for it, which uses a part of its largest weights; declare a choice between layers, or train each "
        "architecture of this space separately"
    )
