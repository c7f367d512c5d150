"""What the statements of a module bind and name, by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module binds or changes."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or (
                    alias.name if isinstance(statement, ast.ImportFrom) else alias.name.partition(".")[0]
                )
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                for node in ast.walk(target):
                    if isinstance(node, ast.Name):  # also the `table` of `table[key] = ...`
                        yield node.id
        case ast.Expr(ast.Call(ast.Attribute() as method)) if parts := chain(method):  # `table.update(...)`
            yield parts[0]
        case ast.Expr(ast.Call(ast.Name("setattr"), [ast.Name(name), *_])):
            yield name
        case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
            for node in ast.walk(statement):
                if isinstance(node, ast.stmt) and node is not statement:
                    yield from bound(node)
            if isinstance(statement, ast.For):
                yield from (node.id for node in ast.walk(statement.target) if isinstance(node, ast.Name))


def chain(node: ast.Attribute) -> list[str]:
    """`a.b.c` as its parts; empty where it does not begin with a name."""
    parts: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    return [inner.id, *reversed(parts)] if isinstance(inner, ast.Name) else []


def is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in {
        n.id for n in ast.walk(statement.test) if isinstance(n, ast.Name)
    }
