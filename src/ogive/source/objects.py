"""What objects consist of: the attributes, closures and arrays that `ogive.source.code_walk` looks at."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

from ogive.hashing import ALL_DIGITS, hash_bytes
from ogive.source.bytecode import assigned_attributes, digest
from ogive.source.module_statements import PLAIN

_CONSTANTS = frozenset("dtype device Size layout memory_format".split())
FILLABLE = (list, dict, set)
"""Containers that code may fill while it runs."""
_FIELD = "default_factory init compare hash kw_only repr frozen alias validation_alias annotation metadata".split()


def members_of(module: ModuleType) -> Iterator[tuple[str, Any]]:
    found = list(vars(module).items())
    return ((key, value) for key, value in found if not key.startswith("__") or key == "__getattr__")


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
    if not any(module_of(cls).partition(".")[0] in ("numpy", "torch") for cls in type(value).__mro__):
        return None
    kind: list[str] = []
    try:
        if hasattr(value, "detach"):
            kind = [str(value.dtype), str(value.requires_grad), type(value).__qualname__]
            tensor = value.detach().cpu()
            value = (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
    except (TypeError, RuntimeError, ValueError):  # without values, sparse, quantised, of a lazy layer
        return None
    if not (hasattr(value, "tobytes") and hasattr(value, "dtype")):
        return None
    numbers = value.dtype.kind in "biufc" and value.flags.c_contiguous  # read without a copy
    content = value.data if numbers else repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
    return [*kind, str(value.dtype), str(value.shape), hash_bytes(content, digits=ALL_DIGITS)]


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots included, without cached properties, which follow from the others."""
    slots = (
        name for cls in type(value).__mro__ for name, slot in vars(cls).items() if inspect.ismemberdescriptor(slot)
    )
    own = {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        if not isinstance(inspect.getattr_static(type(value), name, None), functools.cached_property)
    }
    return {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **own}


def name_of(value: Any) -> str:
    """The name of an object in messages; what a script defines has no module in front."""
    value = getattr(value, "func", value) if isinstance(value, functools.partial) else value
    qualname = getattr(value, "__qualname__", None) or type(value).__qualname__
    module = getattr(value, "__module__", None)
    return f"{module}.{qualname}" if isinstance(module, str) and module != "__main__" else qualname


def module_of(kind: type) -> str:
    """The name of the module of a class; "builtins" where a compiled class describes it otherwise."""
    module = kind.__module__
    return module if isinstance(module, str) else "builtins"


def installed_name(kind: type) -> str:
    return f"{module_of(kind)}:{kind.__qualname__}"


def global_in_its_module(value: Any) -> str | None:
    """The name under which the module of an object's class keeps it, such as the generator behind `random.random`."""
    module = sys.modules.get(module_of(type(value)))
    if module is None or module_of(type(value)) == "builtins":
        return None
    return next((key for key, item in list(vars(module).items()) if item is value), None)


def is_layers(value: Any) -> bool:
    """Whether it is a PyTorch module."""
    torch = sys.modules.get("torch")
    modules = getattr(getattr(torch, "nn", None), "Module", None)
    return modules is not None and isinstance(value, modules) and isinstance(vars(value).get("_parameters"), dict)


def is_constant(value: Any) -> bool:
    """Whether it is a number, a text, a data type, a device: what has no content that code may change."""
    if isinstance(value, (*PLAIN, range, slice, Enum)):
        return True
    kind = type(value)
    return kind.__name__ in _CONSTANTS and module_of(kind).partition(".")[0] in ("torch", "numpy")


def order(item: Any) -> str:
    """A text by which the items of a set are put in an order that is the same in each process."""
    function = getattr(item, "__func__", item)
    if not isinstance(function, FunctionType):
        return name_of(item) if isinstance(item, type) else ""
    kept = [repr(cell) for cell in cells_of(function).values() if type(cell) in PLAIN]
    return f"{name_of(function)} {digest(function.__code__)} {kept} {function.__code__.co_firstlineno}"


def fields_of(cls: type) -> dict[str, list[Any]]:
    """What a dataclass or a pydantic model says of its fields; the first item is the default value."""
    fields: dict[str, Any] = {**vars(cls).get("__dataclass_fields__", {}), **vars(cls).get("__pydantic_fields__", {})}
    return {
        key: [getattr(f, "default", None), *(getattr(f, part, None) for part in _FIELD)] for key, f in fields.items()
    }


def validators_of(cls: type) -> dict[str, Any]:
    """The validators and serialisers of a pydantic model, whose functions are members of the class."""
    groups = state_of(vars(cls).get("__pydantic_decorators__"))
    return {
        f"{group} {name}": getattr(found, "info", None)
        for group, members in groups.items()
        if isinstance(members, dict)
        for name, found in members.items()
    }


def is_compiled_function(value: Any) -> bool:
    """Whether it is a function of Cython, whose type is not the one of functions in C."""
    return type(value).__name__ in ("cython_function_or_method", "fused_cython_function", "cyfunction")


def is_array(value: Any) -> bool:
    """Whether it is an array or a tensor, whose numbers may be changed."""
    return any(module_of(cls).partition(".")[0] in ("numpy", "torch") for cls in type(value).__mro__) and all(
        hasattr(value, name) for name in ("dtype", "shape", "__setitem__")
    )


def is_generator(value: Any) -> bool:
    """Whether it is a generator of random numbers, or a method of one."""
    owner = getattr(value, "__self__", value) if callable(value) and not isinstance(value, type) else value
    module, name = module_of(type(owner)), type(owner).__name__
    return name in ("Random", "Generator", "RandomState") and module.partition(".")[0] in ("random", "numpy", "torch")


@functools.lru_cache(4096)
def assigns_itself(cls: type) -> bool:
    """Whether methods of a class assign attributes after an object has been made."""
    made = ("__init__", "__new__", "__post_init__", "__setstate__")
    methods = (value for name, value in vars(cls).items() if name not in made and isinstance(value, FunctionType))
    return any(assigned_attributes(method.__code__) for method in methods)
