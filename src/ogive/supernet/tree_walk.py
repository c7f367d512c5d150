"""The walk over a compiled tree that builds its relaxation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from ogive.errors import SpaceError
from ogive.space.domain import Label
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value
from ogive.supernet.mixture import Mixture, Relaxed

NOTHING: Mapping[str, Label] = MappingProxyType({})


def relax_tree(node: Node, decisions: dict[str, Relaxed], given: Mapping[str, Label] = NOTHING) -> Any:
    """Evaluate `node` with a mixture for each choice between layers.

    Args:
        node: of the compiled tree.
        decisions: those met so far by name; new ones are added.
        given: labels that hold at this place, since it lies inside the layer that they chose.
    """
    match node:
        case Constant(value):
            return value
        case Call(path, factory, args, kwargs):
            values = _items(args, decisions, given)
            keywords = {name: relax_tree(value, decisions, given) for name, value in kwargs.items()}
            try:
                return factory(*values, **keywords)
            except Exception as error:
                error.add_note(f"while relaxing the layer at {path or 'the root'!r} of the space")
                raise
        case Group(kind, items):
            return kind(_items(items, decisions, given))
        case Table(items):
            return {name: relax_tree(value, decisions, given) for name, value in items.items()}
        case Choose(_, decision, alternatives) if decision in given:
            return relax_tree(alternatives[given[decision]], decisions, given)
        case Choose():
            return _mixture(node, decisions, given)
        case Value(path, decision) | ChooseSome(path, decision, _):
            raise _needs_elastic(decision, path)
        case Compute(function, operands):
            return function(*(relax_tree(operand, decisions, given) for operand in operands))
        case Splice():
            return _items((node,), decisions, given)


def _items(items: tuple[Node, ...], decisions: dict[str, Relaxed], given: Mapping[str, Label]) -> list[Any]:
    values: list[Any] = []
    for item in items:
        if isinstance(item, Splice):
            times = _times(item, given)
            values.extend(_items(item.items[:times], decisions, given))
        else:
            values.append(relax_tree(item, decisions, given))
    return values


def _times(node: Splice, given: Mapping[str, Label]) -> int:
    match node.times:
        case Constant(times):
            return int(times)
        case Choose(_, decision, alternatives) if decision in given:
            return _times(Splice(node.path, alternatives[given[decision]], node.items), given)
        case Compute(_, (number,)):  # scaled by a depth multiplier
            return _times(Splice(node.path, number, node.items), given)
        case Choose(_, decision, _) | Value(_, decision):
            raise SpaceError(
                f"the repeat at {node.path!r} is open, by the decision {decision!r}: a supernet needs an elastic layer "
                "for it, which skips the layers beyond the chosen depth; choose between a layer and nn.Identity at each "
                "position instead, or search this space by training each architecture"
            )
    raise AssertionError(node.times)  # the compiler makes nothing else


def _mixture(node: Choose, decisions: dict[str, Relaxed], given: Mapping[str, Label]) -> Mixture:
    built: dict[Label, nn.Module] = {}
    for label, alternative in node.alternatives.items():
        module = relax_tree(alternative, decisions, {**given, node.decision: label})
        if not isinstance(module, nn.Module):
            raise _not_layers(node, label, module)
        built[label] = module
    if node.decision not in decisions:
        decisions[node.decision] = Relaxed(node.decision, tuple(node.alternatives))
    return Mixture(decisions[node.decision], node.path, built)


def _not_layers(node: Choose, label: Label, value: Any) -> SpaceError:
    if all(isinstance(alternative, Constant) for alternative in node.alternatives.values()):
        return _needs_elastic(node.decision, node.path)
    return SpaceError(
        f"the alternative {label!r} of the decision {node.decision!r} at {node.path!r} is {value!r}, and a supernet can "
        "mix layers only: write layer(nn.Identity) for a layer that passes its input on"
    )


def _needs_elastic(decision: str, path: str) -> SpaceError:
    return SpaceError(
        f"the decision {decision!r} at {path!r} is between values, not between layers: a supernet needs an elastic layer "
        "for it, which slices its largest weights; make it a choice between layers, or search this space by training "
        "each architecture"
    )
