"""Import the user's code that a job refers to, with the same module names with which workers will import it."""

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
from ogive.job.key_validation import format_unknown_name
from ogive.job.yaml_source import KeyPath, Source

_MODULES_OF_LAST_JOB: set[str] = set()
"""The names of the modules that the last job of this process has imported from its folders.

These modules are removed from `sys.modules` before the next job is loaded, because its files may have the same names.
"""


class CodeImporter:
    """Imports the code that one job refers to. Creating an importer removes the modules of the previous job.

    A file is imported as a module with the same name. Its folder and the folder of the job file are added to `sys.path`, as
    Python does for a script. So workers can import the module by its name, and it can import the files next to it.

    Attributes:
        folders: the folders that were added to `sys.path`.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.job_folder = source.path.resolve().parent
        self.folders: list[str] = []
        self._modules: dict[Path, ModuleType] = {}
        for name in _MODULES_OF_LAST_JOB:
            sys.modules.pop(name, None)
        _MODULES_OF_LAST_JOB.clear()
        importlib.invalidate_caches()

    def resolve(self, key: KeyPath, reference: str) -> Any:
        """Return the object that a reference refers to.

        Args:
            key: the key of the job that contains the reference, for error messages.
            reference: "file.py:name" or "package.module:name".

        Raises:
            JobError: the reference has no name, the file or module does not exist, its import fails (the error names the
                user's file and line), or the module does not define the name.
        """
        module_name, colon, name = reference.partition(":")
        if not colon or not name.isidentifier() or not module_name:
            raise self.source.error(
                key, f"found {reference!r}; allowed: 'file.py:name' (a file beside the job) or 'package.module:name'"
            )
        if module_name.endswith(".py"):
            module = self._import_file(key, module_name)
        else:
            module = self._import_package(key, module_name)
        try:
            return getattr(module, name)
        except AttributeError as error:
            names = tuple(n for n in vars(module) if not n.startswith("_") and _is_defined_in(module, n))
            raise self.source.error(key, f"{module_name}: {format_unknown_name('name', name, names)}") from error

    def _import_file(self, key: KeyPath, file: str) -> ModuleType:
        """Return the module of a file beside the job, imported under the name of the file without `.py`."""
        path = (self.job_folder / file).resolve()
        if path in self._modules:
            return self._modules[path]
        if not path.is_file():
            neighbours = ", ".join(sorted(p.name for p in self.job_folder.glob("*.py"))[:10])
            if neighbours:
                remedy = f"Python files beside the job: {neighbours}"
            else:
                remedy = f"there is no Python file in {self.job_folder}"
            raise self.source.error(key, f"there is no file {file} (looked for {path}); {remedy}")
        name = path.stem
        if not name.isidentifier():
            raise self.source.error(
                key, f"{file} cannot be imported: its name may have only letters, digits and _; rename the file"
            )
        loaded_from = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.stdlib_module_names or (name in sys.modules and loaded_from != str(path)):
            raise self.source.error(key, f"{file} has the same name as another module, {name!r}; rename the file")
        self._add_folder(self.job_folder)
        self._add_folder(path.parent)
        self._modules[path] = self._import(key, name)
        return self._modules[path]

    def _import_package(self, key: KeyPath, name: str) -> ModuleType:
        if not all(part.isidentifier() for part in name.split(".")):
            raise self.source.error(
                key, f"found {name!r}; allowed: a file that ends in .py, or the name of a module such as package.module"
            )
        self._add_folder(self.job_folder)
        return self._import(key, name)

    def _add_folder(self, folder: Path) -> None:
        if str(folder) not in self.folders:
            self.folders.append(str(folder))
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.path.insert(0, str(folder))

    def _import(self, key: KeyPath, name: str) -> ModuleType:
        """Import a module, and remember which modules of the job's folders this has loaded."""
        loaded_before = set(sys.modules)
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise self.source.error(key, format_user_error(error, self.folders)) from error
        finally:
            new_names = set(sys.modules) - loaded_before
            _MODULES_OF_LAST_JOB.update(new for new in new_names if self._is_in_folders(sys.modules[new]))

    def _is_in_folders(self, module: ModuleType) -> bool:
        """Return whether a module, or its top-level package, is in one of the added folders."""
        top_level = sys.modules.get(module.__name__.partition(".")[0], module)
        file = Path(getattr(top_level, "__file__", None) or "")
        folder = file.parent.parent if file.name == "__init__.py" else file.parent
        return str(folder) in self.folders


def format_user_error(error: BaseException, folders: Sequence[str]) -> str:
    """Return the message of an exception from the user's code, which begins with the user's file and line if known.

    Args:
        error: the exception.
        folders: the folders of the user's code. The message names the last line of the traceback in one of these.
    """
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}; fix the file"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_user_file(frame.filename, folders)]
    location = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    if isinstance(error, OgiveError):
        return f"{location}{error}"
    remedy = "fix the file"
    if isinstance(error, ModuleNotFoundError):
        remedy = "install this package, or fix the import"
    return f"{location}{type(error).__name__}: {error}; {remedy}"


def _is_user_file(file: str, folders: Sequence[str]) -> bool:
    """Return whether a file is in one of the folders, and does not belong to a package that is installed there."""
    return "site-packages" not in file and any(Path(file).is_relative_to(folder) for folder in folders)


def describe_object(value: Any) -> str:
    """Return the kind of an object for an error message: "the class Block", "the function train(model)"."""
    kind = type(value)
    if inspect.isclass(value):
        return f"the class {value.__qualname__}"
    if inspect.isfunction(value):
        return f"the function {value.__qualname__}{inspect.signature(value)}"
    return f"an object of class {kind.__module__}.{kind.__qualname__}"


def _is_defined_in(module: ModuleType, name: str) -> bool:
    """Return whether a module defines `name`, and has not imported it. Values other than classes and functions count."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        return bool(value.__module__ == module.__name__)
    return not inspect.ismodule(value)
