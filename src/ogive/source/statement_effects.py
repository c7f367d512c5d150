"""Decide, from their syntax, which top-level statements of a module change something outside of the module."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_HARMLESS_NAMES = frozenset({"print", "logging", "warnings", "matplotlib", "plt", "sys.path"})
"""Names that a module may use at its top level without an effect on other code."""


def has_outside_effect(node: ast.stmt, module_globals: Iterable[str]) -> bool:
    """Return whether a statement changes something outside of its module, such as a setting or an imported class.

    Args:
        node: the statement.
        module_globals: the names of the module's own objects. A change of these is no outside effect.
    """
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and _is_foreign(node.value, module_globals)
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
        targets = list_assignment_targets(node)
        return any(not isinstance(target, ast.Name) and _is_foreign(target, module_globals) for target in targets)
    if isinstance(node, ast.If) and is_main_or_type_checking(node):
        return any(has_outside_effect(inner, module_globals) for inner in node.orelse)
    return any(has_outside_effect(inner, module_globals) for inner in iterate_inner_statements(node))


def is_main_or_type_checking(node: ast.If) -> bool:
    """Return whether a condition is true only in the main program or for a type checker."""
    names = {inner.id for inner in ast.walk(node.test) if isinstance(inner, ast.Name)}
    names |= {inner.attr for inner in ast.walk(node.test) if isinstance(inner, ast.Attribute)}
    return not names.isdisjoint({"__name__", "TYPE_CHECKING"})


def iterate_inner_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements directly inside a loop, a condition, a `try` or a `with`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def list_assignment_targets(node: ast.stmt) -> list[ast.expr]:
    """Return the targets of an assignment or a `del`. A tuple or list is replaced by its items."""
    targets = getattr(node, "targets", None) or [node.target]  # type: ignore[attr-defined]
    return [
        item for target in targets for item in (target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target])
    ]


def _is_foreign(node: ast.expr, module_globals: Iterable[str]) -> bool:
    """Return whether an expression starts from an object that is neither the module's own nor harmless."""
    dotted = get_dotted_name(node)
    is_harmless = any(dotted == name or dotted.startswith(f"{name}.") for name in _HARMLESS_NAMES)
    return get_first_name(node) not in module_globals and not is_harmless


def get_dotted_name(node: ast.expr) -> str:
    """Return the dotted name of an expression: "torch.nn.init.x" for `torch.nn.init(3).x`."""
    names: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
        node = node.func if isinstance(node, ast.Call) else node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "", *reversed(names)])


def get_first_name(node: ast.expr) -> str:
    """Return the first name of an expression: "torch" for `torch.nn.init(3).x`; "" if it does not start with a name."""
    return get_dotted_name(node).partition(".")[0]


def find_created_globals(node: ast.stmt) -> set[str]:
    """Return the globals that a statement assigns, or the global of which it calls a method."""
    if isinstance(node, ast.Expr):
        return {get_first_name(node.value)}
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        return {get_first_name(target) for target in list_assignment_targets(node)}
    if isinstance(node, (ast.For, ast.While, ast.If, ast.With, ast.Try)):
        return {name for inner in iterate_inner_statements(node) for name in find_created_globals(inner)}
    return set()
