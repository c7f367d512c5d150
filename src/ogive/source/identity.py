"""Identity of user code: a hash that changes whenever a function or a class would run other code.

The hash is taken of what is loaded: the bytecode of functions with its constants, default values, closures and
attributes, the methods, values and base classes of classes. Comments, formatting, docstrings, annotations and line
numbers are not part of it (but the types of a pydantic model's fields are, since they convert). From each function and
class the names that it uses are followed: globals, closures, base classes, default values, `functools.partial`,
`__wrapped__`, values in tuples, lists and dicts. Of a module of the project count the attributes that are read by name;
where it is passed on, stored, returned, or read through `__dict__` or `getattr`, all of it. Three kinds of code are
told apart by file:

- *Project code* is followed, up to `DEPTH` steps from where it starts and up to `OBJECTS` objects and values.
- *Installed code* (the standard library, site-packages, Ogive itself) is identified by its version and not followed.
  What an installed wrapper keeps in its closure counts: the project's code, constants, containers, and of an installed
  object, such as that of `torch.autocast(dtype=...)`, the attributes that are constants.
- A module that a function imports when it runs is identified by the whole file, with what that file imports.

*What an import does to others* counts as "import module": statements at the top level of a module, and of the project's
modules that it imports, that call something foreign or assign to it (`torch.set_default_dtype(...)`, `nn.Linear.forward
= mine`), with the functions and constants that they use. Calls of `print`, `logging`, `warnings`, `sys.path` and
`matplotlib`, methods of the module's own objects and what stands under `if __name__ == "__main__"` do not.

*Values* count by their content: numbers, texts, arrays, containers, and instances of installed classes as pickle would
keep them. Of PyTorch modules, the project's and installed ones, buffers count by value, and so do weights that are
frozen (`requires_grad=False`) or in a module in evaluation, as those of a teacher are. Weights that are to be trained
are drawn when a module is made: their shapes count, and the statements that make the global. The statistics of a batch
normalisation in training do not count. An object that its own package keeps under a name, such as the generator behind
`random.random`, is that package's. A global that is a path in or above the project's folder counts relative to that
folder.

*What code changes while it runs*: a list, dict, set, array or random generator among the globals and the attributes of
classes and functions is a part of its own ("data space.SIZES"), and so are objects whose methods assign their
attributes, and what functions of the module rebind (`global RATE`, `cls.table = ...`): a message then names data that
has changed, and not code. Such data count by value all the same, since they may also have been set from outside. Two
kinds follow from code alone, and count by the functions that fill them and by what they start from: counters, which
functions change by constants only, and what starts as None and is filled with what depends on no argument, object or
local (`if DATA is None: DATA = load()`).

`missing` names what no hash can answer for: code without a source file (exec, standard input, compiled extensions of
the project), code or constants that differ from the file (a worker imports the file), code that finds other code by
names that it puts together (`importlib.import_module(name)`, `__subclasses__()`, `sys.modules[name]`,
`torch.ops.mine.f`), objects that cannot be pickled or raise when they are looked at, and what lies beyond the bounds.

Not seen: files that code reads; what a script assigns to such a counter or lazy global; what decorators, class bodies
and functions called in assignments do to other modules when they are imported; what an installed object that a
decorator keeps holds besides constants; and, of a file that is edited after its import, expressions at its top level
that are neither constants nor containers of constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ogive.hashing import hash_json
from ogive.source import project_files
from ogive.source.code_walk import DEPTH, OBJECTS, Walk

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
        return hash_json(self.parts)

    @property
    def has_project_code(self) -> bool:
        """Whether some of it is the project's, and not of installed packages alone."""
        return bool(self.files) or bool(self.missing)

    def edited(self) -> list[str]:
        """The project's files that are not as they were when the identity was taken."""
        return [name for name, state in self.files.items() if project_files.state(name) != state]


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
