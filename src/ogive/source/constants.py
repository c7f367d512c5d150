"""Constants, and containers of constants, as texts that can be compared."""

from __future__ import annotations

import ast
from typing import Any

CONSTANT_TYPES = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
"""The types of constants."""
_MAX_NESTING = 10
"""Containers are formatted down to this level of nesting."""


def format_constant(value: Any, nesting: int = 0) -> str | None:
    """Return a constant, or a container of constants, as text; None for other values.

    Equal values of the same type have equal texts.
    """
    if type(value) in CONSTANT_TYPES:
        return f"{type(value).__name__} {value!r}"
    kind = type(value)
    if kind not in (tuple, list, set, frozenset, dict) or nesting > _MAX_NESTING:
        return None
    items = [format_constant(item, nesting + 1) for item in (value.items() if kind is dict else value)]
    texts = [item for item in items if item is not None]
    texts = sorted(texts) if kind in (set, frozenset) else texts
    return f"{kind.__name__}({', '.join(texts)})" if len(texts) == len(items) else None


def format_constant_expression(node: ast.expr) -> str | None:
    """Return the value of an expression of constants as text; None for other expressions."""
    try:
        return format_constant(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
