"""Find the outer variables that a function assigns, and whether its code alone determines the assigned values."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from ogive.source.statement_effects import iterate_inner_statements


@dataclass
class ReboundVariable:
    """A global, or an attribute of a class, that functions of its module assign.

    Attributes:
        is_counter: whether all assignments only add or subtract a constant.
        is_self_contained: whether the code of the functions alone determines the assignments: they depend on no argument,
            object or local variable.
        functions: the qualified names of the functions.
    """

    is_counter: bool = True
    is_self_contained: bool = True
    functions: list[str] = field(default_factory=list)

    def add(self, statement: ast.stmt, is_self_contained: bool, function: str) -> None:
        """Add an assignment in a function."""
        self.is_counter &= isinstance(statement, ast.AugAssign) and _is_number(statement.value)
        self.is_self_contained &= is_self_contained
        self.functions.append(function)


class FunctionAssignments:
    """The assignments in a function.

    Attributes:
        outer_names: the names that the function declares as `global`.
        assignments: each statement that assigns something, with the conditions and other expressions of the blocks that
            contain it.
    """

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        nodes = list(ast.walk(function))
        self.outer_names = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        # `cls` is no argument here: the code determines the class, and its attributes are outer variables.
        arguments = {node.arg for node in nodes if isinstance(node, ast.arg)} - {"cls"}
        stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self._has_arguments = bool(arguments)
        self._locals = {*arguments, *stored} - self.outer_names
        self.assignments: list[tuple[ast.stmt, list[ast.expr]]] = []
        # The lines of `return`, `break` and `continue` statements whose execution depends on local variables.
        self._conditional_exits: list[int] = []
        self._collect(function.body, [])

    def is_self_contained(self, statement: ast.stmt, conditions: list[ast.expr]) -> bool:
        """Return whether the code of the function alone determines whether a statement is executed, and its value."""
        if not self._has_arguments:
            return True
        value = getattr(statement, "value", None)  # None for a statement such as `for` or `with`
        if value is None or self._uses_locals([*conditions, value]):
            return False
        return all(line > statement.lineno for line in self._conditional_exits)

    def _collect(self, body: Iterable[ast.stmt], conditions: list[ast.expr]) -> None:
        """Collect the assignments and conditional exits in a block, whose outer blocks have these conditions."""
        for node in body:
            if isinstance(node, (ast.Return, ast.Break, ast.Continue)) and self._uses_locals(conditions):
                self._conditional_exits.append(node.lineno)
            if find_stored_names(node):
                self.assignments.append((node, conditions))
            if not isinstance(node, ast.ClassDef):
                expressions = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
                self._collect(iterate_inner_statements(node), [*conditions, *expressions])

    def _uses_locals(self, expressions: Iterable[ast.expr]) -> bool:
        names = {node.id for part in expressions for node in ast.walk(part) if isinstance(node, ast.Name)}
        return not names.isdisjoint(self._locals)


def find_stored_names(node: ast.stmt) -> list[ast.Name | ast.Attribute]:
    """Return the names and attributes that a statement assigns, without those that statements inside it assign."""
    parts = [child for child in ast.iter_child_nodes(node) if not isinstance(child, (ast.stmt, ast.ExceptHandler))]
    nodes = (inner for part in parts for inner in ast.walk(part))
    return [n for n in nodes if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Store)]


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
