"""Values as JSON: by their content, and code among them by its name."""

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
from ogive.source.module_statements import PLAIN, plain_text
from ogive.source.walk_record import WalkRecord

OBJECTS = 20_000
"""Objects and values that are looked at."""
NESTED = 150
"""Values inside each other; each takes a few frames of Python's stack."""

_HANDLES = frozenset(
    "logging threading _thread _io io weakref _weakref queue asyncio multiprocessing socket subprocess tempfile "
    "_contextvars contextvars concurrent".split()
)
"""Modules whose objects stand for something outside of the program, and hold no code or value of the user's."""
_RUNNING = frozenset({"running_mean", "running_var", "num_batches_tracked"})
"""Buffers that a PyTorch module in training changes by itself."""
_UNKNOWN = "unknown"


class Values(WalkRecord):
    """Describes values. `Walk` says what code and modules are described by."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.drawn = False
        """Whether a PyTorch module was described without its weights."""
        self.inside: set[int] = set()

    def code_of(self, value: FunctionType | type, role: str) -> Any:
        raise NotImplementedError

    def module_used(self, module: ModuleType, chains: Iterable[bytecode.Chain]) -> Any:
        raise NotImplementedError

    def value(self, value: Any, chains: Iterable[bytecode.Chain] = bytecode.ESCAPES, role: str = "") -> Any:
        """`value` as JSON; code of the project by its name, and queued. `chains` is what is read of a module."""
        self.count += 1
        if self.count > OBJECTS:
            return "beyond the bounds"
        if type(value) in PLAIN:
            return plain_text(value)
        if isinstance(value, ModuleType):
            return self.module_used(value, chains)
        if id(value) in self.inside:
            return "a cycle"
        if len(self.inside) >= NESTED:
            self.miss(self.current, f"it refers to more than {NESTED} values inside each other")
            return "beyond the bounds"
        self.inside.add(id(value))
        try:
            return self._described(value, role)
        finally:
            self.inside.discard(id(value))

    def _described(self, value: Any, role: str) -> Any:
        if isinstance(value, (FunctionType, type)):
            return self.code_of(value, role)
        if isinstance(value, MethodType):
            return {"method": self.value(value.__func__, role=role), "of": self.value(value.__self__)}
        if isinstance(value, (functools.partial, functools.partialmethod)):
            parts = [self.value(part) for part in (value.args, value.keywords)]
            return {"partial": [self.value(value.func, role=role), *parts]}
        if isinstance(value, Enum):
            return {"enum": [self.value(type(value), role=role), value.name]}
        if value is sys.modules:
            self.miss(self.current, "it finds code by names that it puts together (sys.modules)")
            return _UNKNOWN
        if not self.is_project(type(value)):
            own = objects.global_in_its_module(value)
            if own is not None:
                return self.installed(objects.module_of(type(value)), own)
        return self._composed(value, role)

    def _composed(self, value: Any, role: str) -> Any:
        kind = type(value)
        if isinstance(value, (list, tuple)):
            return {"sequence": [self.value(kind), *map(self.value, value)], **self._attributes(value)}
        if isinstance(value, (set, frozenset)):
            items = sorted(json.dumps(self.value(item)) for item in sorted(value, key=objects.order))
            return {"set": [self.value(kind), *items], **self._attributes(value)}
        if isinstance(value, dict) or (isinstance(value, Mapping) and not self.is_project(kind)):
            pairs = [[self.value(key), self.value(item)] for key, item in value.items()]
            factory = getattr(value, "default_factory", None)
            made = {} if factory is None else {"factory": self.value(factory)}
            return {"mapping": [self.value(kind), *pairs], **made, **self._attributes(value)}
        array = objects.array_of(value)
        if array is not None:
            return {"array": array, **({"kind": self.value(kind)} if self.is_project(kind) else {})}
        wrapped = inspect.getattr_static(value, "__wrapped__", None)
        if callable(wrapped):  # functools.lru_cache and its like
            return {"wrapper": objects.installed_name(kind), "of": self.value(wrapped, role=role)}
        builtin = self._builtin(value)
        return self._instance(value) if builtin is None else builtin

    def _builtin(self, value: Any) -> Any:
        """A function or a bound method that is not written in Python; None for all else."""
        if isinstance(value, BuiltinFunctionType):
            if isinstance(value.__module__, str):
                return self._compiled(value.__module__, value.__qualname__)
            owner = value.__self__  # of a method
            if owner is None or isinstance(owner, ModuleType):
                return self._compiled(getattr(owner, "__name__", "builtins"), value.__qualname__)
            return {"builtin": value.__qualname__, "of": self.value(owner)}
        return self._compiled(value.__module__, value.__qualname__) if objects.is_compiled_function(value) else None

    def _compiled(self, module: str, qualname: str) -> str:
        if project_files.is_project_module(module):
            self.miss(f"{module}.{qualname}", "it is not written in Python")
        return self.installed(module, qualname)

    def _instance(self, value: Any) -> Any:
        kind = type(value)
        plain: Any = next((base for base in PLAIN if isinstance(value, base)), None)  # whose subclass it is
        if not self.is_project(kind):
            self.installed(objects.module_of(kind), kind.__qualname__)
            content = [repr(value)] if plain is not None else self._reduced(value)
            if objects.is_layers(value):
                content = self._layers(value)
            return {"installed": objects.installed_name(kind), "content": content}
        own = {} if plain is None else {"plain": plain.__repr__(value)}
        state = self._layers(value) if objects.is_layers(value) else self.value(objects.state_of(value))
        return {"instance": self.value(kind), "state": state, **own}

    def _attributes(self, value: Any) -> dict[str, Any]:
        """The attributes of an instance of a subclass of a container."""
        state = objects.state_of(value) if self.is_project(type(value)) else {}
        return {"state": self.value(state)} if state else {}

    # -- instances of classes ------------------------------------------------------------------------------------

    def _layers(self, value: Any) -> Any:
        """The content of a PyTorch module. Weights that are to be trained are drawn when it is made: their shapes count."""
        state = dict(vars(value))
        parameters, buffers = state.pop("_parameters"), state.pop("_buffers")
        weights = {name: self._weight(tensor, value.training) for name, tensor in parameters.items()}
        for name, tensor in buffers.items():
            weights[name] = "running" if value.training and name in _RUNNING else self.value(tensor)
        if isinstance(graph := getattr(value, "code", None), str) and "_graph" in state:
            state["_graph"] = graph  # of `torch.fx`, whose nodes are linked
        for name in [name for name, hooks in state.items() if name.endswith("_hooks") and isinstance(hooks, dict)]:
            state[name] = list(state[name].values())  # the keys are numbers that count up in a process
        return [weights, self.value(state)]

    def _weight(self, tensor: Any, training: bool) -> Any:
        if tensor is None or not (training and tensor.requires_grad):
            return self.value(tensor)
        self.drawn = True
        try:
            shape = list(tensor.shape)
        except (RuntimeError, ValueError):  # of a lazy layer
            shape = []
        return {"drawn": shape, "dtype": str(tensor.dtype)}

    def _reduced(self, value: Any) -> Any:
        """The content as pickle would keep it: attributes, items, what makes it."""
        kind = type(value)
        if objects.module_of(kind).partition(".")[0] in _HANDLES or objects.is_layers(value):
            return None
        try:
            registered = copyreg.dispatch_table.get(kind)
            reduced = value.__reduce_ex__(4) if registered is None else registered(value)
        except Exception:  # noqa: BLE001 - what cannot be pickled raises as it likes
            text = repr(value)
            if " at 0x" not in text:
                return [text]
            self.miss(objects.installed_name(kind), "it cannot be pickled, so nothing is known of its content")
            return _UNKNOWN
        if isinstance(reduced, str):
            return [reduced]
        make, arguments, *rest = reduced
        return [self.value(part) for part in (make, arguments, *(rest[:1]), *(list(part or ()) for part in rest[1:3]))]

    # -- what installed decorators keep --------------------------------------------------------------------------

    def kept_by(self, function: FunctionType) -> dict[str, Any]:
        """What the closure of an installed function keeps, without what that function itself assigns."""
        cells = objects.cells_of(function)
        return {
            name: self._kept(cell, f"{objects.name_of(function)}.{name}")
            for name, cell in cells.items()
            if name not in bytecode.assigned_cells(function.__code__)
        }

    def _kept(self, value: Any, name: str) -> Any:
        """Code and constants by value, containers item by item; of an installed object its attributes that are constants."""
        self.count += 1
        if id(value) in self.inside or len(self.inside) >= NESTED or self.count > OBJECTS:
            return "a cycle"
        if isinstance(value, MethodType):
            return {"method": self.value(value.__func__), "of": self._kept(value.__self__, name)}
        kind = type(value)
        is_code = isinstance(value, (FunctionType, type, ModuleType, functools.partial, BuiltinFunctionType))
        if is_code or objects.is_constant(value) or self.is_project(kind) or objects.array_of(value) is not None:
            return self.value(value)
        if isinstance(value, (tuple, frozenset)) or kind in objects.FILLABLE:
            self.inside.add(id(value))
            try:
                return self._kept_items(value, name)
            finally:
                self.inside.discard(id(value))
        if objects.module_of(kind).partition(".")[0] in _HANDLES or isinstance(value, Mapping):
            return objects.installed_name(kind)
        state = {key: item for key, item in objects.state_of(value).items() if not key.startswith("prev")}
        constants = {key: self.value(item) for key, item in state.items() if objects.is_constant(item)}
        return {"installed": objects.installed_name(kind), "attributes": constants}

    def _kept_items(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            described = [[self._kept(part, name) for part in pair] for pair in value.items()]
        else:
            items = sorted(value, key=objects.order) if isinstance(value, (set, frozenset)) else value
            described = [self._kept(item, name) for item in items]
            described = sorted(described, key=json.dumps) if isinstance(value, (set, frozenset)) else described
        return self.data(name, described) if type(value) in objects.FILLABLE and described else described

    def data(self, name: str, described: Any) -> str:
        """What code may fill or assign while it runs is a part of its own."""
        name = f"data {name}"
        if self.parts.get(name) != hash_json(described):
            self.add(name, described) if name in self.parts else self.parts.update({name: hash_json(described)})
        return name
