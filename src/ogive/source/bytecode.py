"""Analyze bytecode: compute a hash of its behavior, and find the names that it uses and the modules that it imports."""

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
_GLOBAL_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_CELL_LOADS = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_LOCAL_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW"})
_ATTRIBUTE_ACCESS = frozenset({"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR"})
_IGNORED_OPERATIONS = frozenset({"EXTENDED_ARG", "CACHE", "PUSH_NULL", "COPY"})
"""Operations that may occur between the load of an object and the access to its attribute."""
Chain = tuple[str, ...]
"""A chain of attributes that are read from an object: ("model", "width") for `cfg.model.width`, () for `cfg` itself."""
ESCAPES: frozenset[Chain] = frozenset({()})
"""The chains of an object that is passed on, stored or returned, so that any of its attributes may be read."""
_FLAG_FUNCTION = 0x1
_FLAG_DOCSTRING = 0x4000000
"""The flag of a code object whose first constant is its docstring; since Python 3.13."""
_FLAG_ARGS, _FLAG_KWARGS = 0x4, 0x8
_FLAG_GENERATOR, _FLAG_COROUTINE, _FLAG_ASYNC_GENERATOR = 0x20, 0x80, 0x200
_RELEVANT_FLAGS = _FLAG_ARGS | _FLAG_KWARGS | _FLAG_GENERATOR | _FLAG_COROUTINE | _FLAG_ASYNC_GENERATOR


def iterate_code(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all code objects inside it, such as those of its inner functions."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from iterate_code(const)


@functools.lru_cache(8192)
def compute_digest(code: CodeType) -> str:
    """Return a hash of the behavior of a code object, without file names, local names, line numbers and docstrings."""
    return hash_text(json.dumps(_describe(code)))


def _describe(code: CodeType) -> list[Any]:
    """Return what determines the behavior of a code object, as JSON."""
    consts = list(code.co_consts)
    is_function = code.co_flags & _FLAG_FUNCTION and code.co_name != "<lambda>"
    has_docstring = code.co_flags & _FLAG_DOCSTRING if sys.version_info >= (3, 13) else is_function
    # The docstring is the first constant. Before Python 3.13, a first constant that is a text counts as one.
    if has_docstring and consts and isinstance(consts[0], str):
        consts[0] = None
    # The names of local variables begin with those of the arguments: positional, keyword-only, *args and **kwargs.
    argument_count = code.co_argcount + code.co_kwonlyargcount
    argument_count += int(bool(code.co_flags & _FLAG_ARGS)) + int(bool(code.co_flags & _FLAG_KWARGS))
    return [
        code.co_code.hex(),
        [_describe_constant(const) for const in consts],
        code.co_names,
        [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _RELEVANT_FLAGS],
        code.co_varnames[:argument_count],
        code.co_freevars,
        code.co_cellvars,
        code.co_exceptiontable.hex(),
    ]


def _describe_constant(const: Any) -> Any:
    if isinstance(const, CodeType):
        return compute_digest(const)
    if isinstance(const, tuple):
        return [_describe_constant(item) for item in const]
    if isinstance(const, frozenset):
        return sorted(repr(item) for item in const)
    return f"{type(const).__name__} {const!r}"


def find_referenced_names(code: CodeType) -> frozenset[str]:
    """Return the names of the globals and attributes that a code object, or one inside it, refers to."""
    return frozenset(name for inner in iterate_code(code) for name in inner.co_names)


@functools.lru_cache(8192)
def find_global_names(code: CodeType) -> frozenset[str]:
    """Return the names of the globals and builtins that a code object, or one inside it, refers to."""
    return frozenset(
        instruction.argval
        for inner in iterate_code(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname in _GLOBAL_LOADS
    )


@functools.lru_cache(8192)
def find_attribute_chains(code: CodeType) -> Mapping[str, frozenset[Chain]]:
    """Return the attributes that a code object, or one inside it, reads from each global and closure variable."""
    return _collect_chains(code, _GLOBAL_LOADS | _CELL_LOADS)


@functools.lru_cache(8192)
def find_assigned_cells(code: CodeType) -> frozenset[str]:
    """Return the names of the closure variables that a code object, or one inside it, assigns."""
    return frozenset(
        instruction.argval
        for inner in iterate_code(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF")
    )


def find_assigned_attributes(code: CodeType) -> frozenset[str]:
    """Return the names of the attributes, of any object, that a code object, or one inside it, assigns."""
    return frozenset(
        instruction.argval
        for inner in iterate_code(code)
        for instruction in dis.get_instructions(inner)
        if instruction.opname == "STORE_ATTR"
    )


@functools.lru_cache(8192)
def find_module_accesses(code: CodeType) -> frozenset[str]:
    """Return the dotted names that a code object reads from modules that it imports itself.

    For `import sys as s; s.modules`, the name is "sys.modules".
    """
    accesses: set[str] = set()
    for inner in iterate_code(code):
        if _IMPORT_NAME not in inner.co_code[::2]:  # every second byte is an operation; the others are arguments
            continue
        modules = {
            name: module
            for (operation, module), (next_operation, name) in itertools.pairwise(_iterate_operations(inner))
            if operation == "IMPORT_NAME" and next_operation.startswith("STORE_")
        }
        for name, chains in _collect_chains(inner, _GLOBAL_LOADS | _CELL_LOADS | _LOCAL_LOADS).items():
            if name in modules:
                accesses.update(".".join((modules[name], *chain)) for chain in chains)
    return frozenset(accesses)


def _iterate_operations(code: CodeType) -> Iterator[tuple[str, Any]]:
    """Yield the operations of a code object with their arguments.

    Combined operations, such as STORE_FAST_LOAD_FAST of Python 3.13, are split into their parts.
    """
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, tuple) and "FAST" in instruction.opname:
            operations = re.findall("LOAD_FAST|STORE_FAST", instruction.opname)
            yield from zip(operations, instruction.argval, strict=True)
        elif instruction.opname not in _IGNORED_OPERATIONS:
            yield instruction.opname, instruction.argval


def _collect_chains(code: CodeType, loads: frozenset[str]) -> dict[str, frozenset[Chain]]:
    """Return the attributes that are read from each name that one of the operations in `loads` loads."""
    chains: dict[str, set[Chain]] = {}
    for inner in iterate_code(code):
        # The name that was loaded last, and the attributes that were read from it since. Any other operation ends the chain.
        name: str | None = None
        chain: Chain = ()
        for operation, argument in _iterate_operations(inner):
            if name is not None and operation in _ATTRIBUTE_ACCESS:
                chain = (*chain, argument)
                continue
            if name is not None:
                chains.setdefault(name, set()).add(chain)
            name, chain = (argument if operation in loads else None), ()
    return {name: frozenset(chains_of_name) for name, chains_of_name in chains.items()}


@functools.lru_cache(8192)
def find_imported_names(code: CodeType, package: str) -> tuple[str, ...]:
    """Return the absolute names that a code object, or one inside it, imports.

    These are names of modules, and names that are imported from modules. The latter may be modules as well.
    """
    names: dict[str, None] = {}
    for inner in iterate_code(code):
        if _IMPORT_NAME not in inner.co_code[::2]:
            continue
        level: Any = 0
        constants: list[Any] = []  # the last two constants before IMPORT_NAME are the level and the imported names
        for instruction in dis.get_instructions(inner):
            if instruction.opcode == _IMPORT_NAME:
                level, items = constants[-2:]
                name = "." * level + instruction.argval
                try:
                    absolute = resolve_name(name, package) if level else name
                except ImportError:
                    continue
                names[absolute] = None
                names.update({f"{absolute}.{item}": None for item in items or () if item != "*"})
            if instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
                constants.append(instruction.argval)
    return tuple(names)
