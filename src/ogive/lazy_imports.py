"""Names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, str], names: list[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` for a package.

    Args:
        package: the name of the package.
        modules: for each name, the module below `ogive` that defines it; "module:" if the name is the module itself.
        names: all public names of the package, for `dir` and for the message about an unknown name.
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(names))}")
        module = import_module(f"ogive.{modules[name].rstrip(':')}")
        return module if modules[name].endswith(":") else getattr(module, name)

    return get, lambda: sorted(names)
