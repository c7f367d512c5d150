"""Find the files of the project's modules, and read their content, without importing them."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import site
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path, PurePath
from types import CodeType
from typing import Any

import psutil

from ogive.hashing import hash_bytes
from ogive.source import bytecode

_OGIVE_FOLDER = str(Path(__file__).resolve().parents[1])

FileState = tuple[int, int]
"""The time of the last change in nanoseconds, and the size in bytes; zeros if there is no such file."""


@functools.cache
def _list_installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.join(folder, "") for folder in (*folders, site.getusersitepackages(), _OGIVE_FOLDER))


@functools.lru_cache(4096)
def is_installed(file: str) -> bool:
    """Return whether a file belongs to the standard library, to an installed package, or to Ogive."""
    if file.startswith("<frozen"):
        return True
    full = os.path.realpath(file)
    return any(full.startswith(folder) or file.startswith(folder) for folder in _list_installed_folders()) or not {
        "site-packages",
        "dist-packages",
    }.isdisjoint(Path(full).parts)


def is_file_name(file: str) -> bool:
    """Return whether `file` is the name of a file, and not a placeholder such as "<string>".

    A cell of a notebook counts as a file.
    """
    return not file.startswith("<")


def is_project_module(name: str) -> bool:
    """Return whether a module belongs to the project: it is neither built in nor installed.

    A module that is not loaded counts as the project's. So does `__main__`: it may be the main program of another process,
    from which the code was sent here.
    """
    top = name.partition(".")[0]
    if top == "__main__":
        return True
    if top in ("builtins", "ogive") or top.startswith("_cython_"):  # _cython_... defines the type of Cython functions
        return False
    # The file decides, because a project may have a module with the name of a standard module.
    file = getattr(sys.modules.get(top), "__file__", None) or getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return top not in sys.stdlib_module_names
    return not is_installed(file)


@functools.lru_cache(1024)
def find_package_version(package: str) -> str | None:
    """Return the version of an installed package, loaded or not; None for the standard library.

    For a single file without a version, return a hash of its content.
    """
    if package in sys.stdlib_module_names or package == "builtins":
        return None
    spec = PathFinder.find_spec(package)
    file = None if spec is None else spec.origin
    try:
        return _read_version_from_record(package, file) or metadata.version(
            _find_distributions().get(package, [package])[0]
        )
    except metadata.PackageNotFoundError:
        return None if file is None or not os.path.isfile(file) else hash_bytes(Path(file).read_bytes())


def _read_version_from_record(package: str, file: str | None) -> str | None:
    """Return the version from the lists of installed files next to a package. (`_find_distributions` takes longer.)"""
    if file is None or os.path.basename(file) != "__init__.py":
        return None
    # Packages mostly have the name of their distribution, so read these lists first.
    lists = sorted(
        Path(file).parents[1].glob("*.dist-info/RECORD"), key=lambda path: not path.parent.name.startswith(package)
    )
    for path in lists:
        record = path.read_bytes()
        if f"\n{package}/__init__.py,".encode() in record or record.startswith(f"{package}/__init__.py,".encode()):
            return metadata.Distribution.at(path.parent).version
    return None


@functools.cache
def _find_distributions() -> Mapping[str, list[str]]:
    """Return, for each package, the distributions that install it: scikit-learn for `sklearn`."""
    return metadata.packages_distributions()


def find_path_in_project(value: Any, file: str, module: str) -> str | None:
    """Return an absolute path relative to the folder that `module` is imported from; None for other values.

    Also return None for a path that is neither inside nor above that folder. The path may be a `Path`, such as
    `Path(__file__).parent`, or a text.
    """
    if not isinstance(value, (str, PurePath)) or not os.path.isabs(value) or not is_file_name(file):
        return None
    # The file of the module `a.b.c` is two folders below the folder that it is imported from.
    parents = Path(file).absolute().parents
    root = parents[min(module.count("."), len(parents) - 1)]
    path = Path(value)
    return os.path.relpath(path, root) if path.is_relative_to(root) or root.is_relative_to(path) else None


def has_source(file: str) -> bool:
    """Return whether `file` is an existing source file, or a registered text, such as a cell of a notebook."""
    return (is_file_name(file) and file.endswith(".py") and os.path.isfile(file)) or file in linecache.cache


def get_file_state(file: str) -> FileState:
    """Return the state of a file, which changes when the file is edited."""
    try:
        status = os.stat(file)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@functools.cache
def _get_process_start() -> float:
    return psutil.Process().create_time()


def may_be_edited(file: str) -> bool:
    """Return whether a file may have changed since this process started, and therefore since it was imported."""
    try:
        status = os.stat(file)
    except OSError:
        return True
    # Clocks of file systems may be imprecise by up to two seconds.
    return max(status.st_mtime, status.st_ctime) > _get_process_start() - 2


def contains_code(file: str, code: CodeType) -> bool:
    """Return whether the present content of a file contains this code. A cell of a notebook always does."""
    if not os.path.isfile(file):
        return True
    return bytecode.compute_digest(code) in _compute_digests(file, get_file_state(file))


def compile_file(file: str) -> CodeType | None:
    """Return the code of a file's present content; None if it is not valid Python."""
    return _compile_file(file, get_file_state(file))


# In the following functions `state` is only a key of the cache, so that an edited file is read again.
@functools.lru_cache(512)
def _compile_file(file: str, state: FileState) -> CodeType | None:
    tree = parse_file(file)
    if tree is None:
        return None
    try:
        code = compile(tree, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    assert isinstance(code, CodeType)
    return code


def parse_file(file: str) -> ast.Module | None:
    """Return the syntax tree of a file's present content, or of a notebook cell; None if it is not valid Python."""
    return _parse_file(file, get_file_state(file))


@functools.lru_cache(64)
def _parse_file(file: str, state: FileState) -> ast.Module | None:
    try:
        text = Path(file).read_bytes() if os.path.isfile(file) else "".join(linecache.getlines(file))
        return ast.parse(text, file)
    except (OSError, SyntaxError, ValueError):
        return None


@functools.lru_cache(512)
def _compute_digests(file: str, state: FileState) -> frozenset[str]:
    code = _compile_file(file, state)
    return frozenset() if code is None else frozenset(map(bytecode.compute_digest, bytecode.iterate_code(code)))


@dataclass(frozen=True)
class ModuleFile:
    """A module and its file.

    Attributes:
        name: the full name of the module.
        file: the path of the file.
        is_installed: whether the module belongs to an installed package, and not to the project.
    """

    name: str
    file: str
    is_installed: bool

    @property
    def package(self) -> str:
        """The package to which the relative imports of the module refer."""
        return self.name if os.path.basename(self.file) == "__init__.py" else self.name.rpartition(".")[0]


def find_modules(name: str) -> list[ModuleFile]:
    """Return the packages that contain the module `name`, and then the module, without importing them.

    The list is empty if there is no such module, and for the standard library. For an installed package, it contains only
    the top level.
    """
    top = name.partition(".")[0]
    if top == "ogive" or (top in sys.stdlib_module_names and not is_project_module(top)):
        return []
    modules: list[ModuleFile] = []
    path: Any = None
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:i]), path)
        if spec is None:
            break
        path = spec.submodule_search_locations
        if spec.origin is not None and spec.origin != "namespace":
            module = ModuleFile(spec.name, spec.origin, is_installed(spec.origin))
            modules.append(module)
            if module.is_installed:
                break
        if path is None:
            break
    return modules
