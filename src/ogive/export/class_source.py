"""The source of a model's classes and functions: what they use of the user's modules, module by module."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.export.module_files import OURS, file_of, hides_library, is_library, origin, top
from ogive.export.module_names import bound, chain, is_main

RESERVED = ("predict", "build_model", "_absent")
ABSENT = "_absent"
ABSENT_SOURCE = '''"""Stands for Ogive, which declared the space and is not needed to build and run the model."""


class _Absent:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        raise RuntimeError("this needs Ogive, which is not part of the export")


absent = _Absent()
'''
PUBLIC = ("torch.nn", "torch.nn.functional", "torch")


class Sources:
    """Collects the definitions that a model needs, from the files of the user's modules.

    Args:
        whole: collect whole modules, and all that are loaded of the same packages: for models that depend on what a module
            does when it is imported, such as to register its classes.
    """

    def __init__(self, whole: bool = False) -> None:
        self.imports: set[str] = {"torch"}
        self._whole = whole
        self._modules: dict[str, _Module] = {}

    def refer(self, thing: Any) -> str:
        """`thing`, a class or a function, as a dotted name; what it needs is collected.

        Raises:
            RunError: its source is not known, or it is defined inside a function.
        """
        name, short = thing.__qualname__, thing.__name__
        module = getattr(thing, "__module__", None) or "builtins"
        for home in PUBLIC:  # much of PyTorch is defined elsewhere than where it is documented
            if getattr(importlib.import_module(home), short, None) is thing:
                self.imports.add(home)
                return f"{home}.{short}"
        if "<" in name:
            raise RunError(
                f"{module}.{name} is defined inside a function, so its source cannot stand alone; move it out"
            )
        if module == "builtins":
            return str(name)
        if is_library(module):
            self.imports.add(module)
            return f"{module}.{name}"
        source = self._module(module, file_of(thing, module))
        source.need(name.partition(".")[0], f"{module}.{name}")
        self.imports.add(source.emitted)
        if self._whole:
            self._collect_package(top(module))
        return f"{source.emitted}.{name}"

    def _collect_package(self, package: str) -> None:
        """Collect the loaded modules of a package of the user's."""
        for name in sorted(name for name in sys.modules if top(name) == package and name != "__main__"):
            file = getattr(sys.modules[name], "__file__", None)
            if file and file.endswith(".py") and not is_library(name):
                self.imports.add(self._module(name, Path(file)).emitted)

    def files(self) -> Iterator[tuple[str, str]]:
        """Relative paths and texts of the collected modules."""
        texts = {module.path: module.text() for module in self._modules.values()}
        for path in list(texts):
            for parent in list(Path(path).parents)[:-1]:
                texts.setdefault(f"{parent}/__init__.py", "")
        if any(f"from {ABSENT} import" in text for text in texts.values()):
            texts[f"{ABSENT}.py"] = ABSENT_SOURCE
        yield from sorted(texts.items())

    @property
    def hiding(self) -> list[str]:
        """The collected modules and packages that are named as one of Python's."""
        return sorted({top(module.emitted) for module in self._modules.values() if hides_library(module.emitted)})

    def _module(self, name: str, file: Path) -> _Module:
        if name not in self._modules:
            module = _Module(name, file, self)
            if top(module.emitted) in RESERVED:
                raise RunError(f"{file} has the name of a file of the export; rename it")
            self._modules[name] = module
            if self._whole:
                module.need_all()
        return self._modules[name]

    def find(self, name: str) -> _Module | None:
        """The user's module `name`; None where it is a library's, or does not exist."""
        if name in self._modules:
            return self._modules[name]
        file = None if is_library(name) else origin(name)
        return self._module(name, Path(file)) if file and file.endswith(".py") else None


class _Module:
    """One file, and the statements of it that are needed."""

    def __init__(self, name: str, file: Path, sources: Sources) -> None:
        self.name = name
        self.file = file
        self._sources = sources
        try:
            self._text = file.read_text(encoding="utf-8")
            self._tree = ast.parse(self._text)
        except (OSError, SyntaxError, ValueError) as error:
            raise RunError(f"the source of module {name!r} cannot be read from {file}: {error}") from error
        self._package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        self._statements = [s for s in self._tree.body if not is_main(s)]
        self._bound = [set(bound(statement)) for statement in self._statements]
        self._needed: dict[int, set[str]] = {}  # statement -> the names wanted of it
        self._seen: set[str] = set()
        self._layers: dict[str, str] = {}  # what is imported of Ogive's own layers -> where it is in the export

    @property
    def emitted(self) -> str:
        """Its name in the export."""
        if self.name == "__main__":
            name = re.sub(r"\W", "_", self.file.stem)
            return f"_{name}" if hides_library(name) else name
        return f"_{self.name}" if top(self.name) == OURS else self.name

    @property
    def path(self) -> str:
        """Its file in the export."""
        return self.emitted.replace(".", "/") + ("/__init__.py" if self.file.name == "__init__.py" else ".py")

    def need(self, name: str, wanted: str | None = None) -> bool:
        """Collect what binds `name`, and what that uses; whether there is such a name.

        Raises:
            RunError: there is none, and `wanted` says what it is.
        """
        if name in self._seen:
            return True
        binding = [i for i, names in enumerate(self._bound) if name in names]
        stars = [i for i, s in enumerate(self._statements) if isinstance(s, ast.ImportFrom) and s.names[0].name == "*"]
        if not binding:
            for i in stars:
                source = self._sources.find(self._absolute(self._statements[i]))
                if source is not None and source.need(name):
                    self._needed.setdefault(i, set()).add("*")
                    self._seen.add(name)
                    return True
            if wanted is not None:
                raise RunError(f"the source of {wanted} is not in {self.file}; define it there at the top level")
            for i in stars:  # perhaps of a library
                self._needed.setdefault(i, set()).add("*")
            return False
        self._seen.add(name)
        for i in binding:
            self._needed.setdefault(i, set()).add(name)
            self._follow(self._statements[i], name)
        return True

    def need_all(self) -> None:
        """Collect all statements, and what they use."""
        for i, (statement, names) in enumerate(zip(self._statements, self._bound, strict=True)):
            for name in names:
                self.need(name)
            if not names:
                self._needed.setdefault(i, set())
                self._follow(statement, "")

    def _follow(self, statement: ast.stmt, name: str) -> None:
        """Collect what a needed statement uses."""
        if isinstance(statement, ast.ImportFrom):
            self._follow_import(statement, name)
            return
        if isinstance(statement, ast.Import):
            return  # what is used of the module is an attribute, seen where it is used
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self._follow_import(node, alias.asname or alias.name)
            elif isinstance(node, ast.Attribute):
                self._follow_attribute(node)
            elif isinstance(node, ast.Name) and (not hasattr(builtins, node.id) or self._binds(node.id)):
                self.need(node.id)

    def _binds(self, name: str) -> bool:
        return any(name in names for names in self._bound)

    def _follow_import(self, statement: ast.ImportFrom, name: str) -> None:
        module = self._absolute(statement)
        original = next((a.name for a in statement.names if (a.asname or a.name) == name), name)
        if top(module) == OURS:
            self._follow_layer(module, original, name)
            return
        source = self._sources.find(module)
        if source is not None and source.need(original):
            return
        self._sources.find(f"{module}.{original}")  # a submodule: what is used of it is an attribute

    def _follow_layer(self, module: str, original: str, name: str) -> None:
        """Collect one of Ogive's ready-made layers; nothing else of Ogive is part of an export."""
        thing = getattr(importlib.import_module(module), original, None)
        home = str(getattr(thing, "__module__", ""))
        source = self._sources.find(home) if home.startswith(f"{OURS}.zoo.") else None
        if source is not None and source.need(getattr(thing, "__qualname__", "")):
            self._layers[name] = source.emitted

    def _follow_attribute(self, node: ast.Attribute) -> None:
        """`module.name`, where `module` was imported: collect `name` of it."""
        parts = chain(node)
        module = self._imported(parts[0]) if parts else None
        if module is None:
            return
        for part in parts[1:]:
            source = self._sources.find(module) if top(module) != OURS else None
            if source is None or source.need(part):
                return
            module = f"{module}.{part}"

    def _imported(self, name: str) -> str | None:
        """The module that `name` stands for in this one; None where it stands for something else."""
        for statement in self._statements:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    if (alias.asname or alias.name.partition(".")[0]) == name:
                        return alias.name if alias.asname else name
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if (alias.asname or alias.name) == name:
                        full = f"{self._absolute(statement)}.{alias.name}"
                        return full if self._sources.find(full) is not None else None
        return None

    def _absolute(self, statement: ast.stmt) -> str:
        assert isinstance(statement, ast.ImportFrom)
        if not statement.level:
            return statement.module or ""
        package = self._package.split(".")
        base = package[: len(package) - statement.level + 1]
        return ".".join([*base, *([statement.module] if statement.module else [])])

    def text(self) -> str:
        """The needed statements in their order, imports cut down to what is needed."""
        lines = self._text.split("\n")
        parts = []
        for i, statement in enumerate(self._statements):
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                parts.append(ast.unparse(statement))
            elif i in self._needed and isinstance(statement, (ast.Import, ast.ImportFrom)):
                parts += self._import_lines(statement, self._needed[i])
            elif i in self._needed:
                decorators = getattr(statement, "decorator_list", [])
                first = min([statement.lineno, *(d.lineno for d in decorators)])
                gap = "\n\n" if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) else ""
                parts.append(gap + "\n".join(lines[first - 1 : statement.end_lineno]) + gap)
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(parts).strip("\n")) + "\n"

    def _import_lines(self, statement: ast.Import | ast.ImportFrom, wanted: set[str]) -> Iterator[str]:
        for alias in statement.names:
            name = alias.asname or (
                alias.name if isinstance(statement, ast.ImportFrom) else alias.name.partition(".")[0]
            )
            if name not in wanted and alias.name != "*":
                continue
            if isinstance(statement, ast.Import):
                module, line = alias.name, ast.unparse(ast.Import([alias]))
            else:
                module = self._absolute(statement)
                line = ast.unparse(ast.ImportFrom(statement.module, [alias], statement.level))
            if top(module) != OURS:
                yield line
            elif name in self._layers:
                yield f"from {self._layers[name]} import {alias.name} as {name}"
            else:
                yield f"from {ABSENT} import absent as {name}"
