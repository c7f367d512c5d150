"""What objects consist of: the attributes, closures and arrays that `ogive.source.walk` looks at."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any


def members_of(module: ModuleType) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in vars(module).items() if not key.startswith("__"))


def cells_of(value: Any) -> dict[str, Any]:
    """What a function's closure holds, by name; cells that are still empty are left out."""
    if not isinstance(value, FunctionType) or value.__closure__ is None:
        return {}
    cells = {}
    for name, cell in zip(value.__code__.co_freevars, value.__closure__, strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            continue
    return cells


def generated_in(cls: type) -> frozenset[str]:
    """The names of methods that are generated from what the class declares: of a dataclass, of a named tuple."""
    if "__dataclass_fields__" in vars(cls):
        return frozenset(key for key in vars(cls) if key.startswith("__"))
    return frozenset({"__new__"}) if issubclass(cls, tuple) and hasattr(cls, "_fields") else frozenset()


def array_of(value: Any) -> list[str] | None:
    """The content of an array or a tensor; None where it is neither."""
    if type(value).__module__.partition(".")[0] not in ("numpy", "torch"):
        return None
    try:
        if hasattr(value, "detach"):
            tensor = value.detach().cpu()
            value = (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
    except (TypeError, RuntimeError):  # without values, sparse, quantised
        return None
    if not (hasattr(value, "tobytes") and hasattr(value, "dtype")):
        return None
    numbers = value.dtype.kind in "biufc" and value.flags.c_contiguous  # read without a copy
    content = value.data if numbers else repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
    return [str(value.dtype), str(value.shape), hashlib.sha256(content).hexdigest()]


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots included."""
    slots = (
        name for cls in type(value).__mro__ for name, slot in vars(cls).items() if inspect.ismemberdescriptor(slot)
    )
    return {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **getattr(value, "__dict__", {})}


def name_of(value: Any) -> str:
    """The name of an object in messages; what a script defines has no module in front."""
    value = getattr(value, "func", value) if isinstance(value, functools.partial) else value
    qualname = getattr(value, "__qualname__", None) or type(value).__qualname__
    module = getattr(value, "__module__", None)
    return qualname if module in (None, "__main__") else f"{module}.{qualname}"


def installed_name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
