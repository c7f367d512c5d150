"""Building the relaxed expression: a walk over the compiled tree of a space."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from ogive.errors import SpaceError
from ogive.space.domain import Label
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value
from ogive.supernet.mixture import Mixture, RelaxedDecision

NO_LABELS: Mapping[str, Label] = MappingProxyType({})


def relax_tree(node: Node, decisions: dict[str, RelaxedDecision], enclosing: Mapping[str, Label] = NO_LABELS) -> Any:
    """Evaluate `node`, with a mixture for each choice between layers.

    Args:
        node: a node of the compiled tree.
        decisions: the relaxed decisions by name; new ones are added.
        enclosing: the labels of the alternatives that contain this node, by decision.

    Raises:
        SpaceError: the node is a choice between values, or a repeat with an open number of times.
    """
    match node:
        case Constant(value):
            return value
        case Call(path, factory, args, kwargs):
            values = _relax_items(args, decisions, enclosing)
            keywords = {name: relax_tree(value, decisions, enclosing) for name, value in kwargs.items()}
            try:
                return factory(*values, **keywords)
            except Exception as error:
                error.add_note(f"while relaxing the layer at {path or 'the root'!r} of the space")
                raise
        case Group(kind, items):
            return kind(_relax_items(items, decisions, enclosing))
        case Table(items):
            return {name: relax_tree(value, decisions, enclosing) for name, value in items.items()}
        # Inside an alternative of this decision, its label is known: there is nothing to mix.
        case Choose(_, decision, alternatives) if decision in enclosing:
            return relax_tree(alternatives[enclosing[decision]], decisions, enclosing)
        case Choose():
            return _build_mixture(node, decisions, enclosing)
        # Values cannot be mixed: a layer of width 12 is not a weighted sum of layers of widths 8 and 16.
        case Value(path, decision) | ChooseSome(path, decision, _):
            raise _needs_elastic(decision, path)
        case Compute(function, operands):
            return function(*(relax_tree(operand, decisions, enclosing) for operand in operands))
        case Splice():
            return _relax_items((node,), decisions, enclosing)


def _relax_items(
    items: tuple[Node, ...], decisions: dict[str, RelaxedDecision], enclosing: Mapping[str, Label]
) -> list[Any]:
    values: list[Any] = []
    for item in items:
        if isinstance(item, Splice):
            times = _number_of_times(item, enclosing)
            values.extend(_relax_items(item.items[:times], decisions, enclosing))
        else:
            values.append(relax_tree(item, decisions, enclosing))
    return values


def _number_of_times(node: Splice, enclosing: Mapping[str, Label]) -> int:
    match node.times:
        case Constant(times):
            return int(times)
        case Choose(_, decision, alternatives) if decision in enclosing:
            return _number_of_times(Splice(node.path, alternatives[enclosing[decision]], node.items), enclosing)
        # A number that a depth multiplier scales: a supernet is built in full size.
        case Compute(_, (number,)):
            return _number_of_times(Splice(node.path, number, node.items), enclosing)
        case Choose(_, decision, _) | Value(_, decision):
            raise SpaceError(
                f"the repeat at {node.path!r} has an open number of times, the decision {decision!r}: a supernet needs an "
                "elastic layer for it, which skips the layers beyond the chosen depth; declare a choice between the layer "
                "and nn.Identity at each position instead, or train each architecture of this space separately"
            )
    raise AssertionError(node.times)  # the compiler creates no other nodes


def _build_mixture(node: Choose, decisions: dict[str, RelaxedDecision], enclosing: Mapping[str, Label]) -> Mixture:
    modules: dict[Label, nn.Module] = {}
    for label, alternative in node.alternatives.items():
        module = relax_tree(alternative, decisions, {**enclosing, node.decision: label})
        if not isinstance(module, nn.Module):
            raise _not_layers(node, label, module)
        modules[label] = module
    if node.decision not in decisions:
        decisions[node.decision] = RelaxedDecision(node.decision, tuple(node.alternatives))
    return Mixture(decisions[node.decision], node.path, modules)


def _not_layers(node: Choose, label: Label, value: Any) -> SpaceError:
    if all(isinstance(alternative, Constant) for alternative in node.alternatives.values()):
        return _needs_elastic(node.decision, node.path)
    return SpaceError(
        f"the alternative {label!r} of the decision {node.decision!r} at {node.path!r} is {value!r}, but a supernet can mix "
        "layers only: use layer(nn.Identity) for a layer that returns its input"
    )


def _needs_elastic(decision: str, path: str) -> SpaceError:
    return SpaceError(
        f"the decision {decision!r} at {path!r} is between values, not between layers: a supernet needs an elastic layer "
        "for it, which uses a part of its largest weights; declare a choice between layers, or train each architecture "
        "of this space separately"
    )
