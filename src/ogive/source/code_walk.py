"""The walk over all code and data that functions and classes refer to; see `ogive.source.identity`."""

from __future__ import annotations

import functools
import inspect
import sys
from enum import Enum
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from ogive.source import bytecode, objects, project_files
from ogive.source.json_values import MAX_OBJECTS
from ogive.source.module_walk import ModuleWalk, get_module_file, is_project_operator

__all__ = ["MAX_DEPTH", "MAX_OBJECTS", "CodeWalk"]

MAX_DEPTH = 20
"""From an object at which the walk starts, at most this many references are followed one after another."""

_SCOPE_BUILTINS = frozenset({"globals", "vars", "locals", "eval", "exec"})
"""Builtins that can access names that do not occur in the bytecode."""
_LOOKUP_FUNCTIONS = frozenset({"import_module", "__import__", "__subclasses__"})
"""Functions and methods that look up code by names that are computed at run time."""
_IGNORED_MEMBERS = frozenset(
    "__module__ __qualname__ __doc__ __dict__ __weakref__ __annotations__ __annotate__ __annotate_func__ __match_args__ "
    "__abstractmethods__ _abc_impl __slotnames__ __firstlineno__ __static_attributes__ __orig_bases__ __parameters__ "
    "__dataclass_fields__ __dataclass_params__ __annotations_cache__ __signature__".split()
)
"""Members of a class that do not affect its behavior, or that follow from other members."""


class CodeWalk(ModuleWalk):
    """Follows references breadth-first, so that each object is reached in the smallest number of steps.

    The result of a walk is `parts`: for the name of each part, the hash of its description. A part is a function, a class
    with its methods, a module, a value that code may change, or an object from which the walk starts. Where a description
    refers to a function, a class or a whole module of the project, it contains only the name of that part: "code NAME".
    """

    def __init__(self) -> None:
        super().__init__()
        self._name_counts: dict[str, int] = {}
        self._queued: list[Any] = []
        """All queued objects. The references keep them alive, so that no other object can get the same id."""

    def add_root(self, role: str, value: Any) -> None:
        """Describe an object from which the walk starts."""
        self.depth = 0
        self.current = f"{role} {objects.get_display_name(value)}"
        try:
            description = self.describe(value, role=role)
        except Exception as error:  # noqa: BLE001 - objects of users may raise anything when they are examined
            description = "unknown"
            self.add_missing(self.current, f"examining it raises {type(error).__name__}: {error}")
        # The description of a function or class of the project is only a reference, "code NAME": `run` adds the part NAME.
        # The part of installed code is the version of its package, which has been added already.
        if not isinstance(description, str) or not description.startswith(("code ", "installed ")):
            self.add_part(self.current, description)

    def run(self) -> None:
        """Describe all queued objects. Each of them may add further objects to the queue."""
        while self.queue:
            value, self.current, self.depth = self.queue.popleft()
            if self.count > MAX_OBJECTS or self.depth > MAX_DEPTH:
                self.add_missing(
                    self.current,
                    f"the walk over the code ended before this object: at most {MAX_DEPTH} references one after another are "
                    f"followed, and at most {MAX_OBJECTS:,} objects and values are examined",
                )
                return
            count_before = self.count
            try:
                self.add_part(self.current, self._describe_part(value))
            except Exception as error:  # noqa: BLE001 - objects of users may raise anything when they are examined
                self.add_missing(self.current, f"examining it raises {type(error).__name__}: {error}")
            if self.count > MAX_OBJECTS:
                amount = f"{self.count - count_before:,} objects and values"
                self.add_missing(self.current, f"it refers to {amount}; at most {MAX_OBJECTS:,} are examined")
                return

    def _describe_part(self, value: Any) -> Any:
        """Return the description of a function, a class or a whole module."""
        if isinstance(value, FunctionType):
            return self._describe_function(value, self.current)
        if isinstance(value, type):
            return self._describe_class(value, self.current)
        self.add_import_effects(value.__name__)
        return {name: self.describe_attribute(value, name, item) for name, item in objects.list_module_members(value)}

    # -- functions -----------------------------------------------------------------------------------------------

    def describe_code(self, value: FunctionType | type, role: str) -> Any:
        """Return the description of a function or class: a reference to its part, or the name of installed code.

        Code of the project is queued, and `run` describes it later.
        """
        if id(value) in self.part_names:
            return f"code {self.part_names[id(value)]}"
        if not self.is_project_code(value):
            return self._describe_installed_code(value, role)
        name = self._number_name(" ".join(filter(None, (role, objects.get_display_name(value)))))
        self.part_names[id(value)] = name
        self._queued.append(value)
        self.queue.append((value, name, self.depth + 1))
        return f"code {name}"

    def _number_name(self, name: str) -> str:
        """Return `name`, with a number if another object has this name, as lambdas and classes in functions may."""
        self._name_counts[name] = self._name_counts.get(name, 0) + 1
        return name if self._name_counts[name] == 1 else f"{name}#{self._name_counts[name]}"

    def _describe_installed_code(self, value: FunctionType | type, role: str) -> Any:
        """Return the name of installed code; of a function also its closure, and the function that it wraps, if any."""
        if isinstance(value, type):
            return self.describe_installed(objects.get_module_name(value), value.__qualname__)
        installed = self.describe_installed(value.__globals__.get("__name__", ""), value.__code__.co_qualname)
        # "around" are the variables in the closure, such as the function that a decorator wraps.
        description = {"installed": installed, "around": self.describe_installed_closure(value)}
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            description["wrapped"] = self.describe(wrapped, role=role)
        return description if description["around"] or wrapped is not None else installed

    def _describe_function(self, function: FunctionType, name: str) -> Any:
        """Return the description of a function of the project. `name`: the part that `missing` names."""
        code, module = function.__code__, function.__globals__.get("__name__", "")
        self.check_function_file(code, module, name)
        self.add_import_effects(module)
        attribute_chains = bytecode.find_attribute_chains(code)
        self._check_lookups(code, name)
        self._check_defaults(function)
        attributes = {key: value for key, value in function.__dict__.items() if not key.startswith("__")}
        description: dict[str, Any] = {
            "code": bytecode.compute_digest(code),
            "defaults": [self.describe(value) for value in function.__defaults__ or ()],
            "keywords": {key: self.describe(value) for key, value in (function.__kwdefaults__ or {}).items()},
            "closure": {
                key: self.describe(value, attribute_chains.get(key, bytecode.ESCAPES))
                for key, value in objects.get_closure_cells(function).items()
            },
            "globals": self.describe_globals(code, function.__globals__, module),
            "imports": self.describe_imports(code, function.__globals__.get("__package__") or ""),
            "attributes": {
                key: self.describe_variable(
                    value, module=module, file=code.co_filename, variable=f"{function.__qualname__}.{key}"
                )
                for key, value in attributes.items()
            },
        }
        # Builtins such as `eval` can read any variable of the module and any local variable. So the whole module is
        # described, and the names of the local variables, which are not part of the digest of the code. A global variable
        # of the same name hides the builtin.
        shadowed_names = function.__globals__.keys()
        if attribute_chains.keys() & (_SCOPE_BUILTINS - shadowed_names):
            description["module"] = None if module not in sys.modules else self.describe(sys.modules[module])
            description["locals"] = [inner.co_varnames for inner in bytecode.iterate_code(code)]
        wrapped = function.__dict__.get("__wrapped__")
        return description if wrapped is None else {**description, "wrapped": self.describe(wrapped)}

    def _check_lookups(self, code: CodeType, name: str) -> None:
        """Record code in `missing` if it looks up other code by names that are computed at run time."""
        lookups = set(bytecode.find_referenced_names(code) & _LOOKUP_FUNCTIONS)
        accesses = bytecode.find_module_accesses(code)
        if "sys.modules" in accesses or "sys.modules" in bytecode.find_imported_names(code, ""):
            lookups.add("sys.modules")
        lookups |= {text for text in accesses if is_project_operator(text)}
        if lookups:
            names = ", ".join(sorted(lookups))
            self.add_missing(name, f"it looks up code by names that are computed at run time ({names})")

    def _check_defaults(self, function: FunctionType) -> None:
        """Record in `missing` each default value that the source file no longer has.

        This happens if the file was edited after it was imported.
        """
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        positional = function.__defaults__ or ()
        defaults = dict(zip(names[len(names) - len(positional) :], positional, strict=False))
        for name, default in (defaults | (function.__kwdefaults__ or {})).items():
            self.check_constant(
                default,
                module=function.__globals__.get("__name__", ""),
                file=code.co_filename,
                variable=f"{code.co_qualname}({name})",
            )

    # -- classes -------------------------------------------------------------------------------------------------

    def _describe_class(self, cls: type, name: str) -> Any:
        """Return the description of a class of the project, with its methods. `name`: the name of its part."""
        self.add_import_effects(cls.__module__)
        members = {key: value for key, value in vars(cls).items() if key not in _IGNORED_MEMBERS}
        members = {key: value for key, value in members.items() if not key.startswith("__pydantic_")}
        generated = objects.find_generated_methods(cls)
        description: dict[str, Any] = {"bases": [self.describe(base) for base in (type(cls), *cls.__bases__)]}
        description["fields"] = [
            [key, *map(self.describe, parts)] for key, parts in objects.get_declared_fields(cls).items()
        ]
        description["validators"] = {
            key: self.describe(info) for key, info in objects.get_declared_validators(cls).items()
        }
        for key, value in members.items():
            digest = _compute_generated_digest(value) if key in generated else None
            if digest is not None:
                description[key] = digest
            elif not isinstance(value, (GetSetDescriptorType, MemberDescriptorType)):
                description[key] = self._describe_member(value, name, cls, key)
        if not any(isinstance(value, FunctionType) for value in members.values()):
            self.check_module_file(cls.__module__, name)
        for key, (default, *_) in objects.get_declared_fields(cls).items():
            self._check_class_constant(cls, key, default)
        return description

    def _describe_member(self, value: Any, name: str, cls: type, key: str) -> Any:
        """Return the description of a member of a class.

        A method has no part of its own: its description is inside the description of its class.

        Args:
            value: the member.
            name: the name of the part of the class.
            cls: the class.
            key: the name of the member.
        """
        match value:
            case FunctionType() if self.is_project_code(value) and id(value) not in self.part_names:
                self.part_names[id(value)] = name
                self._queued.append(value)
                return self._describe_function(value, name)
            case staticmethod() | classmethod():
                return {type(value).__name__: self._describe_member(value.__func__, name, cls, key)}
            case property():
                accessors = (value.fget, value.fset, value.fdel)
                return {"property": [self._describe_member(accessor, name, cls, key) for accessor in accessors]}
            case functools.cached_property():
                return {"property": [self._describe_member(value.func, name, cls, key)]}
        # An enum with its own `__new__` may give its members other values than the file has.
        if isinstance(value, Enum) and vars(cls).get("_new_member_") in (object.__new__, int.__new__, str.__new__):
            self._check_class_constant(cls, key, value.value)
        if key.startswith("__") or issubclass(cls, Enum):
            return self.describe(value)
        return self.describe_variable(
            value, module=cls.__module__, file=get_module_file(cls.__module__), variable=f"{cls.__qualname__}.{key}"
        )

    def _check_class_constant(self, cls: type, key: str, value: Any) -> None:
        """Record a constant in the body of a class in `missing` if the source file no longer has its value.

        This happens if the file was edited after it was imported.
        """
        file = get_module_file(cls.__module__)
        self.check_constant(value, module=cls.__module__, file=file, variable=f"{cls.__qualname__}.{key}")


def _compute_generated_digest(method: Any) -> str | None:
    """Return the hash of a method that was generated from fields; None for a method that is written in a file."""
    function = method.__func__ if isinstance(method, (staticmethod, classmethod)) else method
    if not isinstance(function, FunctionType):
        return None
    code = inspect.unwrap(function).__code__
    return None if project_files.is_file_name(code.co_filename) else bytecode.compute_digest(code)
