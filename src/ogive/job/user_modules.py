"""The user's own code: what a job names in its files and packages, imported as workers will import it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ogive.errors import OgiveError
from ogive.job.key_validation import unknown
from ogive.job.yaml_source import At, Source

_OURS: set[str] = set()
"""Modules that jobs of this process have imported from their folders: another job's may have the same names."""


class Code:
    """Imports what one job names.

    A file is imported as a module named like it, with its folder and the job's on `sys.path`, as Python does for a
    script: so it travels to the workers by its import path, and can import its neighbours.

    Attributes:
        folders: what was put on `sys.path`.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.home = source.path.resolve().parent
        self.folders: list[str] = []
        self._modules: dict[Path, ModuleType] = {}
        for name in _OURS:
            sys.modules.pop(name, None)
        _OURS.clear()
        importlib.invalidate_caches()

    def resolve(self, at: At, reference: str) -> Any:
        """The object that `reference` at the key `at` names.

        Raises:
            JobError: it has no name in it, the file or module is not there, importing fails (with the user's file and
                line), or the name is not in it.
        """
        where, colon, name = reference.partition(":")
        if not colon or not name.isidentifier() or not where:
            raise self.source.error(
                at, f"found {reference!r}; allowed: 'file.py:name' (a file beside the job) or 'package.module:name'"
            )
        module = self._file(at, where) if where.endswith(".py") else self._package(at, where)
        try:
            return getattr(module, name)
        except AttributeError as error:
            names = tuple(n for n in vars(module) if not n.startswith("_") and _own(module, n))
            raise self.source.error(at, f"{where}: {unknown('name', name, names)}") from error

    def _file(self, at: At, where: str) -> ModuleType:
        path = (self.home / where).resolve()
        if path in self._modules:
            return self._modules[path]
        if not path.is_file():
            beside = ", ".join(sorted(p.name for p in self.home.glob("*.py"))[:10])
            remedy = f"beside the job there are {beside}" if beside else f"there is no Python file in {self.home}"
            raise self.source.error(at, f"there is no file {where} (looked for {path}); {remedy}")
        name = path.stem
        if not name.isidentifier():
            raise self.source.error(at, f"{where} cannot be imported under its name; use letters, digits and _ only")
        there = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.stdlib_module_names or (name in sys.modules and there != str(path)):
            raise self.source.error(
                at, f"{where} has the name of the module {name!r}, which is another; rename the file"
            )
        self._add_folder(self.home)
        self._add_folder(path.parent)
        self._modules[path] = self._imported(at, name)
        return self._modules[path]

    def _package(self, at: At, where: str) -> ModuleType:
        if not all(part.isidentifier() for part in where.split(".")):
            raise self.source.error(at, f"{where!r} is neither a file that ends in .py nor the name of a module")
        self._add_folder(self.home)
        return self._imported(at, where)

    def _add_folder(self, folder: Path) -> None:
        if str(folder) not in self.folders:
            self.folders.append(str(folder))
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.path.insert(0, str(folder))

    def _imported(self, at: At, name: str) -> ModuleType:
        before = set(sys.modules)
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise self.source.error(at, blame(error, self.folders)) from error
        finally:
            _OURS.update(new for new in set(sys.modules) - before if self._is_ours(sys.modules[new]))

    def _is_ours(self, module: ModuleType) -> bool:
        """Whether a module, or the package that it is in, lies in one of the folders."""
        top = sys.modules.get(module.__name__.partition(".")[0], module)
        file = Path(getattr(top, "__file__", None) or "")
        home = file.parent.parent if file.name == "__init__.py" else file.parent
        return str(home) in self.folders


def blame(error: BaseException, folders: Sequence[str]) -> str:
    """What an exception of the user's code says, after the user's file and line where there is one."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}; mend the file"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _lies_in(frame.filename, folders)]
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    if isinstance(error, OgiveError):
        return f"{place}{error}"
    remedy = "mend the file"
    if isinstance(error, ModuleNotFoundError):
        remedy = "install that package here, or mend the import"
    return f"{place}{type(error).__name__}: {error}; {remedy}"


def _lies_in(file: str, folders: Sequence[str]) -> bool:
    """Whether it is a file of the user's own, and not of a package installed beside it."""
    return "site-packages" not in file and any(Path(file).is_relative_to(folder) for folder in folders)


def describe(value: Any) -> str:
    """What kind of thing a resolved object is, for an error."""
    kind = type(value)
    if inspect.isclass(value):
        return f"the class {value.__qualname__}"
    if inspect.isfunction(value):
        return f"the function {value.__qualname__}{inspect.signature(value)}"
    return f"an object of class {kind.__module__}.{kind.__qualname__}"


def _own(module: ModuleType, name: str) -> bool:
    """Whether `name` was made in the module rather than imported into it."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        return bool(value.__module__ == module.__name__)
    return not inspect.ismodule(value)
