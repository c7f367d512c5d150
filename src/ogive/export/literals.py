"""A value as Python: the source that makes an equal one."""

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

WIDTH = 100
_EXACT = (type(None), type(...), bool, int, str, bytes, range)
_TORCH = (torch.dtype, torch.layout, torch.memory_format)
_BASES: dict[type, Callable[[Any], Any]] = {str: str.__str__, int: int.__int__, float: float.__float__}
"""What a subclass of these holds."""
_NUMERIC = "biufc"


class NoSource(RunError):
    """A value that cannot be written as source."""


class Refer(Protocol):
    """Writes an object of a module (a class, a function) as a dotted name, and sees to its import."""

    def __call__(self, thing: Any) -> str: ...


def literal(value: Any, refer: Refer) -> str:
    """The source of a plain value.

    Raises:
        NoSource: it has none.
        RunError: as `refer`.
    """
    write = functools.partial(literal, refer=refer)
    kind = type(value)
    match value:
        case enum.Enum():
            return _member(value, refer)
        case np.generic() if not isinstance(value.item(), np.generic):
            return called(refer(kind), [write(value.item())])
        case float() if kind is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        case complex() if kind is complex:
            return called("complex", [write(value.real), write(value.imag)])
        case _ if kind in _EXACT or kind in _TORCH:
            return repr(value)
        case list() | tuple() | set() | frozenset() if kind in (list, tuple, set, frozenset):
            return sequence(kind, [write(item) for item in value])
        case torch.Size():
            return called("torch.Size", [write(list(value))])
        case tuple() if hasattr(value, "_fields"):
            return called(refer(kind), [f"{name}={write(getattr(value, name))}" for name in value._fields])
        case dict() if kind is dict:
            return braced("{", [f"{write(k)}: {write(v)}" for k, v in value.items()], "}")
        case OrderedDict() if kind is OrderedDict:
            return called(refer(kind), [write(list(value.items()))])
        case functools.partial():
            bound = [*map(write, value.args), *(f"{k}={write(v)}" for k, v in value.keywords.items())]
            return called(refer(functools.partial), [write(value.func), *bound])
        case torch.device():
            return f"torch.{value!r}"
        case torch.Tensor():
            return _tensor(value, refer)
        case np.ndarray() if kind is np.ndarray and value.dtype.kind in _NUMERIC:
            return f"{refer(np.array)}({_numbers(value.tolist(), refer)}, {value.dtype.str!r}){_shape_of_none(value)}"
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init]
            return called(refer(kind), [f"{name}={write(item)}" for name, item in fields])
        case str() | int() | float():
            plain = next(read for base, read in _BASES.items() if isinstance(value, base))
            return called(refer(kind), [write(plain(value))])
        case _ if hasattr(value, "__qualname__"):
            return _name(value, refer)
    raise _no_source(value)


def _no_source(value: Any) -> NoSource:
    return NoSource(f"{reprlib.repr(value)} is a {type(value).__name__}, which cannot be written as source")


def _member(value: enum.Enum, refer: Refer) -> str:
    """A member of an Enum by its name; a combination of flags has none, and is written by its value."""
    name = value.name
    if type(value).__members__.get(name) is not value:
        return called(refer(type(value)), [literal(value.value, refer)])
    plain = name.isidentifier() and not keyword.iskeyword(name)
    return f"{refer(type(value))}.{name}" if plain else f"{refer(type(value))}[{name!r}]"


def _name(value: Any, refer: Refer) -> str:
    """A class or a function by its name; of methods only those that are bound to a class have one."""
    owner = getattr(value, "__self__", None)
    if isinstance(owner, type):
        return f"{refer(owner)}.{value.__name__}"
    if owner is not None and not isinstance(owner, ModuleType):
        raise _no_source(value)
    return refer(value)


def _tensor(value: torch.Tensor, refer: Refer) -> str:
    """A tensor by its values; its memory and its device are not kept."""
    if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout is not torch.strided or value.is_quantized:
        raise _no_source(value)
    try:
        values = _numbers(value.detach().tolist(), refer)
    except (RuntimeError, TypeError) as error:  # without values, or of a data type that Python has no numbers for
        raise _no_source(value) from error
    text = f"torch.tensor({values}, dtype={value.dtype}){_shape_of_none(value)}"
    if isinstance(value, torch.nn.Parameter):
        return f"torch.nn.Parameter({text}, requires_grad={value.requires_grad})"
    return f"{text}.requires_grad_()" if value.requires_grad else text


def _shape_of_none(value: torch.Tensor | np.ndarray[Any, Any]) -> str:
    """The shape of what holds no values: lists of them do not tell."""
    return f".reshape({tuple(value.shape)})" if 0 in value.shape else ""


def _numbers(value: Any, refer: Refer) -> str:
    """Numbers, or lists of them, in one line."""
    if isinstance(value, list):
        return f"[{', '.join(_numbers(item, refer) for item in value)}]"
    return literal(value, refer)


def sequence(kind: type, items: Sequence[str]) -> str:
    """The source of a list, tuple, set or frozenset."""
    if kind is list:
        return braced("[", items, "]")
    if kind is tuple:
        return braced("(", items, ",)" if len(items) == 1 else ")")
    if kind is set and items:
        return braced("{", items, "}")
    return called(kind.__name__, [sequence(list, items)] if items else [])


def called(name: str, values: Sequence[str]) -> str:
    """The source of a call."""
    return braced(f"{name}(", values, ")")


def braced(left: str, items: Sequence[str], right: str) -> str:
    """`left item, item right` in one line, or with a line for each item where that is too long."""
    line = f"{left}{', '.join(items)}{right}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    lines = "".join(f"    {item},\n".replace("\n", "\n    ").removesuffix("    ") for item in items)
    return f"{left}\n{lines}{right.removeprefix(',')}"
