"""What the text of a module says outside of what is loaded: constants, what code rebinds, what an import does to others."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from ogive.source import project_files

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_HARMLESS = frozenset({"print", "logging", "warnings", "matplotlib", "plt", "sys.path"})
"""What a module may use at its top level without an effect on the code of others."""

_INSIDE = 10
"""Containers of constants inside each other."""
_REBINDING = frozenset({"globals", "vars", "exec"})
"""Builtins by which a module may assign its globals without naming them."""


def plain_text(value: Any, inside: int = 0) -> str | None:
    """A constant, or a container of constants, as text, equal for equal values of one type; None for what is neither."""
    if type(value) in PLAIN:
        return f"{type(value).__name__} {value!r}"
    kind = type(value)
    if kind not in (tuple, list, set, frozenset, dict) or inside > _INSIDE:
        return None
    items = [plain_text(item, inside + 1) for item in (value.items() if kind is dict else value)]
    texts = [item for item in items if item is not None]
    texts = sorted(texts) if kind in (set, frozenset) else texts
    return f"{kind.__name__}({', '.join(texts)})" if len(texts) == len(items) else None


@dataclass
class Rebound:
    """A global, or an attribute of a class, that functions of its module assign.

    Attributes:
        counted: all do no more than add or subtract a constant.
        closed: what they assign, and whether they do, depends on nothing that they are given.
        functions: their qualified names.
    """

    counted: bool = True
    closed: bool = True
    functions: list[str] = field(default_factory=list)


@dataclass
class Statements:
    """What a module's text says.

    Attributes:
        constants: the constants that are assigned, by place: "LR", "Net.width", "train(lr)" for a default value; None where
            something else may be assigned there.
        imported: names that are imported from another module: the module, its level, and the name there.
        rebound: places that functions assign.
        effects: statements that change something outside of the module when it is imported; None where there are none.
        modules: modules that are imported outside of functions, with their level.
        made: statements that assign a global, or call a method of it.
    """

    constants: dict[str, set[str] | None] = field(default_factory=dict)
    imported: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    rebound: dict[str, Rebound] = field(default_factory=dict)
    effects: CodeType | None = None
    modules: list[tuple[str, int]] = field(default_factory=list)
    made: dict[str, list[ast.stmt]] = field(default_factory=dict)

    def making(self, name: str) -> CodeType | None:
        """The statements that make a global."""
        return _compiled(self.made[name]) if name in self.made else None

    def may_hold(self, place: str, value: Any) -> bool:
        """Whether a constant may come from what is assigned there; a container that starts empty may hold anything."""
        text, held = plain_text(value), self.constants[place] or set()
        if isinstance(value, (list, dict, set)):
            of_its_type = {other for other in held if other.startswith(f"{type(value).__name__}(")}
            return not of_its_type or text in of_its_type or f"{type(value).__name__}()" in of_its_type
        return text in held

    def is_rebound(self, place: str) -> bool:
        """Whether functions assign a place, or an attribute of that name of some class: `cls` may be a subclass."""
        attribute = place.rpartition(".")[2] if "." in place else None
        return place in self.rebound or any(known.rpartition(".")[2] == attribute for known in self.rebound)

    def is_filled(self, place: str) -> bool:
        """Whether a value follows from the code that fills it: a counter, or what is None until it is needed."""
        rebound, first = self.rebound.get(place), self.constants.get(place)
        if rebound is None or not first:
            return False
        return rebound.counted or (rebound.closed and first == {plain_text(None)})


def of(file: str) -> Statements:
    """Of a file as it is now; nothing where it is no Python."""
    return _of(file, project_files.state(file))


@functools.lru_cache(512)
def _of(file: str, state: tuple[int, int]) -> Statements:
    tree = project_files.parsed(file)
    if tree is None:
        return Statements()
    reader = _Reader()
    reader.visit(tree)
    if any(isinstance(node, ast.Name) and node.id in _REBINDING for node in ast.walk(tree)):
        reader.found.constants.update(dict.fromkeys(reader.found.constants))
    found = reader.found
    own = found.constants.keys() - reader.outside
    found.effects = _compiled([statement for statement in tree.body if _has_effect(statement, own)])
    for statement in tree.body:
        for name in _made_by(statement) & found.constants.keys():
            found.made.setdefault(name, []).append(statement)
    return found


def _compiled(statements: list[ast.stmt]) -> CodeType | None:
    if not statements:
        return None
    code = compile(ast.Module(statements, []), "<statements>", "exec", dont_inherit=True)
    assert isinstance(code, CodeType)
    return code


class _Reader(ast.NodeVisitor):
    """Collects what stands outside of functions, and what functions assign outside of themselves."""

    def __init__(self) -> None:
        self.found = Statements()
        self.outside: set[str] = set()
        """Names of functions, and of what is imported."""
        self._path: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, None)
        self._path.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self._path.pop()

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._function(node)
        elif not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            super().visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind(node.name, None)
        if not self._path:
            self.outside.add(node.name)
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        pairs = [*zip(positional[len(positional) - len(defaults) :], defaults, strict=True)]
        pairs += [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None]
        for argument, default in pairs:
            self._bind(f"{node.name}({argument.arg})", default)
        self._assigned_inside(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._bind(name, None)
            self.outside.add(name)
            self.found.modules.append((alias.name, 0))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        self.found.modules.append((module, node.level))
        for alias in node.names:
            name = alias.asname or alias.name
            if name == "*":  # which may replace what was assigned before
                self.found.constants.update(dict.fromkeys(self.found.constants))
            self.found.modules.append((f"{module}.{alias.name}" if module else alias.name, node.level))
            is_new = not self._path and name not in self.found.constants
            self._bind(name, None)
            self.outside.add(name)
            if is_new:
                self.found.imported[name] = module, node.level, alias.name

    def visit_If(self, node: ast.If) -> None:
        if _only_elsewhere(node):
            node = ast.If(node.test, node.orelse, [])
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(ast.unparse(node), None)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, (ast.Name, ast.Attribute)):
            self._bind(ast.unparse(target), value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                self._assign(one, its)
        else:
            self.visit(target)

    def _bind(self, name: str, value: ast.expr | None) -> None:
        place = ".".join([*self._path, name])
        text = None if value is None else _constant(value)
        known = self.found.constants.get(place, set())
        self.found.constants[place] = None if text is None or known is None else {*known, text}
        self.found.imported.pop(place, None)

    def _assigned_inside(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        scope = _Scope(function)
        for statement, conditions in scope.assignments:
            for target in _stored(statement):
                place = self._place(target, scope.outer)
                if place is None:
                    continue
                rebound = self.found.rebound.setdefault(place, Rebound())
                rebound.counted &= isinstance(statement, ast.AugAssign) and _is_number(statement.value)
                rebound.closed &= scope.is_closed(statement, conditions)
                rebound.functions.append(".".join([*self._path, function.name]))

    def _place(self, node: ast.Name | ast.Attribute, outer: set[str]) -> str | None:
        """Where an assignment in a function goes: a global, or an attribute of a global or of the class around it."""
        if isinstance(node, ast.Name):
            return node.id if node.id in outer else None
        base = ast.unparse(node.value)
        if base in ("cls", "type(self)", "self.__class__", "__class__"):
            base = ".".join(self._path)
        return None if base in ("", "self") else f"{base}.{node.attr}"


class _Scope:
    """What a function may assign outside of itself, and on what that depends."""

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        nodes = list(ast.walk(function))
        self.outer = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        arguments = {node.arg for node in nodes if isinstance(node, ast.arg)} - {"cls"}
        stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self._given = bool(arguments)
        self._locals = {*arguments, *stored} - self.outer
        self.assignments: list[tuple[ast.stmt, list[ast.expr]]] = []
        self._left: list[int] = []
        self._collect(function.body, [])

    def is_closed(self, statement: ast.stmt, conditions: list[ast.expr]) -> bool:
        """Whether what is assigned follows from the function's code alone."""
        if not self._given:
            return True
        value = getattr(statement, "value", None)
        parts = [*conditions, *([] if value is None else [value])]
        return (
            value is not None and not self._uses_locals(parts) and all(line > statement.lineno for line in self._left)
        )

    def _collect(self, body: Iterable[ast.stmt], conditions: list[ast.expr]) -> None:
        for node in body:
            if isinstance(node, (ast.Return, ast.Break, ast.Continue)) and self._uses_locals(conditions):
                self._left.append(node.lineno)
            if _stored(node):
                self.assignments.append((node, conditions))
            if not isinstance(node, ast.ClassDef):
                inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
                self._collect(_inner(node), [*conditions, *inside])

    def _uses_locals(self, parts: Iterable[ast.expr]) -> bool:
        names = {node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name)}
        return not names.isdisjoint(self._locals)


def _stored(node: ast.stmt) -> list[ast.Name | ast.Attribute]:
    """What a statement assigns; not what those inside it do."""
    parts = [child for child in ast.iter_child_nodes(node) if not isinstance(child, (ast.stmt, ast.ExceptHandler))]
    found = (inner for part in parts for inner in ast.walk(part))
    return [n for n in found if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Store)]


def _only_elsewhere(node: ast.If) -> bool:
    """Whether a condition holds for the main program or a type checker only."""
    names = {inner.id for inner in ast.walk(node.test) if isinstance(inner, ast.Name)}
    names |= {inner.attr for inner in ast.walk(node.test) if isinstance(inner, ast.Attribute)}
    return not names.isdisjoint({"__name__", "TYPE_CHECKING"})


def _constant(node: ast.expr) -> str | None:
    try:
        return plain_text(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))


def _has_effect(node: ast.stmt, own: Iterable[str]) -> bool:
    """Whether a statement changes something that is not the module's own: an attribute of what it imports, a setting."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and _is_foreign(node.value, own)
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        return any(not isinstance(target, ast.Name) and _is_foreign(target, own) for target in _targets(node))
    if isinstance(node, ast.If) and _only_elsewhere(node):
        return any(_has_effect(inner, own) for inner in node.orelse)
    return any(_has_effect(inner, own) for inner in _inner(node))


def _inner(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements directly inside a loop, a condition, a `try` or a `with`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def _targets(node: ast.stmt) -> list[ast.expr]:
    targets = getattr(node, "targets", None) or [node.target]  # type: ignore[attr-defined]
    return [
        inner
        for target in targets
        for inner in (target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target])
    ]


def _is_foreign(node: ast.expr, own: Iterable[str]) -> bool:
    text, root = _dotted(node)
    return root not in own and not any(text == name or text.startswith(f"{name}.") for name in _HARMLESS)


def _dotted(node: ast.expr) -> tuple[str, str]:
    """`torch.nn.init(3).x` as "torch.nn.init.x", and its first name."""
    names: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
        node = node.func if isinstance(node, ast.Call) else node.value
    root = node.id if isinstance(node, ast.Name) else ""
    return ".".join([root, *reversed(names)]), root


def _made_by(node: ast.stmt) -> set[str]:
    """The globals that a statement assigns, or whose methods and attributes it uses as a whole statement."""
    if isinstance(node, ast.Expr):
        return {_dotted(node.value)[1]}
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        return {_dotted(target)[1] for target in _targets(node)}
    if isinstance(node, (ast.For, ast.While, ast.If, ast.With, ast.Try)):
        return {name for inner in _inner(node) for name in _made_by(inner)}
    return set()
