"""The identity of user code: a hash that changes whenever a function or a class would run different code.

The hash is computed from the loaded objects. For a function, it covers the bytecode with its constants, the default values,
the closure and the attributes; for a class, the methods, values and base classes. Comments, formatting, docstrings,
annotations and line numbers are not covered. (The types of a pydantic model's fields are covered, since they convert
values.) From each function and class, a walk follows the names that it uses: globals, closures, base classes, default
values, `functools.partial`, `__wrapped__`, and values in tuples, lists and dicts. For a module of the project, it covers the
attributes that are read by name, or the whole module if it is passed on, stored, returned, or read through `__dict__` or
`getattr`. How code is treated depends on its file:

- *Project code* is followed, up to `MAX_DEPTH` steps from the start of the walk, and up to `MAX_OBJECTS` objects and values.
- *Installed code* (the standard library, site-packages, Ogive itself) is identified by its version and not followed. The
  closure of an installed wrapper is covered: code of the project, constants, containers, and the constant attributes of an
  installed object, such as that of `torch.autocast(dtype=...)`.
- A module that a function imports when it runs is identified by the whole file, with the modules that this file imports.

*Effects of imports* are parts named "import module". They cover the top-level statements of a module, and of the project's
modules that it imports, that call or assign something outside of the module (`torch.set_default_dtype(...)`,
`nn.Linear.forward = mine`), and the functions and constants that these statements use. Calls of `print`, `logging`,
`warnings`, `sys.path` and `matplotlib`, methods of the module's own objects, and statements under
`if __name__ == "__main__"` are ignored.

*Values* are identified by their content: numbers, texts, arrays, containers, and instances of installed classes as pickle
would store them. In PyTorch modules, buffers are identified by value, and so are weights that are frozen
(`requires_grad=False`) or in evaluation mode, such as those of a teacher. Weights that will be trained are random when the
module is created, so only their shapes are covered, and the statements that create the global. The statistics of a batch
normalization in training mode are ignored. An object that is a global of its own package, such as the generator behind
`random.random`, is identified by the version of the package. A global that is a path inside or above the project's folder
is identified relative to that folder.

*Data that code changes while it runs* are separate parts, such as "data space.SIZES", so that a message can distinguish
changed data from changed code. They are lists, dicts, sets, arrays and random generators among the globals and the
attributes of classes and functions; objects whose methods assign their attributes; and variables that functions of the
module rebind (`global RATE`, `cls.table = ...`). They are also identified by value, because they may have been set from
outside. Two kinds are determined by code alone, so they are identified by their initial values and by the functions that
fill them: counters, which functions change by constants only, and variables that are None at first and then get a value
that depends on no argument, object or local variable (`if DATA is None: DATA = load()`).

`missing` lists the code and data that cannot be identified: code without a source file (exec, standard input, compiled
extensions of the project); code or constants that differ from the file, which a worker would import; code that looks up
other code by names that are computed at run time (`importlib.import_module(name)`, `__subclasses__()`, `sys.modules[name]`,
`torch.ops.mine.f`); objects that cannot be pickled or that raise an exception when they are examined; and objects beyond
`MAX_DEPTH` or `MAX_OBJECTS`.

Changes of the following are not detected: files that code reads; values that a script assigns to such a counter, or to a
variable that is None at first; the effects that decorators, class bodies, and functions called in assignments have on other
modules during an import; the contents of an installed object in the closure of a decorator, except for constants; and, in a
file that is edited after its import, top-level expressions that are neither constants nor containers of constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ogive.hashing import hash_json
from ogive.source import project_files
from ogive.source.code_walk import MAX_DEPTH, MAX_OBJECTS, CodeWalk

__all__ = ["MAX_DEPTH", "MAX_OBJECTS", "CodeIdentity", "find_differences", "identify_code"]

MAX_LISTED = 8
"""At most this many names are listed in a message."""


@dataclass(frozen=True)
class CodeIdentity:
    """The identity of code.

    Attributes:
        parts: the hash of each function, class and module of the project, by role and name, such as "layer space.Block";
            also the versions of Python and of the packages that the code uses.
        missing: the code and data that cannot be identified, with the reasons.
        files: the project's files, with the state in which they were read.
    """

    parts: Mapping[str, str]
    missing: tuple[str, ...]
    files: Mapping[str, project_files.FileState]

    @property
    def hash(self) -> str:
        """The hash of all parts, as 16 hexadecimal digits."""
        return hash_json(self.parts)

    @property
    def has_project_code(self) -> bool:
        """Whether some of the code belongs to the project, and not to installed packages."""
        return bool(self.files) or bool(self.missing)

    def find_edited_files(self) -> list[str]:
        """Return the project's files that were edited after the identity was computed."""
        return [name for name, state in self.files.items() if project_files.get_file_state(name) != state]


def identify_code(roots: Iterable[tuple[str, Any]]) -> CodeIdentity:
    """Return the identity of the code of some objects. Each root is a role with an object, such as ("layer", Block).

    The identity depends only on the loaded code, so it is equal in all processes that have loaded the same code.
    """
    walk = CodeWalk()
    for role, value in roots:
        walk.add_root(role, value)
    walk.run()
    return CodeIdentity(dict(sorted(walk.parts.items())), tuple(walk.missing), dict(sorted(walk.files.items())))


def find_differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the names of the parts that differ between two identities, at most `MAX_LISTED`; empty if they are equal."""
    if before == after:
        return []
    # Another version of Python compiles all functions to different bytecode, so the other differences say nothing.
    if before.get("python") != after.get("python"):
        return [f"Python ({before.get('python')} -> {after.get('python')})"]
    names = [name for name in {**after, **before} if before.get(name) != after.get(name)]
    listed = []
    for name in names[:MAX_LISTED]:
        is_other_version = name.startswith("package ") and name in before and name in after
        listed.append(f"{name} ({before[name]} -> {after[name]})" if is_other_version else name)
    return [*listed, f"{len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else listed
