"""From the declaration to the tree and the table of decisions."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.errors import SpaceError
from ogive.space.declaration import Choice, Derived, Expression, Layer, Repeat
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, Subset
from ogive.space.multipliers import Scale
from ogive.space.table import Conjunction, Decision, all_labels_of, conjoin, in_order, simplify
from ogive.space.tree import Call, Choose, ChooseSome, Compute, Constant, Group, Node, Splice, Table, Value


@dataclass
class _Found:
    """What is known of one decision while compiling."""

    domain: Domain
    named: bool
    place: str
    when: list[Conjunction] = field(default_factory=list)


def compile_expression(expression: Any) -> tuple[Node, tuple[Decision, ...]]:
    """Compile a declaration.

    Raises:
        SpaceError: a name with unlike labels, an unnamed choice at two argument positions, a repeat where nothing
            can be spliced, decisions that activate one another.
    """
    compiler = _Compiler()
    tree = compiler.node(expression, "", (), owner=(0, ""))
    found = compiler.found

    def all_labels(name: str, labels: frozenset[Label]) -> bool:
        return all_labels_of(found[name].domain, labels)

    return tree, in_order(Decision(name, f.domain, simplify(f.when, all_labels)) for name, f in found.items())


class _Compiler:
    def __init__(self) -> None:
        self.found: dict[str, _Found] = {}
        self.positions: dict[int, tuple[tuple[int, str], str]] = {}  # unnamed choice -> (argument position, its path)
        self.alive: list[Any] = []  # keeps what functions of a position made, so that id() stays unique

    def node(self, value: Any, path: str, when: Conjunction, owner: tuple[int, str]) -> Node:
        """Compile `value`, which stands at `path`, is reached under `when`, and is argument `owner` of its holder."""
        match value:
            case Layer():
                return self._layer(value, path, when)
            case Choice():
                return self._choice(value, path, when, owner)
            case Derived() if isinstance(value.function, Scale):  # it is its value, and stands at its value's place
                return Compute(value.function, (self.node(value.operands[0], path, when, owner),))
            case Derived():
                operands = (  # a derived value is not a place of its own: c * 2 at two places is c at two places
                    self.node(v, _join(path, str(i)), when, _inside(owner, str(i)))
                    for i, v in enumerate(value.operands)
                )
                return Compute(value.function, tuple(operands))
            case Repeat():
                raise SpaceError(
                    f"{value!r} at {path or 'the root'!r}: a repeat is spliced into positional arguments or lists only; "
                    "wrap it, for example layer(nn.Sequential, repeat(...))"
                )
            case list() | tuple() if type(value) in (list, tuple):  # made afresh, since a factory may change it
                return Group(type(value), self._items(value, path, when, owner))
            case dict() if type(value) is dict and not any(map(_holds_expression, value)):
                items = {k: self.node(v, _join(path, str(k)), when, _inside(owner, str(k))) for k, v in value.items()}
                return Table(items)
        return Constant(_plain(value, path))

    def _items(
        self, values: Any, path: str, when: Conjunction, owner: tuple[int, str], names: Any = ()
    ) -> tuple[Node, ...]:
        nodes: list[Node] = []
        for i, value in enumerate(values):
            key = names[i] if i < len(names) else str(i)
            here = _join(path, key)
            if isinstance(value, Repeat):
                nodes.append(self._repeat(value, here, when, _inside(owner, key)))
            else:
                nodes.append(self.node(value, here, when, _inside(owner, key)))
        return tuple(nodes)

    def _layer(self, value: Layer, path: str, when: Conjunction) -> Node:
        owner = (id(value), "")
        if isinstance(value.factory, functools.partial):
            _plain((value.factory.args, value.factory.keywords), f"{path or 'the root'} (in a partial)")
        args = self._items(value.args, path, when, owner, _parameter_names(value.factory))
        kwargs = {k: self.node(v, _join(path, k), when, _inside(owner, k)) for k, v in value.kwargs.items()}
        return Call(path, value.factory, args, kwargs)

    def _repeat(self, value: Repeat, path: str, when: Conjunction, owner: tuple[int, str]) -> Splice:
        given = value.times.operands[0] if isinstance(value.times, Derived) else value.times
        if isinstance(given, Choice):
            times_path = _join(path, "times")
            times: Node = self._choice(given, times_path, when, (id(value), "times"))
            assert isinstance(times, (Choose, Value))
            decision, counts = times.decision, _counts(given)
        else:
            times, decision, counts = Constant(given), "", {0: given}
        if isinstance(value.times, Derived):
            times = Compute(value.times.function, (times,))
        items = []
        for i in range(max(counts.values())):
            labels = frozenset(label for label, n in counts.items() if n > i)
            here = when if len(labels) == len(counts) else conjoin(when, decision, labels)
            item = value.item if isinstance(value.item, Expression) or not callable(value.item) else value.item(i)
            if isinstance(item, Repeat):
                raise SpaceError(f"{item!r} at {path}[{i}]: a repeat directly in a repeat; wrap it in a layer")
            self.alive.append(item)
            items.append(Constant(None) if here is None else self.node(item, f"{path}[{i}]", here, owner))
        return Splice(path, times, tuple(items))

    def _choice(self, value: Choice, path: str, when: Conjunction, owner: tuple[int, str]) -> Node:
        decision = value.name or path or "root"
        self._register(decision, value, path, when, owner)
        if value.alternatives is None:
            return Value(path, decision)
        nodes: dict[Label, Node] = {}
        for label, alternative in value.alternatives.items():
            here = conjoin(when, decision, frozenset([label]), several=isinstance(value.domain, Subset))
            place = _join(path, str(label))
            nodes[label] = (
                Constant(None) if here is None else self.node(alternative, place, here, (id(value), str(label)))
            )
        kind = Choose if isinstance(value.domain, Categorical) else ChooseSome
        return kind(path, decision, nodes)

    def _register(self, decision: str, value: Choice, path: str, when: Conjunction, owner: tuple[int, str]) -> None:
        if value.name is None:
            position = self.positions.setdefault(id(value), (owner, path))
            self.alive.append(value)
            if position[0] != owner:
                raise SpaceError(
                    f"the unnamed choice {value!r} stands at two argument positions, {position[1]!r} and {path!r}: "
                    "name it (name=...) to make it one decision, or write two choices"
                )
        known = self.found.get(decision)
        found = self.found.setdefault(decision, _Found(value.domain, value.name is not None, path))
        if known and not (known.named and value.name):
            raise SpaceError(
                f"two choices are called {decision!r}, at {known.place!r} and {path!r}; name one of them anew"
            )
        if found.domain != value.domain or repr(found.domain) != repr(value.domain):
            raise SpaceError(
                f"the name {decision!r} stands for {_text(found.domain)} at {found.place!r} and for "
                f"{_text(value.domain)} at {path!r}: the same labels in the same order everywhere, or another name"
            )
        found.when.append(when)


def _counts(times: Choice) -> dict[Label, int]:
    if isinstance(times.domain, IntegerRange):
        return {n: n for n in times.domain.all(0)}
    return dict(times.alternatives or {})


def _holds_expression(value: Any) -> bool:
    if isinstance(value, Expression):
        return True
    if isinstance(value, dict):
        return any(map(_holds_expression, (*value, *value.values())))
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(_holds_expression, value))


def _plain(value: Any, path: str) -> Any:
    """`value`, which every build may share: neither a choice that is not seen nor a module whose weights go along."""
    if _holds_expression(value):
        raise SpaceError(
            f"choices inside {value!r} at {path!r}: they are seen in the arguments of layer(...) and in plain lists, tuples "
            "and values of dicts"
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        name = type(value).__name__
        raise SpaceError(f"a built {name} at {path!r} would be shared by all models: write layer(nn.{name}, ...)")
    return value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _inside(owner: tuple[int, str], key: str) -> tuple[int, str]:
    return owner[0], _join(owner[1], key)


def _text(domain: Domain) -> str:
    return json.dumps(domain.describe())


def _parameter_names(factory: Callable[..., Any]) -> list[str]:
    """Names of the factory's positional parameters, so that paths can be read; empty where they are not known."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in callables have no signature
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in kinds]


def describe_tree(node: Node, scales: bool = False) -> Any:
    """The tree as JSON, for the fingerprint: factories by import path, plain values by their text.

    `scales`: tell what is `scaled`, too, which matters only where a multiplier is set.
    """
    describe = functools.partial(describe_tree, scales=scales)
    match node:
        case Constant(value):
            return _describe_value(value)
        case Call(_, factory, args, kwargs):
            called = [describe(a) for a in args], {k: describe(v) for k, v in kwargs.items()}
            return {"call": _import_path(factory), "args": called[0], "kwargs": called[1]}
        case Group(kind, items):
            return {kind.__name__: [describe(item) for item in items]}
        case Table(items):
            return {"dict": {str(key): describe(item) for key, item in items.items()}}
        case Choose(_, decision, alternatives) | ChooseSome(_, decision, alternatives):
            return {"decision": decision, "of": {str(k): describe(v) for k, v in alternatives.items()}}
        case Value(_, decision):
            return {"decision": decision}
        case Splice(_, times, items):
            return {"times": describe(times), "items": [describe(item) for item in items]}
        case Compute(function, operands):
            if isinstance(function, Scale) and not scales:  # in full it builds nothing else
                return describe(operands[0])
            return {"compute": _import_path(function), "operands": [describe(o) for o in operands]}


def _import_path(factory: Callable[..., Any]) -> Any:
    inner = getattr(factory, "func", None)
    if inner is not None:  # functools.partial
        keywords: Mapping[str, Any] = getattr(factory, "keywords", {})
        bound = [_describe_value(a) for a in getattr(factory, "args", ())]
        return {
            "partial": _import_path(inner),
            "args": bound,
            "kwargs": {k: _describe_value(v) for k, v in keywords.items()},
        }
    if hasattr(factory, "__qualname__"):
        return f"{factory.__module__}:{factory.__qualname__}"
    return _describe_value(factory)


def _describe_value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_describe_value(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _describe_value(item) for key, item in value.items()}}
    if isinstance(value, (set, frozenset)):  # in an order that is the same in every process
        return {"set": sorted(map(repr, value))}
    if hasattr(value, "__qualname__"):
        return _import_path(value)
    text = repr(value)  # an address would differ in every process
    return text if " at 0x" not in text else f"{type(value).__module__}:{type(value).__qualname__}"
