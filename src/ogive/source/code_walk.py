"""The walk over what functions and classes refer to, as `ogive.source.identity` describes it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections import deque
from collections.abc import Iterable
from enum import Enum
from importlib.util import resolve_name
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

from ogive.source import bytecode, module_statements, objects, project_files
from ogive.source.json_values import OBJECTS, Values

__all__ = ["DEPTH", "OBJECTS", "Walk"]

DEPTH = 20
"""Steps that are followed from a function or class to what it uses, and from there on."""

_DYNAMIC = frozenset({"globals", "vars", "locals", "eval", "exec"})
"""Builtins that reach names which stand nowhere in the bytecode."""
_UNNAMED = frozenset({"import_module", "__import__", "__subclasses__"})
"""What reaches code by names that are put together when it runs."""
_OPERATORS = frozenset("aten prim prims quantized torchvision torchaudio c10d _c10d_functional higher_order".split())
"""Operators of `torch.ops` that are installed."""
_OWN_NAMES = frozenset(
    "__module__ __qualname__ __doc__ __dict__ __weakref__ __annotations__ __annotate__ __annotate_func__ __match_args__ "
    "__abstractmethods__ _abc_impl __slotnames__ __firstlineno__ __static_attributes__ __orig_bases__ __parameters__ "
    "__dataclass_fields__ __dataclass_params__ __annotations_cache__ __signature__".split()
)
"""Names in a class that say nothing of what it does, or are made from what does."""
_PLACES = frozenset("__name__ __file__ __path__ __package__ __spec__ __loader__ __cached__".split())
"""Attributes of a module that say where it is."""


class Walk(Values):
    """Follows references breadth first, so that each object is reached by the fewest steps."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[int, str] = {}
        self._used: dict[str, int] = {}
        self._alive: list[Any] = []  # so that no id is used twice
        self._queue: deque[tuple[Any, str, int]] = deque()
        self._modules: set[str] = set()
        self._imported: set[str] = set()
        self._depth = 0

    def root(self, role: str, value: Any) -> None:
        self._depth = 0
        self.current = f"{role} {objects.name_of(value)}"
        try:
            described = self.value(value, role=role)
        except Exception as error:  # noqa: BLE001 - objects of users raise as they like when they are looked at
            described = "unknown"
            self.miss(self.current, f"looking at it raises {type(error).__name__}: {error}")
        if not isinstance(described, str) or not described.startswith(("code ", "installed ")):
            self.add(self.current, described)
        if isinstance(described, dict) and described.get("text") == "" and callable(value):
            self.miss(self.current, "it is not written in Python")

    def run(self) -> None:
        while self._queue:
            value, self.current, self._depth = self._queue.popleft()
            if self.count > OBJECTS or self._depth > DEPTH:
                self.miss(self.current, f"it lies beyond {DEPTH} steps or {OBJECTS:,} objects")
                return
            seen = self.count
            try:
                self.add(self.current, self._part(value))
            except Exception as error:  # noqa: BLE001 - objects of users raise as they like when they are looked at
                self.miss(self.current, f"looking at it raises {type(error).__name__}: {error}")
            if self.count > OBJECTS:
                looked = f"{self.count - seen:,} objects and values; {OBJECTS:,} are looked at"
                self.miss(self.current, f"it refers to {looked}")
                return

    def _part(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._function(value, self.current)
        if isinstance(value, type):
            return self._class(value, self.current)
        self._import_effects(value.__name__)
        return {key: self._attribute(value, key, item) for key, item in objects.members_of(value)}

    # -- functions -----------------------------------------------------------------------------------------------

    def code_of(self, value: FunctionType | type, role: str) -> Any:
        """A function or class of the project by its name, which is queued; an installed one by its package's version."""
        if id(value) in self._names:
            return f"code {self._names[id(value)]}"
        if not self.is_project(value):
            return self._installed_code(value, role)
        name = self._unused(" ".join(filter(None, (role, objects.name_of(value)))))
        self._names[id(value)] = name
        self._alive.append(value)
        self._queue.append((value, name, self._depth + 1))
        return f"code {name}"

    def _unused(self, name: str) -> str:
        """`name`, with a number where another object (a lambda, a class that a function makes) has it."""
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else f"{name}#{self._used[name]}"

    def _installed_code(self, value: FunctionType | type, role: str) -> Any:
        if isinstance(value, type):
            return self.installed(objects.module_of(value), value.__qualname__)
        installed = self.installed(value.__globals__.get("__name__", ""), value.__code__.co_qualname)
        own = {"installed": installed, "around": self.kept_by(value)}
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            own["wrapped"] = self.value(wrapped, role=role)
        return own if own["around"] or wrapped is not None else installed

    def _function(self, function: FunctionType, name: str) -> Any:
        code, module = function.__code__, function.__globals__.get("__name__", "")
        self.check_source(code, module, name)
        self._import_effects(module)
        used = bytecode.uses(code)
        self._check_lookups(code, used.keys(), name)
        self._check_defaults(function)
        kept = {key: value for key, value in function.__dict__.items() if not key.startswith("__")}
        own: dict[str, Any] = {
            "code": bytecode.digest(code),
            "defaults": [self.value(value) for value in function.__defaults__ or ()],
            "keywords": {key: self.value(value) for key, value in (function.__kwdefaults__ or {}).items()},
            "closure": {
                key: self.value(value, used.get(key, bytecode.ESCAPES))
                for key, value in objects.cells_of(function).items()
            },
            "globals": self._globals(code, function.__globals__, module),
            "imports": self._imports(code, function.__globals__.get("__package__") or ""),
            "attributes": {
                key: self._held(module, code.co_filename, f"{function.__qualname__}.{key}", value)
                for key, value in kept.items()
            },
        }
        if used.keys() & _DYNAMIC - function.__globals__.keys():
            own["module"] = None if module not in sys.modules else self.value(sys.modules[module])
            own["locals"] = [inner.co_varnames for inner in bytecode.nested(code)]
        wrapped = function.__dict__.get("__wrapped__")
        return own if wrapped is None else {**own, "wrapped": self.value(wrapped)}

    def _globals(self, code: CodeType, scope: dict[str, Any], module: str) -> dict[str, Any]:
        """The globals that a code object uses."""
        used = bytecode.uses(code)
        names = bytecode.global_names(code) & scope.keys() - _PLACES
        return {
            key: self._held(module, code.co_filename, key, scope[key], used.get(key, bytecode.ESCAPES))
            for key in sorted(names)
        }

    def _check_lookups(self, code: CodeType, used: Iterable[str], name: str) -> None:
        """Note code that finds other code by names that nobody knows before it runs."""
        found = {*(bytecode.names(code) & _UNNAMED)}
        if not bytecode.dotted(code).isdisjoint({"sys.modules"}) or "sys.modules" in bytecode.imports(code, ""):
            found.add("sys.modules")
        found |= {text for text in bytecode.dotted(code) if _is_operator(text)}
        if found:
            self.miss(name, f"it finds code by names that it puts together ({', '.join(sorted(found))})")

    # -- classes -------------------------------------------------------------------------------------------------

    def _class(self, cls: type, name: str) -> Any:
        self._import_effects(cls.__module__)
        members = {key: value for key, value in vars(cls).items() if key not in _OWN_NAMES}
        members = {key: value for key, value in members.items() if not key.startswith("__pydantic_")}
        generated = objects.generated_in(cls)
        own: dict[str, Any] = {"bases": [self.value(base) for base in (type(cls), *cls.__bases__)]}
        own["fields"] = [[key, *map(self.value, parts)] for key, parts in objects.fields_of(cls).items()]
        own["validators"] = {key: self.value(found) for key, found in objects.validators_of(cls).items()}
        for key, value in members.items():
            function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            code = (
                inspect.unwrap(function).__code__ if isinstance(function, FunctionType) and key in generated else None
            )
            if code is not None and not project_files.is_real(code.co_filename):
                own[key] = bytecode.digest(code)
            elif not isinstance(value, (GetSetDescriptorType, MemberDescriptorType)):
                own[key] = self._member(value, name, cls, key)
        if not any(isinstance(value, FunctionType) for value in members.values()):
            self.check_module_file(cls.__module__, name)
        for key, (default, *_) in objects.fields_of(cls).items():
            self._check_constant(cls.__module__, _file_of(cls.__module__), f"{cls.__qualname__}.{key}", default)
        return own

    def _member(self, value: Any, name: str, cls: type, key: str) -> Any:
        """What stands in the body of the class `name`; its methods are part of it."""
        match value:
            case FunctionType() if self.is_project(value) and id(value) not in self._names:
                self._names[id(value)] = name
                self._alive.append(value)
                return self._function(value, name)
            case staticmethod() | classmethod():
                return {type(value).__name__: self._member(value.__func__, name, cls, key)}
            case property():
                return {"property": [self._member(f, name, cls, key) for f in (value.fget, value.fset, value.fdel)]}
            case functools.cached_property():
                return {"property": [self._member(value.func, name, cls, key)]}
        place, file = f"{cls.__qualname__}.{key}", _file_of(cls.__module__)
        if isinstance(value, Enum) and vars(cls).get("_new_member_") in (object.__new__, int.__new__, str.__new__):
            self._check_constant(cls.__module__, file, place, value.value)
        if key.startswith("__") or issubclass(cls, Enum):
            return self.value(value)
        return self._held(cls.__module__, file, place, value)

    # -- modules and what they hold ------------------------------------------------------------------------------

    def module_used(self, module: ModuleType, chains: Iterable[bytecode.Chain]) -> Any:
        """The attributes of a project's module that are used, or all of it where nobody can say which."""
        chains = set(chains)
        if not project_files.is_project_module(module.__name__):
            self._check_installed(module.__name__, chains)
            return self.installed(module.__name__, "")
        self.note_file(module)
        self._import_effects(module.__name__)
        if not chains.isdisjoint({(), ("__dict__",)}) or any(chain[0] == "__dict__" for chain in chains):
            return self._whole(module)
        if id(module) in self.inside:
            return f"module {module.__name__}"
        self.inside.add(id(module))
        try:
            return {key: self._read(module, key, chains) for key in sorted({chain[0] for chain in chains} - _PLACES)}
        finally:
            self.inside.discard(id(module))

    def _read(self, module: ModuleType, key: str, chains: set[bytecode.Chain]) -> Any:
        """One attribute that is read of a module, and what is read of it."""
        if key not in vars(module):
            return self.value(vars(module).get("__getattr__"))
        return self._attribute(module, key, vars(module)[key], {chain[1:] for chain in chains if chain[0] == key})

    def _attribute(
        self, module: ModuleType, key: str, value: Any, chains: Iterable[bytecode.Chain] = bytecode.ESCAPES
    ) -> Any:
        return self._held(module.__name__, getattr(module, "__file__", None) or "<unknown>", key, value, chains)

    def _whole(self, module: ModuleType) -> str:
        name = f"module {module.__name__}"
        if id(module) not in self._names:
            self._names[id(module)] = name
            self._queue.append((module, name, self._depth + 1))
        return f"code {name}"

    def _check_installed(self, module: str, chains: Iterable[bytecode.Chain]) -> None:
        for text in (".".join((module, *chain)) for chain in chains):
            if text == "sys.modules" or text.startswith("sys.modules.") or _is_operator(text):
                self.miss(self.current, f"it finds code by names that it puts together ({text})")

    def _held(
        self, module: str, file: str, place: str, value: Any, chains: Iterable[bytecode.Chain] = bytecode.ESCAPES
    ) -> Any:
        """A value that a module, a class or a function keeps under a name.

        A container, or what code assigns, is a part of its own, since it may change while the code runs.
        """
        path = project_files.inside_project(value, file, module)
        if path is not None:
            return f"{type(value).__name__} of the project: {path}"
        text = module_statements.of(file)
        if text.is_filled(place):
            return {"filled": sorted(text.constants[place] or ()), "by": self._fillers(module, text.rebound[place])}
        before, self.drawn = self.drawn, False
        described = self.value(value, chains)
        if self.drawn and module in sys.modules:
            described = [described, self._made(sys.modules[module], file, place)]
        self.drawn |= before
        self._check_constant(module, file, place, value)
        return (
            self.data(f"{module}.{place}", described) if place in text.rebound or self._may_change(value) else described
        )

    def _may_change(self, value: Any) -> bool:
        """Whether code may change a value without assigning it: containers, arrays, generators, objects with a state."""
        kind = type(value)
        if self.is_project(kind):
            return isinstance(value, objects.FILLABLE) or any(
                map(objects.assigns_itself, filter(self.is_project, kind.__mro__))
            )
        return isinstance(value, (*objects.FILLABLE, deque)) or objects.is_array(value) or objects.is_generator(value)

    def _made(self, module: ModuleType, file: str, place: str, steps: int = 5) -> Any:
        """The statements that make a global whose content does not tell all, in the module that it comes from."""
        source = _source_of(module.__name__, file, place)
        if (
            source is not None
            and steps
            and project_files.is_project_module(source[0].__name__)
            and self.note_file(source[0])
        ):
            return self._made(source[0], source[0].__file__ or "", source[1], steps - 1)
        making = module_statements.of(file).making(place)
        return None if making is None else self._executed(making, module)

    def _fillers(self, module: str, rebound: module_statements.Rebound) -> list[Any]:
        """The functions that assign a global or an attribute: themselves, or the classes that they stand in."""
        scope = vars(sys.modules[module]) if module in sys.modules else {}
        names = sorted({name.partition(".")[0] for name in rebound.functions} & scope.keys())
        return [self.value(scope[name]) for name in names]

    # -- the text of modules -------------------------------------------------------------------------------------

    def _check_constant(self, module: str, file: str, place: str, value: Any, steps: int = 5) -> None:
        """Note a constant that is another in the file, as it is now, than what is loaded."""
        text = module_statements.plain_text(value)
        if module == "__main__" or text is None or not project_files.is_real(file):
            return
        found = module_statements.of(file)
        if found.is_rebound(place) or (type(value) in objects.FILLABLE and not project_files.may_be_edited(file)):
            return
        source = _source_of(module, file, place)
        if source is not None:
            if steps and project_files.is_project_module(source[0].__name__) and self.note_file(source[0]):
                self._check_constant(source[0].__name__, source[0].__file__ or "", source[1], value, steps - 1)
        elif found.constants.get(place) and not found.may_hold(place, value):
            self.miss(self.current, f"the loaded {place} is not what {file} holds now")

    def _check_defaults(self, function: FunctionType) -> None:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        defaults = function.__defaults__ or ()
        found = dict(zip(names[len(names) - len(defaults) :], defaults, strict=False)) | (function.__kwdefaults__ or {})
        for name, default in found.items():
            place = f"{code.co_qualname}({name})"
            self._check_constant(function.__globals__.get("__name__", ""), code.co_filename, place, default)

    def _import_effects(self, module: str) -> None:
        """What the import of a module, and of what it imports, changes outside of them: settings, functions of others."""
        names = [module]
        while names:
            name = names.pop()
            loaded = sys.modules.get(name)
            if name in self._imported or name in ("", "__main__") or loaded is None:
                continue
            self._imported.add(name)
            if not project_files.is_project_module(name) or not project_files.has_source(
                getattr(loaded, "__file__", None) or "<>"
            ):
                continue
            text = module_statements.of(loaded.__file__ or "")
            if text.effects is not None:
                self.note_file(loaded)
                self.add(f"import {name}", self._executed(text.effects, loaded))
            for imported, level in text.modules:
                parts = _absolute(imported, level, loaded.__package__ or "").split(".")
                names += [".".join(parts[: i + 1]) for i in range(len(parts))]

    def _executed(self, code: CodeType, module: ModuleType) -> Any:
        """Statements at the top level of a module, with the code and the constants that they use."""
        scope = {
            key: value
            for key, value in vars(module).items()
            if isinstance(value, (FunctionType, type, ModuleType)) or objects.is_constant(value)
        }
        return [bytecode.digest(code), self._globals(code, scope, module.__name__)]

    def _imports(self, code: CodeType, package: str) -> list[str]:
        """Project modules that are imported when the code runs: by their files, whether they are loaded or not."""
        imported = []
        for name in bytecode.imports(code, package):
            for found in project_files.find(name):
                if found.installed:
                    self.installed(found.name, "")
                    continue
                imported.append(f"code module {found.name}")
                if found.name not in self._modules:
                    self._modules.add(found.name)
                    self._file(found)
        return imported

    def _file(self, module: project_files.ProjectFiles) -> None:
        name = f"module {module.name}"
        code = project_files.compiled(module.file)
        if code is None:
            self.miss(name, f"{module.file} cannot be read as Python")
            return
        self.files[module.file] = project_files.state(module.file)
        self.add(name, [bytecode.digest(code), self._imports(code, module.package)])


def _is_operator(text: str) -> bool:
    """Whether it is an operator of PyTorch that may be the project's."""
    parts = text.split(".")
    return parts[:2] == ["torch", "ops"] and len(parts) > 2 and parts[2] not in _OPERATORS


def _file_of(module: str) -> str:
    return getattr(sys.modules.get(module), "__file__", None) or "<unknown>"


def _source_of(module: str, file: str, place: str) -> tuple[ModuleType, str] | None:
    """The module from which a global is imported, and its name there; None for what is not imported."""
    imported = module_statements.of(file).imported.get(place)
    if imported is None:
        return None
    package = getattr(sys.modules.get(module), "__package__", None) or ""
    source = sys.modules.get(_absolute(*imported[:2], package))
    return None if source is None else (source, imported[2])


def _absolute(name: str, level: int, package: str) -> str:
    try:
        return resolve_name("." * level + name, package) if level else name
    except ImportError:
        return ""
