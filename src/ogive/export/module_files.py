"""Which modules an export imports, which travel with it, and where their files are."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.source.project_files import is_installed

OURS = "ogive"
_LIBRARIES = ("torch", "torchvision", "numpy")  # also where they are not in site-packages


def top(module: str) -> str:
    """The package that a module is in, or its own name."""
    return module.partition(".")[0]


def is_library(module: str) -> bool:
    """Whether `module` is Python's or installed, so that an export may import it.

    That is told by its file: a project may have a module that is named as one of Python's.
    """
    if top(module) in (OURS, "__main__"):
        return False
    if top(module) in _LIBRARIES:
        return True
    loaded = (getattr(sys.modules.get(name), "__file__", None) for name in (module, top(module)))
    file = next(filter(None, loaded), None) or origin(top(module)) or origin(module)
    return top(module) in sys.stdlib_module_names if file is None else is_installed(file)


def hides_library(module: str) -> bool:
    """Whether a module of this name, once it is in the export, stands before one of Python's."""
    return top(module) in sys.stdlib_module_names


def origin(module: str) -> str | None:
    """The file of a module, which is not executed; None where there is none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):  # no such module, or not a package
        return None
    return spec.origin if spec and spec.has_location else None


def file_of(thing: Any, module: str) -> Path:
    """The file that defines a class or a function.

    Raises:
        RunError: there is none, as of code that was typed in.
    """
    known = getattr(sys.modules.get(module), "__file__", None)
    if known and module != "__main__":
        return Path(known)
    for member in [thing, *(vars(thing).values() if isinstance(thing, type) else ())]:
        member = getattr(member, "fget", getattr(member, "__func__", member))
        code = getattr(inspect.unwrap(member), "__code__", None) if callable(member) else None
        if code is not None:
            for folder in ("", *sys.path):
                path = Path(folder, code.co_filename)
                if path.is_file():
                    return path.resolve()
    raise RunError(f"the source of {module}.{thing.__qualname__} is not in a file; move it into a module")
