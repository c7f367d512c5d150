"""Find the files of modules, and decide whether an export imports a module or must contain its source."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.source.project_files import is_installed

OGIVE = "ogive"
_ALWAYS_INSTALLED = ("torch", "torchvision", "numpy")
"""Packages that count as installed, even if their files are not in site-packages."""


def get_top_level(module: str) -> str:
    """Return the name of the top-level package of a module, or of the module itself if it has no package."""
    return module.partition(".")[0]


def is_library(module: str) -> bool:
    """Return whether a module belongs to Python or to an installed package, so that an export may import it.

    This depends on the file of the module, because a module of the project may have the name of a standard module. Ogive is
    no library here, since an export must run without it.
    """
    if get_top_level(module) in (OGIVE, "__main__"):
        return False
    if get_top_level(module) in _ALWAYS_INSTALLED:
        return True
    loaded_files = (getattr(sys.modules.get(name), "__file__", None) for name in (module, get_top_level(module)))
    file = next(filter(None, loaded_files), None) or find_module_file(get_top_level(module)) or find_module_file(module)
    return get_top_level(module) in sys.stdlib_module_names if file is None else is_installed(file)


def has_stdlib_name(module: str) -> bool:
    """Return whether a module has the name of a standard module. In the export, it would hide the standard module."""
    return get_top_level(module) in sys.stdlib_module_names


def find_module_file(module: str) -> str | None:
    """Return the file of a module, without executing the module; None if the module has no file or does not exist."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):  # there is no such module, or its parent is not a package
        return None
    return spec.origin if spec and spec.has_location else None


def find_definition_file(definition: Any, module: str) -> Path:
    """Return the file that defines a class or a function of `module`.

    Raises:
        RunError: there is no such file, for example because the code was typed into a console.
    """
    module_file = getattr(sys.modules.get(module), "__file__", None)
    if module_file and module != "__main__":
        return Path(module_file)
    for member in [definition, *(vars(definition).values() if isinstance(definition, type) else ())]:
        # The function of a property is its `fget`, that of a class method or a static method its `__func__`.
        member = getattr(member, "fget", getattr(member, "__func__", member))
        code = getattr(inspect.unwrap(member), "__code__", None) if callable(member) else None
        if code is not None:
            for folder in ("", *sys.path):  # the name of the file may be relative to an entry of `sys.path`
                path = Path(folder, code.co_filename)
                if path.is_file():
                    return path.resolve()
    raise RunError(f"the source of {module}.{definition.__qualname__} is not in a file; move it into a module")
