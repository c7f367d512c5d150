"""The walk over what functions and classes refer to, as `ogive.source.identity` describes it."""

from __future__ import annotations

import copyreg
import functools
import hashlib
import inspect
import json
import sys
from collections import deque
from collections.abc import Mapping
from enum import Enum
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from ogive.source import bytecode, files, objects

DEPTH = 20
"""Steps that are followed from a function or class to what it uses, and from there on."""
OBJECTS = 20_000
"""Objects and values that are looked at."""

_DYNAMIC = frozenset({"getattr", "globals", "vars", "eval", "exec"})
_UNNAMED = frozenset({"import_module", "__import__", "__subclasses__"})
"""What reaches code by names that are put together when it runs."""
_HANDLES = frozenset(
    "logging threading _thread _io io weakref queue asyncio multiprocessing socket subprocess tempfile _contextvars "
    "contextvars concurrent".split()
)
"""Modules whose objects stand for something outside of the program, and hold no code or value of the user's."""
_OWN_NAMES = frozenset(
    "__module__ __qualname__ __doc__ __dict__ __weakref__ __annotations__ __annotate__ __annotate_func__ __match_args__ "
    "__abstractmethods__ _abc_impl __slotnames__ __firstlineno__ __static_attributes__ __orig_bases__ __parameters__ "
    "__dataclass_fields__ __dataclass_params__ __annotations_cache__".split()
)
"""Names in a class that say nothing of what it does, or are made from what does."""
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))


def short_hash(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `value` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class Walk:
    """Follows references breadth first, so that each object is reached by the fewest steps."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        self.missing: list[str] = []
        self.files: dict[str, tuple[int, int]] = {}
        self._names: dict[int, str] = {}
        self._used: dict[str, int] = {}
        self._alive: list[Any] = []  # so that no id is used twice
        self._queue: deque[tuple[Any, str, int]] = deque()
        self._modules: set[str] = set()
        self._inside: set[int] = set()
        self._count = 0
        self._depth = 0

    def root(self, role: str, value: Any) -> None:
        self._depth = 0
        described = self.value(value, role=role)
        if not isinstance(described, str) or not described.startswith(("code ", "installed ")):
            self._add(f"{role} {objects.name_of(value)}", described)
        if isinstance(described, dict) and described.get("text") == "" and callable(value):
            self._miss(f"{role} {objects.name_of(value)}", "it is not written in Python")

    def run(self) -> None:
        while self._queue:
            value, name, self._depth = self._queue.popleft()
            if self._count > OBJECTS or self._depth > DEPTH:
                self._miss(name, f"it lies beyond {DEPTH} steps or {OBJECTS:,} objects")
                return
            seen = self._count
            if isinstance(value, FunctionType):
                self._add(name, self._function(value, name))
            elif isinstance(value, type):
                self._add(name, self._class(value, name))
            else:
                self._add(name, {key: self.value(item) for key, item in objects.members_of(value)})
            if self._count > OBJECTS:
                self._miss(name, f"it refers to {self._count - seen:,} objects and values; {OBJECTS:,} are looked at")
                return

    def _add(self, name: str, own: Any) -> None:
        """Keep the hash of one object, with what was kept under the name before."""
        self.parts[name] = short_hash([self.parts.get(name), own])

    def _miss(self, name: str, reason: str) -> None:
        line = f"{name}: {reason}"
        if line not in self.missing:
            self.missing.append(line)

    # -- values --------------------------------------------------------------------------------------------------

    def value(self, value: Any, names: frozenset[str] = frozenset(), role: str = "") -> Any:
        """`value` as JSON; code of the project by its name, and queued. `names` are used by the code that refers to it."""
        self._count += 1
        if self._count > OBJECTS:
            return "beyond the bounds"
        if type(value) in _PLAIN:
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, ModuleType):
            return self._module(value, names)
        if isinstance(value, (FunctionType, type)):
            return self._code_of(value, role)
        if isinstance(value, MethodType):
            return {"method": self.value(value.__func__, role=role), "of": self.value(value.__self__)}
        if isinstance(value, (functools.partial, functools.partialmethod)):
            parts = [self.value(part) for part in (value.args, value.keywords)]
            return {"partial": [self.value(value.func, role=role), *parts]}
        if id(value) in self._inside:
            return "a cycle"
        self._inside.add(id(value))
        try:
            return self._composed(value, role)
        finally:
            self._inside.discard(id(value))

    def _composed(self, value: Any, role: str) -> Any:
        kind = type(value)
        if isinstance(value, Enum):
            return {"enum": [self.value(kind, role=role), value.name]}
        if isinstance(value, (list, tuple)):
            return {"sequence": [self.value(kind), *map(self.value, value)], **self._attributes(value)}
        if isinstance(value, (set, frozenset)):
            items = sorted(json.dumps(self.value(item)) for item in value)
            return {"set": [self.value(kind), *items], **self._attributes(value)}
        if isinstance(value, dict) or (isinstance(value, Mapping) and not self._is_project(kind)):
            pairs = [[self.value(key), self.value(item)] for key, item in value.items()]
            factory = getattr(value, "default_factory", None)
            made = {} if factory is None else {"factory": self.value(factory)}
            return {"mapping": [self.value(kind), *pairs], **made, **self._attributes(value)}
        array = objects.array_of(value)
        if array is not None:
            return {"array": array}
        wrapped = inspect.getattr_static(value, "__wrapped__", None)
        if callable(wrapped):  # functools.lru_cache and its like
            return {"wrapper": objects.installed_name(kind), "of": self.value(wrapped, role=role)}
        if isinstance(value, BuiltinFunctionType):
            return self._installed(value.__module__ or type(value.__self__).__module__, value.__qualname__)
        plain: Any = next((base for base in _PLAIN if isinstance(value, base)), None)  # whose subclass it is
        if not self._is_project(kind):
            self._installed(kind.__module__, kind.__qualname__)
            content = self._module_of_layers(value) if plain is None else [repr(value)]
            return {"installed": objects.installed_name(kind), "content": content}
        own = {} if plain is None else {"plain": plain.__repr__(value)}
        return {"instance": self.value(kind, role=role), "state": self.value(objects.state_of(value)), **own}

    def _attributes(self, value: Any) -> dict[str, Any]:
        """The attributes of an instance of a subclass of a container."""
        state = objects.state_of(value) if self._is_project(type(value)) else {}
        return {"state": self.value(state)} if state else {}

    def _module_of_layers(self, value: Any) -> Any:
        """The content of an instance of an installed class. Of the weights of a PyTorch module only the shapes: they are
        drawn when it is made.
        """
        if not (hasattr(value, "_parameters") and hasattr(value, "_modules") and hasattr(value, "_buffers")):
            return self._reduced(value)
        state = dict(vars(value))
        weights = {**state.pop("_parameters"), **state.pop("_buffers")}
        shapes = {name: None if tensor is None else list(tensor.shape) for name, tensor in weights.items()}
        return [shapes, self.value(state)]

    def _reduced(self, value: Any) -> Any:
        """The content as pickle would keep it: attributes, items, what makes it."""
        kind = type(value)
        if kind.__module__.partition(".")[0] in _HANDLES:
            return None
        try:
            registered = copyreg.dispatch_table.get(kind)
            reduced = value.__reduce_ex__(4) if registered is None else registered(value)
        except Exception:  # noqa: BLE001 - what cannot be pickled raises as it likes
            text = repr(value)
            if " at 0x" in text:
                self._miss(objects.installed_name(kind), "it cannot be pickled, so nothing is known of its content")
            return [text]
        if isinstance(reduced, str):
            return [reduced]
        make, arguments, *rest = reduced
        return [self.value(part) for part in (make, arguments, *(rest[:1]), *(list(part or ()) for part in rest[1:3]))]

    # -- functions and classes -----------------------------------------------------------------------------------

    def _code_of(self, value: FunctionType | type, role: str) -> Any:
        """A function or class of the project by its name, which is queued; an installed one by its package's version."""
        if id(value) in self._names:
            return f"code {self._names[id(value)]}"
        if not self._is_project(value):
            name = value.__globals__.get("__name__", "") if isinstance(value, FunctionType) else value.__module__
            installed = self._installed(name, value.__qualname__)
            inside = [self._code_inside(cell) for cell in objects.cells_of(value).values()]  # a decorator's
            wrapped = getattr(value, "__wrapped__", None) if isinstance(value, FunctionType) else None
            inside += [] if wrapped is None else [self.value(wrapped, role=role)]
            inside = [item for item in inside if item is not None]
            return {"installed": installed, "around": inside} if inside else installed
        name = self._unused(" ".join(filter(None, (role, objects.name_of(value)))))
        self._names[id(value)] = name
        self._alive.append(value)
        self._queue.append((value, name, self._depth + 1))
        return f"code {name}"

    def _unused(self, name: str) -> str:
        """`name`, with a number where another object (a lambda, a class that a function makes) has it."""
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else f"{name}#{self._used[name]}"

    def _code_inside(self, value: Any) -> Any:
        """What an installed decorator keeps of the project's code."""
        if isinstance(value, dict):
            found = [self._code_inside(item) for item in value.values()]
            return [item for item in found if item is not None] or None
        if isinstance(value, (FunctionType, type, MethodType, functools.partial)):
            return self.value(value)
        return None

    def _is_project(self, value: FunctionType | type) -> bool:
        if isinstance(value, FunctionType):
            file = value.__code__.co_filename
            if files.is_real(file):
                return not files.is_installed(file)
            module = value.__globals__.get("__name__", "")
        else:
            module = value.__module__
        return files.is_project_module(module)

    def _installed(self, module: str, qualname: str) -> str:
        """An object of an installed package, whose version becomes a part."""
        top = module.partition(".")[0]
        version = files.version(top)
        if version is not None:
            self.parts[f"package {top}"] = version
        return f"installed {module}:{qualname}"

    def _function(self, function: FunctionType, name: str) -> Any:
        code = function.__code__
        self._check_source(code, function.__globals__.get("__name__", ""), name)
        global_names = bytecode.global_names(code)
        names = bytecode.names(code) - (_DYNAMIC - global_names)  # `model.eval()` is no call of the builtin
        if names & _UNNAMED:
            self._miss(name, f"it finds code by names that it puts together ({', '.join(sorted(names & _UNNAMED))})")
        used = sorted(global_names & function.__globals__.keys() - {"__file__"})
        found = {key: function.__globals__[key] for key in used}
        own = {
            "code": bytecode.digest(code),
            "defaults": [self.value(value) for value in function.__defaults__ or ()],
            "keywords": {key: self.value(value) for key, value in (function.__kwdefaults__ or {}).items()},
            "closure": {key: self.value(value, names) for key, value in objects.cells_of(function).items()},
            "globals": {key: self._global(function, key, value, names) for key, value in found.items()},
            "imports": self._imports(code, function.__globals__.get("__package__") or ""),
        }
        if global_names & {"globals", "vars", "eval", "exec"}:
            own["module"] = self._module(sys.modules.get(function.__globals__.get("__name__", "")), names)
        wrapped = function.__dict__.get("__wrapped__")
        return own if wrapped is None else {**own, "wrapped": self.value(wrapped)}

    def _global(self, function: FunctionType, key: str, value: Any, names: frozenset[str]) -> Any:
        """A global of a function; a container is a part of its own, since it may be filled while the code runs."""
        place = files.inside_project(value, function.__code__.co_filename, function.__globals__.get("__name__", ""))
        if place is not None:
            return f"{type(value).__name__} of the project: {place}"
        described = self.value(value, names)
        if not isinstance(value, (list, dict, set)):
            return described
        name = f"data {objects.name_of(function).rpartition('.')[0] or function.__globals__.get('__name__', '')}.{key}"
        self.parts[name] = short_hash(described)
        return name

    def _class(self, cls: type, name: str) -> Any:
        members = {key: value for key, value in vars(cls).items() if key not in _OWN_NAMES}
        generated = objects.generated_in(cls)
        own: dict[str, Any] = {"bases": [self.value(base) for base in (type(cls), *cls.__bases__)]}
        fields: Mapping[str, Any] = vars(cls).get("__dataclass_fields__", {})
        own["fields"] = [[key, self.value(f.default), self.value(f.default_factory)] for key, f in fields.items()]
        for key, value in members.items():
            function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            code = (
                inspect.unwrap(function).__code__ if isinstance(function, FunctionType) and key in generated else None
            )
            if code is not None and not files.is_real(code.co_filename):
                own[key] = bytecode.digest(code)
            elif not isinstance(value, (GetSetDescriptorType, MemberDescriptorType)):
                own[key] = self._member(value, name)
        if not any(isinstance(value, FunctionType) for value in members.values()):
            self._check_module_file(cls.__module__, name)
        return own

    def _member(self, value: Any, name: str) -> Any:
        """What stands in the body of the class `name`; its methods are part of it."""
        match value:
            case FunctionType() if self._is_project(value) and id(value) not in self._names:
                self._names[id(value)] = name
                self._alive.append(value)
                return self._function(value, name)
            case staticmethod() | classmethod():
                return {type(value).__name__: self._member(value.__func__, name)}
            case property():
                return {"property": [self._member(f, name) for f in (value.fget, value.fset, value.fdel)]}
            case functools.cached_property():
                return {"property": [self._member(value.func, name)]}
        return self.value(value)

    # -- modules -------------------------------------------------------------------------------------------------

    def _module(self, module: ModuleType | None, names: frozenset[str]) -> Any:
        """The attributes of a project's module that are used, or all of it where nobody can say which."""
        if module is None or not files.is_project_module(module.__name__):
            return None if module is None else self._installed(module.__name__, "")
        used = {key: vars(module)[key] for key in sorted(names) if key in vars(module) and key not in _OWN_NAMES}
        if used and not names & _DYNAMIC:
            if id(module) in self._inside:
                return f"module {module.__name__}"
            self._inside.add(id(module))
            try:
                return {key: self.value(value, names) for key, value in used.items()}
            finally:
                self._inside.discard(id(module))
        name = f"module {module.__name__}"
        if id(module) not in self._names:
            self._names[id(module)] = name
            self._queue.append((module, name, self._depth + 1))
        return f"code {name}"

    def _imports(self, code: CodeType, package: str) -> list[str]:
        """Project modules that are imported when the code runs: by their files, whether they are loaded or not."""
        imported = []
        for name in bytecode.imports(code, package):
            for found in files.find(name):
                if found.installed:
                    self._installed(found.name, "")
                    continue
                imported.append(f"code module {found.name}")
                if found.name not in self._modules:
                    self._modules.add(found.name)
                    self._file(found)
        return imported

    def _file(self, module: files.Found) -> None:
        name = f"module {module.name}"
        code = files.compiled(module.file)
        if code is None:
            self._miss(name, f"{module.file} cannot be read as Python")
            return
        self.files[module.file] = files.state(module.file)
        self._add(name, [bytecode.digest(code), self._imports(code, module.package)])

    # -- source --------------------------------------------------------------------------------------------------

    def _check_source(self, code: CodeType, module: str, name: str) -> None:
        """Note the file of a function, or why its source is missing."""
        file = code.co_filename
        if not files.has_source(file):
            self._miss(name, f"it has no source file ({file})")
            return
        self.files[file] = files.state(file)
        if module != "__main__" and not files.holds(file, code):  # what is in __main__ travels by value
            self._miss(name, f"the loaded code is not what {file} holds now")

    def _check_module_file(self, module: str, name: str) -> None:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None and files.has_source(file):
            self.files[file] = files.state(file)
        elif module != "__main__":
            self._miss(name, f"the module {module} has no source file")
