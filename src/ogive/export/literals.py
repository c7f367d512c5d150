"""Format a value as a Python expression that evaluates to an equal value."""

from __future__ import annotations

import dataclasses
import enum
import functools
import keyword
import math
import reprlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch

from ogive.errors import RunError

LINE_LENGTH = 100
_TYPES_WITH_EXACT_REPR = (type(None), type(...), bool, int, str, bytes, range)
"""Types whose `repr` is an expression that evaluates to the value."""
_TORCH_CONSTANT_TYPES = (torch.dtype, torch.layout, torch.memory_format)
_CONVERTERS_TO_BASE: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}
"""For each base type: the function that converts an instance of a subclass to the base type.

(`str.__str__` and the like are not affected by methods of the subclass.)
"""
_NUMERIC_KINDS = "biufc"  # bool, int, unsigned int, float and complex, as NumPy calls them


class NoSource(RunError):
    """The error for a value that cannot be written as source."""


class ReferenceFormatter(Protocol):
    """A function that returns the dotted name of a class or function, and adds the import that the name needs."""

    def __call__(self, definition: Any) -> str: ...


def format_literal(value: Any, refer: ReferenceFormatter) -> str:
    """Return the source of a plain value, a tensor, or an object of a module.

    Raises:
        NoSource: the value cannot be written as source.
        RunError: `refer` raises it.
    """
    format_item = functools.partial(format_literal, refer=refer)
    kind = type(value)
    match value:
        case enum.Enum():
            return _format_enum_member(value, refer)
        # The item() of some NumPy numbers, such as a longdouble, is no Python number; these cannot be written.
        case np.generic() if not isinstance(value.item(), np.generic):
            return format_call(refer(kind), [format_item(value.item())])
        case float() if kind is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        case complex() if kind is complex:
            return format_call("complex", [format_item(value.real), format_item(value.imag)])
        case _ if kind in _TYPES_WITH_EXACT_REPR or kind in _TORCH_CONSTANT_TYPES:
            return repr(value)
        case list() | tuple() | set() | frozenset() if kind in (list, tuple, set, frozenset):
            return format_sequence(kind, [format_item(item) for item in value])
        case torch.Size():
            return format_call("torch.Size", [format_item(list(value))])
        case tuple() if hasattr(value, "_fields"):
            fields = [f"{name}={format_item(getattr(value, name))}" for name in value._fields]
            return format_call(refer(kind), fields)
        case dict() if kind is dict:
            return format_items("{", [f"{format_item(k)}: {format_item(v)}" for k, v in value.items()], "}")
        case OrderedDict() if kind is OrderedDict:
            return format_call(refer(kind), [format_item(list(value.items()))])
        case functools.partial():
            arguments = [*map(format_item, value.args), *(f"{k}={format_item(v)}" for k, v in value.keywords.items())]
            return format_call(refer(functools.partial), [format_item(value.func), *arguments])
        case torch.device():
            return f"torch.{value!r}"
        case torch.Tensor():
            return _format_tensor(value, refer)
        case np.ndarray() if kind is np.ndarray and value.dtype.kind in _NUMERIC_KINDS:
            numbers = _format_numbers(value.tolist(), refer)
            return f"{refer(np.array)}({numbers}, {value.dtype.str!r}){_reshape_if_empty(value)}"
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            values = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
            return format_call(refer(kind), [f"{name}={format_item(item)}" for name, item in values.items()])
        case str() | int() | float():
            to_base = next(convert for base, convert in _CONVERTERS_TO_BASE.items() if isinstance(value, base))
            return format_call(refer(kind), [format_item(to_base(value))])
        case _ if hasattr(value, "__qualname__"):
            return _format_name(value, refer)
    raise _make_no_source_error(value)


def _make_no_source_error(value: Any) -> NoSource:
    return NoSource(f"{reprlib.repr(value)} is a {type(value).__name__}, which cannot be written as source")


def _format_enum_member(value: enum.Enum, refer: ReferenceFormatter) -> str:
    """Return the source of an enum member: its name, or its value for a combination of flags, which has no name."""
    name = value.name
    if type(value).__members__.get(name) is not value:
        return format_call(refer(type(value)), [format_literal(value.value, refer)])
    is_attribute = name.isidentifier() and not keyword.iskeyword(name)
    return f"{refer(type(value))}.{name}" if is_attribute else f"{refer(type(value))}[{name!r}]"


def _format_name(value: Any, refer: ReferenceFormatter) -> str:
    """Return the name of a class, a function, or a class method.

    Raises:
        NoSource: `value` is a method of an instance.
    """
    owner = getattr(value, "__self__", None)
    if isinstance(owner, type):
        return f"{refer(owner)}.{value.__name__}"
    if owner is not None and not isinstance(owner, ModuleType):
        raise _make_no_source_error(value)
    return refer(value)


def _format_tensor(value: torch.Tensor, refer: ReferenceFormatter) -> str:
    """Return the source of a tensor with the same values, data type and shape. Memory layout and device are lost."""
    if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout is not torch.strided or value.is_quantized:
        raise _make_no_source_error(value)
    try:
        numbers = _format_numbers(value.detach().tolist(), refer)
    except (RuntimeError, TypeError) as error:  # a meta tensor, or a data type without numbers in Python
        raise _make_no_source_error(value) from error
    text = f"torch.tensor({numbers}, dtype={value.dtype}){_reshape_if_empty(value)}"
    if isinstance(value, torch.nn.Parameter):
        return f"torch.nn.Parameter({text}, requires_grad={value.requires_grad})"
    return f"{text}.requires_grad_()" if value.requires_grad else text


def _reshape_if_empty(value: torch.Tensor | np.ndarray[Any, Any]) -> str:
    """Return a call of `reshape` for a tensor without values, since nested lists cannot express its shape; else ""."""
    return f".reshape({tuple(value.shape)})" if 0 in value.shape else ""


def _format_numbers(value: Any, refer: ReferenceFormatter) -> str:
    """Return a number, or a nested list of numbers, on one line."""
    if isinstance(value, list):
        return f"[{', '.join(_format_numbers(item, refer) for item in value)}]"
    return format_literal(value, refer)


def format_sequence(kind: type, items: Sequence[str]) -> str:
    """Return the source of a list, tuple, set or frozenset, given the source of its items."""
    if kind is list:
        return format_items("[", items, "]")
    if kind is tuple:
        return format_items("(", items, ",)" if len(items) == 1 else ")")
    if kind is set and items:
        return format_items("{", items, "}")
    return format_call(kind.__name__, [format_sequence(list, items)] if items else [])


def format_call(name: str, arguments: Sequence[str]) -> str:
    """Return the source of a call, given the source of its arguments."""
    return format_items(f"{name}(", arguments, ")")


def format_items(opening: str, items: Sequence[str], closing: str) -> str:
    """Return the items between two brackets: on one line if they fit, else with a line for each item.

    A comma in `closing`, that of a tuple of one item, is only written on one line: otherwise each item has a comma.
    """
    line = f"{opening}{', '.join(items)}{closing}"
    if len(line) <= LINE_LENGTH and "\n" not in line:
        return line
    # An item may have several lines; indent each of them.
    lines = "".join(f"    {item},\n".replace("\n", "\n    ").removesuffix("    ") for item in items)
    return f"{opening}\n{lines}{closing.removeprefix(',')}"
