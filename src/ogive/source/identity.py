"""Identity of user code: a hash that changes whenever a function or a class would run other code.

The hash is taken of what is loaded: the bytecode of functions with its constants, default values and closures, the methods,
values and base classes of classes. Comments, formatting, docstrings, annotations and line numbers are not part of it. From
each function and class the names that it uses are followed: globals, attributes of modules, closures, base classes, default
values, `functools.partial`, `__wrapped__`, values in tuples, lists and dicts. Three kinds of code are told apart by file:

- *Project code* is followed, up to `DEPTH` steps from where it starts and up to `OBJECTS` objects and values.
- *Installed code* (the standard library, site-packages, Ogive itself) is identified by its version and not followed.
- A module that a function imports when it runs is identified by the whole file, with what that file imports.

`missing` names what no hash can answer for: code without a source file (exec, standard input, compiled extensions of the
project), code that differs from its file (a worker imports the file), code that finds other code by names that it puts
together (`importlib.import_module(name)`, `__subclasses__()`), and what lies beyond the bounds. Files that code reads are
not seen. A function that uses `getattr` or `globals` refers to the whole of each project module it names.

Values count by their content: numbers, texts, arrays, containers, and instances of installed classes as pickle would keep
them (of a PyTorch module without the weights, which are drawn). A global that is a path in or above the project's folder,
such as `Path(__file__).parent`, counts relative to that folder. A list, dict or set among the globals is a part of its own
("data space.SIZES"), since code may fill it while it runs; a message then names data that has changed, and not code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ogive.source import files
from ogive.source.walk import DEPTH, OBJECTS, Walk, short_hash

__all__ = ["DEPTH", "OBJECTS", "CodeIdentity", "differences", "identity"]

LISTED = 8
"""Names that a message lists."""


@dataclass(frozen=True)
class CodeIdentity:
    """What identifies code.

    Attributes:
        parts: a hash for each function, class and module of the project, by role and name such as "layer space.Block"; and
            the version of each package and of Python.
        missing: what cannot be identified, each with the reason.
        files: the project's files, with the state in which they were read.
    """

    parts: Mapping[str, str]
    missing: tuple[str, ...]
    files: Mapping[str, tuple[int, int]]

    @property
    def hash(self) -> str:
        """16 hexadecimal digits."""
        return short_hash(self.parts)

    @property
    def has_project_code(self) -> bool:
        """Whether some of it is the project's, and not of installed packages alone."""
        return bool(self.files) or bool(self.missing)

    def edited(self) -> list[str]:
        """The project's files that are not as they were when the identity was taken."""
        return [name for name, state in self.files.items() if files.state(name) != state]


def identity(roots: Iterable[tuple[str, Any]]) -> CodeIdentity:
    """The identity of objects, each with its role, such as ("layer", Block).

    It is a function of what is loaded: equal in each process that has loaded the same code.
    """
    walk = Walk()
    for role, value in roots:
        walk.root(role, value)
    walk.run()
    return CodeIdentity(dict(sorted(walk.parts.items())), tuple(walk.missing), dict(sorted(walk.files.items())))


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of the parts of two identities that differ, at most `LISTED` of them; empty where they are equal."""
    if before == now:
        return []
    if before.get("python") != now.get("python"):  # whose bytecode differs throughout
        return [f"Python ({before.get('python')} -> {now.get('python')})"]
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    shown = [
        f"{name} ({before[name]} -> {now[name]})"
        if name.startswith("package ") and {name} <= before.keys() & now.keys()
        else name
        for name in names[:LISTED]
    ]
    return [*shown, f"{len(names) - LISTED} more"] if len(names) > LISTED else shown
