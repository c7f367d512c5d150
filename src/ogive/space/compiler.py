"""The compiler: from the declaration to the tree and the table of decisions.

Every node has two positions. Its `path` locates it in the declaration, including all repetitions and alternatives around it.
The path is also the name of an unnamed decision. Its *argument position* (`_Position`) locates it inside the layer or choice
that contains it. An unnamed choice that is used at two argument positions is an error, because it is unclear whether it is
one decision or two.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.errors import SpaceError
from ogive.space.declaration import Choice, DerivedValue, Expression, Layer, Repeat
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, Subset
from ogive.space.multipliers import Scale
from ogive.space.table import Conjunction, Decision, are_all_labels, conjoin, simplify, sort_by_dependency
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

_Position = tuple[int, str]
"""The id of the layer or choice that contains a node, and the path from there."""

_ROOT_POSITION: _Position = (0, "")
"""Nothing contains the root. No object has the id 0."""


@dataclass
class _DecisionRecord:
    """The facts about one decision that the compiler has collected so far."""

    domain: Domain
    is_named: bool
    path: str  # the path of its first use
    when: list[Conjunction] = field(default_factory=list)  # one for each use; active if any holds, as `Decision.when`


def compile_expression(expression: Any) -> tuple[Node, tuple[Decision, ...]]:
    """Compile a declaration into its tree and its table of decisions.

    Raises:
        SpaceError: two choices with the same name have different labels, an unnamed choice is used at two argument
            positions, a repeat is used where nothing can be spliced, or decisions activate one another.
    """
    compiler = _Compiler()
    tree = compiler.compile_node(expression, "", (), _ROOT_POSITION)
    records = compiler.records

    def are_all_labels_of(name: str, labels: frozenset[Label]) -> bool:
        return are_all_labels(records[name].domain, labels)

    decisions = (
        Decision(name, record.domain, simplify(record.when, are_all_labels_of)) for name, record in records.items()
    )
    return tree, sort_by_dependency(decisions)


class _Compiler:
    """Walks a declaration, makes the nodes of the tree and records the decisions."""

    def __init__(self) -> None:
        self.records: dict[str, _DecisionRecord] = {}
        # The position and the path of the first use of each unnamed choice, by its id().
        self.first_uses: dict[int, tuple[_Position, str]] = {}
        # Objects whose id() is a key or a part of a position. While they are alive, no other object has this id().
        self.kept_alive: list[Any] = []

    def compile_node(self, value: Any, path: str, conjunction: Conjunction, position: _Position) -> Node:
        """Compile `value` at `path`, which an architecture reaches if `conjunction` holds."""
        match value:
            case Layer():
                return self._compile_layer(value, path, conjunction)
            case Choice():
                return self._compile_choice(value, path, conjunction, position)
            # A scaled value has the path and the position of its operand.
            case DerivedValue() if isinstance(value.function, Scale):
                return DerivedNode(value.function, (self.compile_node(value.operands[0], path, conjunction, position),))
            case DerivedValue():
                # Using `c * 2` at two argument positions counts as using `c` at two, which is an error if `c` is unnamed.
                operands = (
                    self.compile_node(v, _join(path, str(i)), conjunction, _extend_position(position, str(i)))
                    for i, v in enumerate(value.operands)
                )
                return DerivedNode(value.function, tuple(operands))
            case Repeat():
                raise SpaceError(
                    f"{value!r} at {path or 'the root'!r}: a repeat can only be spliced into positional arguments or "
                    "lists; wrap it, for example layer(nn.Sequential, repeat(...))"
                )
            # Each build gets a new list or dict, because a factory may change it.
            case list() | tuple() if type(value) in (list, tuple):
                return SequenceNode(type(value), self._compile_items(value, path, conjunction, position))
            # _check_constant below rejects a dict with a choice among its keys.
            case dict() if type(value) is dict and not any(map(_contains_expression, value.keys())):
                items = {
                    k: self.compile_node(v, _join(path, str(k)), conjunction, _extend_position(position, str(k)))
                    for k, v in value.items()
                }
                return DictNode(items)
        return ConstantNode(_check_constant(value, path))

    def _compile_items(
        self, values: Any, path: str, conjunction: Conjunction, position: _Position, names: Any = ()
    ) -> tuple[Node, ...]:
        """Compile positional arguments or the items of a list; paths have `names`, and indices beyond these."""
        nodes: list[Node] = []
        for i, value in enumerate(values):
            key = names[i] if i < len(names) else str(i)
            item_path = _join(path, key)
            if isinstance(value, Repeat):
                nodes.append(self._compile_repeat(value, item_path, conjunction, _extend_position(position, key)))
            else:
                nodes.append(self.compile_node(value, item_path, conjunction, _extend_position(position, key)))
        return tuple(nodes)

    def _compile_layer(self, value: Layer, path: str, conjunction: Conjunction) -> Node:
        """Compile a layer with its arguments."""
        position = (id(value), "")
        if isinstance(value.factory, functools.partial):
            _check_constant((value.factory.args, value.factory.keywords), f"{path or 'the root'} (in a partial)")
        args = self._compile_items(value.args, path, conjunction, position, names=_parameter_names(value.factory))
        kwargs = {
            k: self.compile_node(v, _join(path, k), conjunction, _extend_position(position, k))
            for k, v in value.kwargs.items()
        }
        return LayerNode(path, value.factory, args, kwargs)

    def _compile_repeat(self, value: Repeat, path: str, conjunction: Conjunction, position: _Position) -> RepeatNode:
        """Compile a repeat: every item up to the largest number of repetitions, under its condition.

        `times` may be `scaled(...)`. A multiplier only reduces it, so the items are compiled for the declared number.
        """
        times = self.compile_node(value.times, _join(path, "times"), conjunction, (id(value), "times"))
        node = times
        declared_times: Any = value.times
        while isinstance(node, DerivedNode):
            node, declared_times = node.operands[0], declared_times.operands[0]
        # `counts` gives the number of repetitions for each label of `decision`. A constant number has no decision and the
        # only label 0.
        if isinstance(node, (OneOfNode, NumberNode)):
            decision, counts = node.decision, _repetitions(declared_times)
        else:
            decision, counts = "", {0: declared_times}
        items = []
        for i in range(max(counts.values())):
            # Item i is reached under the labels that give more than i repetitions.
            labels = frozenset(label for label, n in counts.items() if n > i)
            item_conjunction = conjunction if len(labels) == len(counts) else conjoin(conjunction, decision, labels)
            item = value.item if isinstance(value.item, Expression) or not callable(value.item) else value.item(i)
            if isinstance(item, Repeat):
                raise SpaceError(
                    f"{item!r} at {path}[{i}]: a repeat directly in a repeat; wrap the inner repeat in a layer"
                )
            self.kept_alive.append(item)
            # Without a conjunction that can hold, no architecture reaches this item.
            items.append(
                ConstantNode(None)
                if item_conjunction is None
                else self.compile_node(item, f"{path}[{i}]", item_conjunction, position)
            )
        return RepeatNode(path, times, tuple(items))

    def _compile_choice(self, value: Choice, path: str, conjunction: Conjunction, position: _Position) -> Node:
        """Compile a choice: record its decision, and compile its alternatives."""
        decision = value.name or path or "root"
        self._record(decision, value, path=path, conjunction=conjunction, position=position)
        if value.alternatives is None:
            return NumberNode(path, decision)
        nodes: dict[Label, Node] = {}
        is_subset = isinstance(value.domain, Subset)
        for label, alternative in value.alternatives.items():
            label_conjunction = conjoin(conjunction, decision, frozenset([label]), is_subset=is_subset)
            # The conjunction can never hold: no architecture reaches this alternative.
            if label_conjunction is None:
                nodes[label] = ConstantNode(None)
            else:
                label_path = _join(path, str(label))
                nodes[label] = self.compile_node(alternative, label_path, label_conjunction, (id(value), str(label)))
        kind = OneOfNode if isinstance(value.domain, Categorical) else SomeOfNode
        return kind(path, decision, nodes)

    def _record(
        self, decision: str, value: Choice, *, path: str, conjunction: Conjunction, position: _Position
    ) -> None:
        """Record that `value` is used at `path` as this decision.

        Raises:
            SpaceError: the decision has other labels at an earlier use, or the choice is ambiguous.
        """
        if value.name is None:
            first_position, first_path = self.first_uses.setdefault(id(value), (position, path))
            self.kept_alive.append(value)
            if first_position != position:
                raise SpaceError(
                    f"the unnamed choice {value!r} is used at two argument positions, {first_path!r} and {path!r}: "
                    "name the choice (name=...) to make it one decision, or write two choices"
                )
        existing = self.records.get(decision)
        if existing and not (existing.is_named and value.name):
            raise SpaceError(
                f"two choices are called {decision!r}, at {existing.path!r} and at {path!r}; "
                "give one of them another name"
            )
        record = existing or self.records.setdefault(
            decision, _DecisionRecord(value.domain, value.name is not None, path)
        )
        # Compare the texts as well, because 1 == True, but their texts differ.
        if record.domain != value.domain or repr(record.domain) != repr(value.domain):
            raise SpaceError(
                f"the name {decision!r} is used for {_format_domain(record.domain)} at {record.path!r} and for "
                f"{_format_domain(value.domain)} at {path!r}: use the same labels in the same order everywhere, "
                "or another name"
            )
        record.when.append(conjunction)


def _repetitions(times: Choice) -> dict[Label, int]:
    """Return the number of repetitions for each label of `times`."""
    if isinstance(times.domain, IntegerRange):
        return {n: n for n in times.domain.enumerate_labels(resolution=0)}
    return dict(times.alternatives or {})


def _contains_expression(value: Any) -> bool:
    """Return whether `value`, or anything inside it (for a dict also a key), is an expression."""
    if isinstance(value, Expression):
        return True
    if isinstance(value, dict):
        return any(map(_contains_expression, (*value, *value.values())))
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(_contains_expression, value))


def _check_constant(value: Any, path: str) -> Any:
    """Return `value` if all builds can share it.

    Raises:
        SpaceError: the value contains choices, which the compiler cannot see here, or it is a built module.
    """
    if _contains_expression(value):
        raise SpaceError(
            f"choices inside {value!r} at {path!r}: choices are allowed in the arguments of layer(...) and inside plain "
            "lists, tuples and values of dicts"
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        name = type(value).__name__
        raise SpaceError(f"a built {name} at {path!r} would be shared by all models: write layer(nn.{name}, ...)")
    return value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _extend_position(position: _Position, key: str) -> _Position:
    return position[0], _join(position[1], key)


def _format_domain(domain: Domain) -> str:
    return json.dumps(domain.describe())


def _parameter_names(factory: Callable[..., Any]) -> list[str]:
    """Return the names of the factory's positional parameters, for readable paths; empty if they are unknown."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in callables have no signature
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]


def describe_tree(node: Node, scales: bool = False) -> Any:
    """Return the tree as JSON for the fingerprint: factories as import paths, constants by `_describe_value`.

    Args:
        node: the root of the tree.
        scales: whether to include the multipliers of `scaled` values, which have an effect only if a multiplier is set.
    """
    describe = functools.partial(describe_tree, scales=scales)
    match node:
        case ConstantNode(value):
            return _describe_value(value)
        case LayerNode(_, factory, args, kwargs):
            keywords = {k: describe(v) for k, v in kwargs.items()}
            return {"call": _import_path(factory), "args": [describe(a) for a in args], "kwargs": keywords}
        case SequenceNode(kind, items):
            return {kind.__name__: [describe(item) for item in items]}
        case DictNode(items):
            return {"dict": {str(key): describe(item) for key, item in items.items()}}
        case OneOfNode(_, decision, alternatives) | SomeOfNode(_, decision, alternatives):
            return {"decision": decision, "of": {str(k): describe(v) for k, v in alternatives.items()}}
        case NumberNode(_, decision):
            return {"decision": decision}
        case RepeatNode(_, times, items):
            return {"times": describe(times), "items": [describe(item) for item in items]}
        case DerivedNode(function, operands):
            if isinstance(function, Scale) and not scales:  # without a multiplier its value is that of the operand
                return describe(operands[0])
            return {"compute": _import_path(function), "operands": [describe(o) for o in operands]}


def _import_path(factory: Callable[..., Any]) -> Any:
    """Return "module:name" of a factory; of a `functools.partial` its function and arguments."""
    inner = getattr(factory, "func", None)
    if inner is not None:  # functools.partial
        keywords: Mapping[str, Any] = getattr(factory, "keywords", {})
        return {
            "partial": _import_path(inner),
            "args": [_describe_value(a) for a in getattr(factory, "args", ())],
            "kwargs": {k: _describe_value(v) for k, v in keywords.items()},
        }
    if hasattr(factory, "__qualname__"):
        return f"{factory.__module__}:{factory.__qualname__}"
    return _describe_value(factory)


def _describe_value(value: Any) -> Any:
    """Return a constant as JSON that is the same in every process; an object that JSON cannot express as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_describe_value(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _describe_value(item) for key, item in value.items()}}
    if isinstance(value, (set, frozenset)):  # sorted, since their order differs between processes
        return {"set": sorted(map(repr, value))}
    if hasattr(value, "__qualname__"):
        return _import_path(value)
    text = repr(value)  # it may contain an address, which differs between processes
    return text if " at 0x" not in text else f"{type(value).__module__}:{type(value).__qualname__}"
