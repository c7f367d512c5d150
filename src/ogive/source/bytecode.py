"""What bytecode says: a hash of what it does, the names that it uses, and the modules that it imports."""

from __future__ import annotations

import dis
import functools
import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.util import resolve_name
from types import CodeType
from typing import Any

from ogive.hashing import hash_text

_IMPORT_NAME = dis.opmap["IMPORT_NAME"]
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_CELLS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_LOCALS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR"})
_BETWEEN = frozenset({"EXTENDED_ARG", "CACHE", "PUSH_NULL", "COPY"})
"""Instructions that may stand between an object and the attribute that is read of it."""
Chain = tuple[str, ...]
"""Attributes that are read one of the other: `cfg.model.width` is ("model", "width") of `cfg`; () is the object itself."""
ESCAPES: frozenset[Chain] = frozenset({()})
"""The uses of an object that is passed on, stored, returned: nobody can say what is read of it."""
_IS_FUNCTION = 0x1
_DOCSTRING = 0x4000000
"""The flag of a code object whose first constant is its docstring, from Python 3.13 on."""
_STAR, _STARS = 0x4, 0x8
_FLAGS = _STAR | _STARS | 0x20 | 0x80 | 0x200
"""*args, **kwargs, generator, coroutine, asynchronous generator."""


def nested(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are inside it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from nested(const)


@functools.lru_cache(8192)
def digest(code: CodeType) -> str:
    """A hash of what a code object does: no names of files and locals, no lines, no docstring."""
    return hash_text(json.dumps(_described(code)))


def _described(code: CodeType) -> list[Any]:
    consts = list(code.co_consts)
    is_function = code.co_flags & _IS_FUNCTION and code.co_name != "<lambda>"
    has_docstring = code.co_flags & _DOCSTRING if sys.version_info >= (3, 13) else is_function
    if has_docstring and consts and isinstance(consts[0], str):
        consts[0] = None
    arguments = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & _STAR) + bool(code.co_flags & _STARS)
    return [
        code.co_code.hex(),
        [_constant(const) for const in consts],
        code.co_names,
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _FLAGS],
        code.co_varnames[:arguments],
        code.co_freevars,
        code.co_cellvars,
        code.co_exceptiontable.hex(),
    ]


def _constant(const: Any) -> Any:
    if isinstance(const, CodeType):
        return digest(const)
    if isinstance(const, tuple):
        return [_constant(item) for item in const]
    if isinstance(const, frozenset):
        return sorted(repr(item) for item in const)
    return f"{type(const).__name__} {const!r}"


def names(code: CodeType) -> frozenset[str]:
    """The globals and attributes that a code object and those inside it refer to."""
    return frozenset(name for inner in nested(code) for name in inner.co_names)


@functools.lru_cache(8192)
def global_names(code: CodeType) -> frozenset[str]:
    """The globals and builtins that a code object and those inside it refer to: not the attributes of objects."""
    return frozenset(
        instruction.argval
        for inner in nested(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname in _LOADS
    )


@functools.lru_cache(8192)
def uses(code: CodeType) -> Mapping[str, frozenset[Chain]]:
    """What a code object and those inside it read of each global and each variable of a closure."""
    return _chains(code, _LOADS | _CELLS)


@functools.lru_cache(8192)
def assigned_cells(code: CodeType) -> frozenset[str]:
    """The variables of closures that a code object and those inside it assign."""
    return frozenset(
        instruction.argval
        for inner in nested(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF")
    )


def assigned_attributes(code: CodeType) -> frozenset[str]:
    """The attributes that a code object assigns, of whatever object."""
    return frozenset(
        i.argval for inner in nested(code) for i in dis.get_instructions(inner) if i.opname == "STORE_ATTR"
    )


@functools.lru_cache(8192)
def dotted(code: CodeType) -> frozenset[str]:
    """What a code object reads of modules that it imports itself: "sys.modules" for `import sys as s; s.modules`."""
    found: set[str] = set()
    for inner in nested(code):
        if _IMPORT_NAME not in inner.co_code[::2]:
            continue
        modules = {
            name: module
            for (before, module), (after, name) in itertools.pairwise(_steps(inner))
            if before == "IMPORT_NAME" and after.startswith("STORE_")
        }
        for name, chains in _chains(inner, _LOADS | _CELLS | _LOCALS).items():
            if name in modules:
                found.update(".".join((modules[name], *chain)) for chain in chains)
    return frozenset(found)


def _steps(code: CodeType) -> Iterator[tuple[str, Any]]:
    """The instructions of a code object, those apart that are joined, such as STORE_FAST_LOAD_FAST of Python 3.13."""
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, tuple) and "FAST" in instruction.opname:
            kinds = re.findall("LOAD_FAST|STORE_FAST", instruction.opname)
            yield from zip(kinds, instruction.argval, strict=True)
        elif instruction.opname not in _BETWEEN:
            yield instruction.opname, instruction.argval


def _chains(code: CodeType, loads: frozenset[str]) -> dict[str, frozenset[Chain]]:
    found: dict[str, set[Chain]] = {}
    for inner in nested(code):
        name: str | None = None
        chain: Chain = ()
        for operation, argument in _steps(inner):
            if name is not None and operation in _ATTRIBUTES:
                chain = (*chain, argument)
                continue
            if name is not None:
                found.setdefault(name, set()).add(chain)
            name, chain = (argument if operation in loads else None), ()
    return {name: frozenset(chains) for name, chains in found.items()}


@functools.lru_cache(8192)
def imports(code: CodeType, package: str) -> tuple[str, ...]:
    """Names that a code object and those inside it import: modules, and what might be a module inside one."""
    names: dict[str, None] = {}
    for inner in nested(code):
        if _IMPORT_NAME not in inner.co_code[::2]:
            continue
        level: Any = 0
        loaded: list[Any] = []
        for instruction in dis.get_instructions(inner):
            if instruction.opcode == _IMPORT_NAME:
                level, wanted = loaded[-2:]
                name = "." * level + instruction.argval
                try:
                    absolute = resolve_name(name, package) if level else name
                except ImportError:
                    continue
                names[absolute] = None
                names.update({f"{absolute}.{item}": None for item in wanted or () if item != "*"})
            if instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
                loaded.append(instruction.argval)
    return tuple(names)
