"""Constants, and containers of constants, as texts that can be compared."""

from __future__ import annotations

import ast
from typing import Any

PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
"""Types of constants."""
_MAX_NESTING = 10
"""Levels of nested containers that are described."""


def constant_text(value: Any, nesting: int = 0) -> str | None:
    """Return a constant, or a container of constants, as text; None for other values.

    The text is equal for equal values of the same type.
    """
    if type(value) in PLAIN:
        return f"{type(value).__name__} {value!r}"
    kind = type(value)
    if kind not in (tuple, list, set, frozenset, dict) or nesting > _MAX_NESTING:
        return None
    items = [constant_text(item, nesting + 1) for item in (value.items() if kind is dict else value)]
    texts = [item for item in items if item is not None]
    texts = sorted(texts) if kind in (set, frozenset) else texts
    return f"{kind.__name__}({', '.join(texts)})" if len(texts) == len(items) else None


def constant_expression_text(node: ast.expr) -> str | None:
    """Return the value of an expression of constants as text; None for other expressions."""
    try:
        return constant_text(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
