"""Which files are the project's, what they hold, and what modules they import. Imports nothing of them."""

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

_OGIVE = str(Path(__file__).resolve().parents[1])


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.join(folder, "") for folder in (*folders, site.getusersitepackages(), _OGIVE))


@functools.lru_cache(4096)
def is_installed(file: str) -> bool:
    """Whether a file belongs to the standard library, to an installed package, or to Ogive."""
    if file.startswith("<frozen"):
        return True
    full = os.path.realpath(file)
    return any(full.startswith(folder) or file.startswith(folder) for folder in _installed_folders()) or not {
        "site-packages",
        "dist-packages",
    }.isdisjoint(Path(full).parts)


def is_real(file: str) -> bool:
    """Whether it is the name of a file, and not of a text such as "<string>"; a cell of a notebook is a file."""
    return not file.startswith("<")


def is_project_module(name: str) -> bool:
    """Whether a module is neither built in nor installed; one that is not loaded counts as the project's.

    So does `__main__`: what comes from there may have been defined by the main program of another process.
    """
    top = name.partition(".")[0]
    if top == "__main__":
        return True
    if top in ("builtins", "ogive") or top.startswith("_cython_"):  # where compiled functions have their type from
        return False
    file = getattr(sys.modules.get(top), "__file__", None) or getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return top not in sys.stdlib_module_names
    return not is_installed(file)  # by the file: a project may have a module named as one of the standard library


@functools.lru_cache(1024)
def version(package: str) -> str | None:
    """The version of an installed package, loaded or not; None for the standard library, which is as Python."""
    if package in sys.stdlib_module_names or package == "builtins":
        return None
    spec = PathFinder.find_spec(package)
    file = None if spec is None else spec.origin
    try:
        return _version_beside(package, file) or metadata.version(_distributions().get(package, [package])[0])
    except metadata.PackageNotFoundError:
        return None if file is None or not os.path.isfile(file) else hash_bytes(Path(file).read_bytes())


def _version_beside(package: str, file: str | None) -> str | None:
    """The version by the lists of files that lie beside a package: quicker than asking for all that is installed."""
    if file is None or os.path.basename(file) != "__init__.py":
        return None
    lists = sorted(
        Path(file).parents[1].glob("*.dist-info/RECORD"), key=lambda path: not path.parent.name.startswith(package)
    )
    for path in lists:
        record = path.read_bytes()
        if f"\n{package}/__init__.py,".encode() in record or record.startswith(f"{package}/__init__.py,".encode()):
            return metadata.Distribution.at(path.parent).version
    return None


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions by the packages that they install: `sklearn` comes with scikit-learn."""
    return metadata.packages_distributions()


def inside_project(value: Any, file: str, module: str) -> str | None:
    """A path or text such as `Path(__file__).parent`, relative to the folder from which `module` is imported; None where it
    is no path, or of a place that is neither below that folder nor above it.
    """
    if not isinstance(value, (str, PurePath)) or not os.path.isabs(value) or not is_real(file):
        return None
    parents = Path(file).absolute().parents
    root = parents[min(module.count("."), len(parents) - 1)]
    path = Path(value)
    return os.path.relpath(path, root) if path.is_relative_to(root) or root.is_relative_to(path) else None


def has_source(file: str) -> bool:
    """Whether there is a source file, or a text that was registered as one, as a notebook does with its cells."""
    return (is_real(file) and file.endswith(".py") and os.path.isfile(file)) or file in linecache.cache


def state(file: str) -> tuple[int, int]:
    """The time of the last change in nanoseconds, and the size; zeros where there is no such file."""
    try:
        found = os.stat(file)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


@functools.cache
def _started() -> float:
    return psutil.Process().create_time()


def may_be_edited(file: str) -> bool:
    """Whether a file may have been changed since this process started, and so since it was imported."""
    try:
        found = os.stat(file)
    except OSError:
        return True
    return max(found.st_mtime, found.st_ctime) > _started() - 2


def holds(file: str, code: CodeType) -> bool:
    """Whether the file, as it is now, compiles to this code among other; a cell of a notebook always does."""
    if not os.path.isfile(file):
        return True
    return bytecode.digest(code) in _digests(file, state(file))


def compiled(file: str) -> CodeType | None:
    """The code of a file as it is now; None where it is no Python."""
    return _compiled(file, state(file))


@functools.lru_cache(512)
def _compiled(file: str, state: tuple[int, int]) -> CodeType | None:
    tree = parsed(file)
    if tree is None:
        return None
    try:
        code = compile(tree, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    assert isinstance(code, CodeType)
    return code


def parsed(file: str) -> ast.Module | None:
    """The syntax of a file as it is now, or of the cell of a notebook; None where it is no Python."""
    return _parsed(file, state(file))


@functools.lru_cache(64)
def _parsed(file: str, state: tuple[int, int]) -> ast.Module | None:
    try:
        text = Path(file).read_bytes() if os.path.isfile(file) else "".join(linecache.getlines(file))
        return ast.parse(text, file)
    except (OSError, SyntaxError, ValueError):
        return None


@functools.lru_cache(512)
def _digests(file: str, state: tuple[int, int]) -> frozenset[str]:
    code = _compiled(file, state)
    return frozenset() if code is None else frozenset(map(bytecode.digest, bytecode.nested(code)))


@dataclass(frozen=True)
class ProjectFiles:
    """A module that is found by its name: of the project, or of an installed package."""

    name: str
    file: str
    installed: bool

    @property
    def package(self) -> str:
        """The package by which it imports its neighbours."""
        return self.name if os.path.basename(self.file) == "__init__.py" else self.name.rpartition(".")[0]


def find(name: str) -> list[ProjectFiles]:
    """The packages on the way to a module, and the module; none where it is not there. Nothing is imported.

    Of an installed package only the package itself.
    """
    top = name.partition(".")[0]
    if top == "ogive" or (top in sys.stdlib_module_names and not is_project_module(top)):
        return []
    found: list[ProjectFiles] = []
    path: Any = None
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:i]), path)
        if spec is None:
            break
        path = spec.submodule_search_locations
        if spec.origin is not None and spec.origin != "namespace":
            installed = is_installed(spec.origin)
            found.append(ProjectFiles(spec.name, spec.origin, installed))
            if installed:
                break
        if path is None:
            break
    return found
