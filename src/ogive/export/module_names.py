"""Find the names that the statements of a module bind, from the syntax tree of the module."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def list_bound_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement binds, and the names of the objects that it changes."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield get_imported_name(statement, alias)
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                for node in ast.walk(target):
                    if isinstance(node, ast.Name):  # including the `table` of `table[key] = ...`
                        yield node.id
        case ast.Expr(ast.Call(ast.Attribute() as method)) if parts := get_attribute_chain(method):
            yield parts[0]  # the `table` of `table.update(...)`
        case ast.Expr(ast.Call(ast.Name("setattr"), [ast.Name(name), *_])):
            yield name
        case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
            for node in ast.walk(statement):
                if isinstance(node, ast.stmt) and node is not statement:
                    yield from list_bound_names(node)
            if isinstance(statement, ast.For):
                yield from (node.id for node in ast.walk(statement.target) if isinstance(node, ast.Name))


def get_imported_name(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """Return the name that an import binds for one of its aliases. For example, `import a.b` binds `a`."""
    if alias.asname:
        return alias.asname
    return alias.name if isinstance(statement, ast.ImportFrom) else alias.name.partition(".")[0]


def get_attribute_chain(node: ast.Attribute) -> list[str]:
    """Return the parts of `a.b.c`; empty if the expression does not start with a name."""
    parts: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    return [inner.id, *reversed(parts)] if isinstance(inner, ast.Name) else []


def is_main_guard(statement: ast.stmt) -> bool:
    """Return whether a statement is an `if` whose condition uses `__name__`, such as `if __name__ == "__main__":`."""
    return isinstance(statement, ast.If) and "__name__" in {
        node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)
    }
