"""Inspect objects: their names, attributes, closures and arrays, for the walk of `ogive.source.code_walk`."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

from ogive.hashing import ALL_DIGITS, hash_bytes
from ogive.source.bytecode import compute_digest, find_assigned_attributes
from ogive.source.constants import CONSTANT_TYPES

_CONSTANT_TYPE_NAMES = frozenset("dtype device Size layout memory_format".split())
"""The names of types of PyTorch and NumPy whose objects cannot change."""
FILLABLE_TYPES = (list, dict, set)
"""The types of containers that code may fill while it runs."""
_FIELD_PARTS = (
    "default_factory init compare hash kw_only repr frozen alias validation_alias annotation metadata".split()
)
"""The attributes that determine the behavior of a field of a dataclass or a pydantic model."""


def list_module_members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Return the names and values of a module's attributes, without special names other than `__getattr__`."""
    members = list(vars(module).items())
    return ((key, value) for key, value in members if not key.startswith("__") or key == "__getattr__")


def get_closure_cells(value: Any) -> dict[str, Any]:
    """Return the values in a function's closure by name, without cells that are still empty."""
    if not isinstance(value, FunctionType) or value.__closure__ is None:
        return {}
    cells = {}
    for name, cell in zip(value.__code__.co_freevars, value.__closure__, strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            continue
    return cells


def find_generated_methods(cls: type) -> frozenset[str]:
    """Return the names of the methods that are generated from the fields of a dataclass or a named tuple."""
    if "__dataclass_fields__" in vars(cls):
        return frozenset(key for key in vars(cls) if key.startswith("__"))
    return frozenset({"__new__"}) if issubclass(cls, tuple) and hasattr(cls, "_fields") else frozenset()


def describe_array(value: Any) -> list[str] | None:
    """Return type, shape and a hash of the values of an array or a tensor; None for other objects."""
    if not any(_get_top_module(cls) in ("numpy", "torch") for cls in type(value).__mro__):
        return None
    kind: list[str] = []
    try:
        if hasattr(value, "detach"):
            kind = [str(value.dtype), str(value.requires_grad), type(value).__qualname__]
            tensor = value.detach().cpu()
            value = (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
    except (TypeError, RuntimeError, ValueError):  # a meta tensor, sparse, quantized, or of a lazy layer
        return None
    if not (hasattr(value, "tobytes") and hasattr(value, "dtype")):
        return None
    can_be_read_without_copy = value.dtype.kind in "biufc" and value.flags.c_contiguous
    if can_be_read_without_copy:
        content = value.data
    else:
        content = repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
    return [*kind, str(value.dtype), str(value.shape), hash_bytes(content, digits=ALL_DIGITS)]


def get_instance_state(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, including slots, but not cached properties, which follow from the others."""
    slots = (
        name for cls in type(value).__mro__ for name, slot in vars(cls).items() if inspect.ismemberdescriptor(slot)
    )
    attributes = {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        if not isinstance(inspect.getattr_static(type(value), name, None), functools.cached_property)
    }
    return {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **attributes}


def get_display_name(value: Any) -> str:
    """Return the name of an object, with its module unless it belongs to the main program."""
    value = getattr(value, "func", value) if isinstance(value, functools.partial) else value
    qualname = getattr(value, "__qualname__", None) or type(value).__qualname__
    module = getattr(value, "__module__", None)
    return f"{module}.{qualname}" if isinstance(module, str) and module != "__main__" else qualname


def get_module_name(kind: type) -> str:
    """Return the name of the module of a class; "builtins" for a compiled class without a module name."""
    module = kind.__module__
    return module if isinstance(module, str) else "builtins"


def _get_top_module(kind: type) -> str:
    return get_module_name(kind).partition(".")[0]


def get_installed_name(kind: type) -> str:
    """Return the name of an installed class, such as "torch.nn.modules.linear:Linear"."""
    return f"{get_module_name(kind)}:{kind.__qualname__}"


def find_global_name(value: Any) -> str | None:
    """Return the name of `value` if it is a global of the module that defines its class; else None.

    The random generator behind `random.random` is such a global.
    """
    module = sys.modules.get(get_module_name(type(value)))
    if module is None or get_module_name(type(value)) == "builtins":
        return None
    return next((key for key, item in list(vars(module).items()) if item is value), None)


def is_torch_module(value: Any) -> bool:
    """Return whether `value` is an initialized `torch.nn.Module`."""
    torch = sys.modules.get("torch")
    module_class = getattr(getattr(torch, "nn", None), "Module", None)
    return (
        module_class is not None
        and isinstance(value, module_class)
        and isinstance(vars(value).get("_parameters"), dict)
    )


def is_constant(value: Any) -> bool:
    """Return whether `value` has no content that code may change: a number, a text, a data type, a device."""
    if isinstance(value, (*CONSTANT_TYPES, range, slice, Enum)):
        return True
    kind = type(value)
    return kind.__name__ in _CONSTANT_TYPE_NAMES and _get_top_module(kind) in ("torch", "numpy")


def compute_sort_key(item: Any) -> str:
    """Return a sort key that gives the functions and classes in a set the same order in every process."""
    function = getattr(item, "__func__", item)
    if not isinstance(function, FunctionType):
        return get_display_name(item) if isinstance(item, type) else ""
    constants = [repr(cell) for cell in get_closure_cells(function).values() if type(cell) in CONSTANT_TYPES]
    return f"{get_display_name(function)} {compute_digest(function.__code__)} {constants} {function.__code__.co_firstlineno}"


def get_declared_fields(cls: type) -> dict[str, list[Any]]:
    """Return the properties of each field of a dataclass or a pydantic model; the first item is the default value."""
    fields: dict[str, Any] = {**vars(cls).get("__dataclass_fields__", {}), **vars(cls).get("__pydantic_fields__", {})}
    return {
        key: [getattr(field, "default", None), *(getattr(field, part, None) for part in _FIELD_PARTS)]
        for key, field in fields.items()
    }


def get_declared_validators(cls: type) -> dict[str, Any]:
    """Return the settings of a pydantic model's validators and serializers. (Their functions are members of the class.)"""
    groups = get_instance_state(vars(cls).get("__pydantic_decorators__"))
    return {
        f"{group} {name}": getattr(decorator, "info", None)
        for group, decorators in groups.items()
        if isinstance(decorators, dict)
        for name, decorator in decorators.items()
    }


def is_cython_function(value: Any) -> bool:
    """Return whether `value` is a Cython function, whose type is not that of other compiled functions."""
    return type(value).__name__ in ("cython_function_or_method", "fused_cython_function", "cyfunction")


def is_array(value: Any) -> bool:
    """Return whether `value` is an array or a tensor. Code may change its values."""
    return any(_get_top_module(cls) in ("numpy", "torch") for cls in type(value).__mro__) and all(
        hasattr(value, name) for name in ("dtype", "shape", "__setitem__")
    )


def is_random_generator(value: Any) -> bool:
    """Return whether `value` is a random number generator, or a method of one."""
    owner = getattr(value, "__self__", value) if callable(value) and not isinstance(value, type) else value
    name = type(owner).__name__
    return name in ("Random", "Generator", "RandomState") and _get_top_module(type(owner)) in (
        "random",
        "numpy",
        "torch",
    )


@functools.lru_cache(4096)
def assigns_own_attributes(cls: type) -> bool:
    """Return whether methods of a class assign attributes after an object has been created."""
    creating_methods = ("__init__", "__new__", "__post_init__", "__setstate__")
    methods = (
        value for name, value in vars(cls).items() if name not in creating_methods and isinstance(value, FunctionType)
    )
    return any(find_assigned_attributes(method.__code__) for method in methods)
