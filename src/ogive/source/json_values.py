"""Describe values as JSON: data by its content, code by its name."""

from __future__ import annotations

import copyreg
import functools
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ogive.hashing import hash_json
from ogive.source import bytecode, objects, project_files
from ogive.source.constants import CONSTANT_TYPES, format_constant
from ogive.source.walk_record import WalkRecord

MAX_OBJECTS = 20_000
"""At most this many objects and values are examined."""
MAX_NESTING = 150
"""Values are described down to this level of nesting. (Each level takes a few frames of Python's stack.)"""

_HANDLE_MODULES = frozenset(
    "logging threading _thread _io io weakref _weakref queue asyncio multiprocessing socket subprocess tempfile "
    "_contextvars contextvars concurrent".split()
)
"""Modules whose objects are handles of resources outside of the program, without code or data of the user."""
_RUNNING_STATISTICS = frozenset({"running_mean", "running_var", "num_batches_tracked"})
"""Buffers that a PyTorch module changes by itself in training."""
_UNKNOWN = "unknown"
_PICKLE_PROTOCOL = 4


class ValueWalk(WalkRecord):
    """Describes values. The subclass `ogive.source.code_walk.CodeWalk` also describes code and modules.

    The descriptions are hashed, so every text in them is part of the identity and must not change.

    Attributes:
        count: the number of objects and values examined so far.
        has_untrained_weights: whether a PyTorch module was described without the values of its weights.
        ancestors: the ids of the objects that contain the object that is being described.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.has_untrained_weights = False
        self.ancestors: set[int] = set()

    def describe_code(self, value: FunctionType | type, role: str) -> Any:
        """Return the description of a function or class; implemented by the subclass."""
        raise NotImplementedError

    def describe_module(self, module: ModuleType, chains: Iterable[bytecode.Chain]) -> Any:
        """Return the description of a module; implemented by the subclass."""
        raise NotImplementedError

    def describe(self, value: Any, chains: Iterable[bytecode.Chain] = bytecode.ESCAPES, role: str = "") -> Any:
        """Return the description of a value as JSON. Code of the project is described by its name, and queued.

        Args:
            value: the value.
            chains: the attributes that are read from the value, if it is a module.
            role: the prefix of the part's name, such as "layer", if the value is code.
        """
        self.count += 1
        if self.count > MAX_OBJECTS:
            return "beyond the bounds"
        if type(value) in CONSTANT_TYPES:
            return format_constant(value)
        if isinstance(value, ModuleType):
            return self.describe_module(value, chains)
        if id(value) in self.ancestors:
            return "a cycle"
        if len(self.ancestors) >= MAX_NESTING:
            self.add_missing(self.current, f"it refers to values that are nested more than {MAX_NESTING} levels deep")
            return "beyond the bounds"
        self.ancestors.add(id(value))
        try:
            return self._describe_object(value, role)
        finally:
            self.ancestors.discard(id(value))

    def _describe_object(self, value: Any, role: str) -> Any:
        """Return the description of a value that is neither a constant nor a module."""
        if isinstance(value, (FunctionType, type)):
            return self.describe_code(value, role)
        if isinstance(value, MethodType):
            return {"method": self.describe(value.__func__, role=role), "of": self.describe(value.__self__)}
        if isinstance(value, (functools.partial, functools.partialmethod)):
            arguments = [self.describe(part) for part in (value.args, value.keywords)]
            return {"partial": [self.describe(value.func, role=role), *arguments]}
        if isinstance(value, Enum):
            return {"enum": [self.describe(type(value), role=role), value.name]}
        if value is sys.modules:
            self.add_missing(self.current, "it looks up code by names that are computed at run time (sys.modules)")
            return _UNKNOWN
        if not self.is_project_code(type(value)):
            name = objects.find_global_name(value)
            if name is not None:
                return self.describe_installed(objects.get_module_name(type(value)), name)
        return self._describe_data(value, role)

    def _describe_data(self, value: Any, role: str) -> Any:
        """Return the description of a container, an array, a wrapper, a builtin, or an instance of a class."""
        kind = type(value)
        if isinstance(value, (list, tuple)):
            return {
                "sequence": [self.describe(kind), *map(self.describe, value)],
                **self._describe_container_state(value),
            }
        if isinstance(value, (set, frozenset)):
            items = sorted(json.dumps(self.describe(item)) for item in sorted(value, key=objects.compute_sort_key))
            return {"set": [self.describe(kind), *items], **self._describe_container_state(value)}
        if isinstance(value, dict) or (isinstance(value, Mapping) and not self.is_project_code(kind)):
            pairs = [[self.describe(key), self.describe(item)] for key, item in value.items()]
            factory = getattr(value, "default_factory", None)
            described_factory = {} if factory is None else {"factory": self.describe(factory)}
            return {
                "mapping": [self.describe(kind), *pairs],
                **described_factory,
                **self._describe_container_state(value),
            }
        array = objects.describe_array(value)
        if array is not None:
            return {"array": array, **({"kind": self.describe(kind)} if self.is_project_code(kind) else {})}
        wrapped = inspect.getattr_static(value, "__wrapped__", None)
        if callable(wrapped):  # such as a function with functools.lru_cache
            return {"wrapper": objects.get_installed_name(kind), "of": self.describe(wrapped, role=role)}
        builtin = self._describe_builtin(value)
        return self._describe_instance(value) if builtin is None else builtin

    def _describe_builtin(self, value: Any) -> Any:
        """Return the description of a function or a bound method that is not written in Python; None for other objects."""
        if isinstance(value, BuiltinFunctionType):
            if isinstance(value.__module__, str):
                return self._describe_compiled(value.__module__, value.__qualname__)
            owner = value.__self__
            if owner is None or isinstance(owner, ModuleType):
                return self._describe_compiled(getattr(owner, "__name__", "builtins"), value.__qualname__)
            return {"builtin": value.__qualname__, "of": self.describe(owner)}
        if objects.is_cython_function(value):
            return self._describe_compiled(value.__module__, value.__qualname__)
        return None

    def _describe_compiled(self, module: str, qualname: str) -> str:
        if project_files.is_project_module(module):
            self.add_missing(f"{module}.{qualname}", "it is not written in Python")
        return self.describe_installed(module, qualname)

    def _describe_container_state(self, value: Any) -> dict[str, Any]:
        """Return the attributes of an instance of a container class of the project."""
        state = objects.get_instance_state(value) if self.is_project_code(type(value)) else {}
        return {"state": self.describe(state)} if state else {}

    # -- instances of classes ------------------------------------------------------------------------------------

    def _describe_instance(self, value: Any) -> Any:
        """Return the description of an instance of any other class: its class and its content."""
        kind = type(value)
        # An instance of a subclass of a constant's type, such as a `str`, has the value of that type.
        base: Any = next((plain for plain in CONSTANT_TYPES if isinstance(value, plain)), None)
        if not self.is_project_code(kind):
            self.describe_installed(objects.get_module_name(kind), kind.__qualname__)
            content = [repr(value)] if base is not None else self._describe_reduced(value)
            if objects.is_torch_module(value):
                content = self._describe_torch_module(value)
            return {"installed": objects.get_installed_name(kind), "content": content}
        own_value = {} if base is None else {"plain": base.__repr__(value)}
        if objects.is_torch_module(value):
            state = self._describe_torch_module(value)
        else:
            state = self.describe(objects.get_instance_state(value))
        return {"instance": self.describe(kind), "state": state, **own_value}

    def _describe_torch_module(self, value: Any) -> Any:
        """Return the content of a PyTorch module: weights, buffers and other attributes."""
        state = dict(vars(value))
        parameters, buffers = state.pop("_parameters"), state.pop("_buffers")
        weights = {name: self._describe_weight(tensor, value.training) for name, tensor in parameters.items()}
        for name, tensor in buffers.items():
            is_statistic = value.training and name in _RUNNING_STATISTICS
            weights[name] = "running" if is_statistic else self.describe(tensor)
        if isinstance(graph_code := getattr(value, "code", None), str) and "_graph" in state:
            state["_graph"] = graph_code  # the nodes of a torch.fx graph are linked lists, too deep to describe
        for name in [name for name, hooks in state.items() if name.endswith("_hooks") and isinstance(hooks, dict)]:
            state[name] = list(state[name].values())  # the keys are numbers that differ between processes
        return [weights, self.describe(state)]

    def _describe_weight(self, tensor: Any, training: bool) -> Any:
        """Return the description of a weight: its values, or only shape and type if its values are still random."""
        if tensor is None or not (training and tensor.requires_grad):
            return self.describe(tensor)
        self.has_untrained_weights = True
        try:
            shape = list(tensor.shape)
        except (RuntimeError, ValueError):  # a weight of a lazy layer
            shape = []
        return {"drawn": shape, "dtype": str(tensor.dtype)}

    def _describe_reduced(self, value: Any) -> Any:
        """Return the content of an object as pickle would store it: its constructor with arguments, attributes and items."""
        kind = type(value)
        if objects.get_module_name(kind).partition(".")[0] in _HANDLE_MODULES or objects.is_torch_module(value):
            return None
        try:
            registered = copyreg.dispatch_table.get(kind)
            reduced = value.__reduce_ex__(_PICKLE_PROTOCOL) if registered is None else registered(value)
        except Exception:  # noqa: BLE001 - objects that cannot be pickled raise any exception
            text = repr(value)
            if " at 0x" not in text:
                return [text]
            self.add_missing(objects.get_installed_name(kind), "it cannot be pickled, so its content is unknown")
            return _UNKNOWN
        if isinstance(reduced, str):
            return [reduced]
        # The tuple of `__reduce_ex__`: constructor, arguments, state, list items, dict items. The last three are optional.
        constructor, arguments, *optional = reduced
        state, items = optional[:1], [list(part or ()) for part in optional[1:3]]
        return [self.describe(part) for part in (constructor, arguments, *state, *items)]

    # -- closures of installed decorators ------------------------------------------------------------------------

    def describe_installed_closure(self, function: FunctionType) -> dict[str, Any]:
        """Return the descriptions of an installed function's closure variables, without those that the function assigns."""
        cells = objects.get_closure_cells(function)
        return {
            name: self._describe_captured(cell, f"{objects.get_display_name(function)}.{name}")
            for name, cell in cells.items()
            if name not in bytecode.find_assigned_cells(function.__code__)
        }

    def _describe_captured(self, value: Any, name: str) -> Any:
        """Return the description of a value in the closure of an installed function.

        Code and constants are described as usual, containers item by item, and other installed objects by those of their
        attributes that are constants.
        """
        self.count += 1
        if id(value) in self.ancestors or len(self.ancestors) >= MAX_NESTING or self.count > MAX_OBJECTS:
            return "a cycle"  # or beyond a limit
        if isinstance(value, MethodType):
            return {"method": self.describe(value.__func__), "of": self._describe_captured(value.__self__, name)}
        kind = type(value)
        is_code = isinstance(value, (FunctionType, type, ModuleType, functools.partial, BuiltinFunctionType))
        if (
            is_code
            or objects.is_constant(value)
            or self.is_project_code(kind)
            or objects.describe_array(value) is not None
        ):
            return self.describe(value)
        if isinstance(value, (tuple, frozenset)) or kind in objects.FILLABLE_TYPES:
            self.ancestors.add(id(value))
            try:
                return self._describe_captured_items(value, name)
            finally:
                self.ancestors.discard(id(value))
        if objects.get_module_name(kind).partition(".")[0] in _HANDLE_MODULES or isinstance(value, Mapping):
            return objects.get_installed_name(kind)
        # Attributes named prev..., as in torch.autocast, contain settings that were replaced when the decorator was entered.
        state = {key: item for key, item in objects.get_instance_state(value).items() if not key.startswith("prev")}
        constants = {key: self.describe(item) for key, item in state.items() if objects.is_constant(item)}
        return {"installed": objects.get_installed_name(kind), "attributes": constants}

    def _describe_captured_items(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            description = [[self._describe_captured(part, name) for part in pair] for pair in value.items()]
        else:
            is_set = isinstance(value, (set, frozenset))
            items = sorted(value, key=objects.compute_sort_key) if is_set else value
            description = [self._describe_captured(item, name) for item in items]
            description = sorted(description, key=json.dumps) if is_set else description
        return (
            self.add_data(name, description) if type(value) in objects.FILLABLE_TYPES and description else description
        )

    def add_data(self, name: str, description: Any) -> str:
        """Add a part for data that code may change while it runs; return the name of the part.

        Two values of the same name, such as those of a decorator that is used twice, have one part with the hash of both.
        """
        part = f"data {name}"
        digest = hash_json(description)
        if part not in self.parts:
            self.parts[part] = digest
        elif self.parts[part] != digest:
            self.add_part(part, description)
        return part
