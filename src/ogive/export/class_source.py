"""Collect the source of a model's classes and functions, and of everything that they use from the user's modules."""

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
from ogive.export.module_files import (
    OGIVE,
    find_definition_file,
    find_module_file,
    get_top_level,
    has_stdlib_name,
    is_library,
)
from ogive.export.module_names import get_attribute_chain, get_imported_name, is_main_guard, list_bound_names

ABSENT = "_absent"
"""The module of the export that replaces Ogive."""
ABSENT_SOURCE = '''"""Replaces Ogive, which declared the space and is not needed to build and run the model."""


class _Absent:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        raise RuntimeError("this needs Ogive, which is not part of the export")


absent = _Absent()
'''
RESERVED_NAMES = ("predict", "build_model", ABSENT)
"""The names of modules that the export itself contains. Modules of the user must not have these names."""
DOCUMENTED_MODULES = ("torch.nn", "torch.nn.functional", "torch")
"""The modules from which PyTorch's objects are imported if they are available there, wherever they are defined."""


class SourceCollector:
    """Collects the definitions that a model needs, from the files of the user's modules.

    Args:
        whole_modules: whether to collect whole modules, and all loaded modules of the same packages. This is needed for
            models that depend on side effects of imports, such as the registration of classes.

    Attributes:
        imports: the modules that must be imported for the expression that builds the model.
    """

    def __init__(self, whole_modules: bool = False) -> None:
        self.imports: set[str] = {"torch"}
        self._whole_modules = whole_modules
        self._modules: dict[str, _ModuleSource] = {}

    def refer(self, definition: Any) -> str:
        """Return the dotted name of a class or a function in the export, and collect the definitions that it needs.

        Raises:
            RunError: the source of `definition` is unknown, or it is defined inside a function.
        """
        qualified_name, name = definition.__qualname__, definition.__name__
        module = getattr(definition, "__module__", None) or "builtins"
        for documented in DOCUMENTED_MODULES:
            if getattr(importlib.import_module(documented), name, None) is definition:
                self.imports.add(documented)
                return f"{documented}.{name}"
        if "<" in qualified_name:  # such as "make.<locals>.Block"
            raise RunError(
                f"{module}.{qualified_name} is defined inside a function, so its source cannot be exported; move it to the "
                "top level of its module"
            )
        if module == "builtins":
            return str(qualified_name)
        if is_library(module):
            self.imports.add(module)
            return f"{module}.{qualified_name}"
        source = self._add_module(module, find_definition_file(definition, module))
        source.require(qualified_name.partition(".")[0], f"{module}.{qualified_name}")
        self.imports.add(source.exported_name)
        if self._whole_modules:
            self._collect_package(get_top_level(module))
        return f"{source.exported_name}.{qualified_name}"

    def _collect_package(self, package: str) -> None:
        """Collect all loaded modules of a package of the user."""
        for name in sorted(name for name in sys.modules if get_top_level(name) == package and name != "__main__"):
            file = getattr(sys.modules[name], "__file__", None)
            if file and file.endswith(".py") and not is_library(name):
                self.imports.add(self._add_module(name, Path(file)).exported_name)

    def iterate_files(self) -> Iterator[tuple[str, str]]:
        """Yield the relative path and the text of each collected module."""
        texts = {module.path: module.format_source() for module in self._modules.values()}
        for path in list(texts):
            for parent in list(Path(path).parents)[:-1]:  # without the last parent, which is the root of the export
                texts.setdefault(f"{parent}/__init__.py", "")
        if any(f"from {ABSENT} import" in text for text in texts.values()):
            texts[f"{ABSENT}.py"] = ABSENT_SOURCE
        yield from sorted(texts.items())

    @property
    def stdlib_names(self) -> list[str]:
        """The top-level modules of the export that have the name of a standard module."""
        names = (module.exported_name for module in self._modules.values())
        return sorted({get_top_level(name) for name in names if has_stdlib_name(name)})

    def _add_module(self, name: str, file: Path) -> _ModuleSource:
        if name not in self._modules:
            module = _ModuleSource(name, file, self)
            if get_top_level(module.exported_name) in RESERVED_NAMES:
                raise RunError(f"{file} has the name of a file of the export; rename it")
            self._modules[name] = module
            if self._whole_modules:
                module.collect_all()
        return self._modules[name]

    def add_user_module(self, name: str) -> _ModuleSource | None:
        """Add the module `name` of the user, and return it; None if it belongs to a library or does not exist."""
        if name in self._modules:
            return self._modules[name]
        file = None if is_library(name) else find_module_file(name)
        return self._add_module(name, Path(file)) if file and file.endswith(".py") else None


class _ModuleSource:
    """One module of the user, and its top-level statements that the export needs."""

    def __init__(self, name: str, file: Path, collector: SourceCollector) -> None:
        self.name = name
        self.file = file
        self._collector = collector
        try:
            self._text = file.read_text(encoding="utf-8")
            self._tree = ast.parse(self._text)
        except (OSError, SyntaxError, ValueError) as error:
            raise RunError(f"the source of module {name!r} cannot be read from {file}: {error}") from error
        self._package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        self._statements = [statement for statement in self._tree.body if not is_main_guard(statement)]
        self._bound_names = [set(list_bound_names(statement)) for statement in self._statements]
        self._star_imports = [
            i
            for i, statement in enumerate(self._statements)
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"
        ]
        # For the index of each needed statement, the names that are needed from it.
        self._needed: dict[int, set[str]] = {}
        self._collected_names: set[str] = set()
        # For each layer of Ogive's zoo that this module imports, the layer's module in the export.
        self._zoo_layers: dict[str, str] = {}

    @property
    def exported_name(self) -> str:
        """The name of the module in the export; with a leading "_" for a layer of Ogive and for some scripts.

        Such a script, the module `__main__`, has a file with the name of a standard module.
        """
        if self.name == "__main__":
            name = re.sub(r"\W", "_", self.file.stem)
            return f"_{name}" if has_stdlib_name(name) else name
        return f"_{self.name}" if get_top_level(self.name) == OGIVE else self.name

    @property
    def path(self) -> str:
        """The path of the module in the export."""
        return self.exported_name.replace(".", "/") + ("/__init__.py" if self.file.name == "__init__.py" else ".py")

    def require(self, name: str, described_as: str) -> None:
        """Collect the statements that bind `name`, and everything that they use.

        Raises:
            RunError: the module does not bind `name`. The message calls it `described_as`.
        """
        if not self._collect_own_name(name):
            raise RunError(f"the source of {described_as} is not in {self.file}; define it there at the top level")

    def collect(self, name: str) -> bool:
        """Collect the statements that bind `name`, and everything that they use; return whether the module binds it.

        If the module does not bind it, all its star imports are collected, since the name may come from a library.
        """
        if self._collect_own_name(name):
            return True
        for i in self._star_imports:
            self._needed.setdefault(i, set()).add("*")
        return False

    def _collect_own_name(self, name: str) -> bool:
        """Collect the statements that bind `name`, directly or by a star import; return whether there are any."""
        if name in self._collected_names:
            return True
        binding_indices = [i for i, names in enumerate(self._bound_names) if name in names]
        if not binding_indices:
            return self._collect_from_star_import(name)
        self._collected_names.add(name)
        for i in binding_indices:
            self._needed.setdefault(i, set()).add(name)
            self._collect_used_names(self._statements[i], name)
        return True

    def _collect_from_star_import(self, name: str) -> bool:
        """Collect `name` from the first module with a star import that binds it; return whether there is one."""
        for i in self._star_imports:
            source = self._collector.add_user_module(self._get_absolute_module(self._statements[i]))
            if source is not None and source.collect(name):
                self._needed.setdefault(i, set()).add("*")
                self._collected_names.add(name)
                return True
        return False

    def collect_all(self) -> None:
        """Collect all statements, and everything that they use."""
        for i, (statement, names) in enumerate(zip(self._statements, self._bound_names, strict=True)):
            for name in names:
                self.collect(name)
            if not names:
                self._needed.setdefault(i, set())
                self._collect_used_names(statement, None)

    def _collect_used_names(self, statement: ast.stmt, name: str | None) -> None:
        """Collect everything that a needed statement uses. `name`: the needed name; None if it binds no name."""
        if isinstance(statement, ast.ImportFrom):
            assert name is not None  # every import binds a name
            self._collect_imported(statement, name)
            return
        if isinstance(statement, ast.Import):
            return  # the attributes of the module are collected where they are used
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self._collect_imported(node, get_imported_name(node, alias))
            elif isinstance(node, ast.Attribute):
                self._collect_attribute(node)
            elif isinstance(node, ast.Name) and (not hasattr(builtins, node.id) or self._binds(node.id)):
                self.collect(node.id)

    def _binds(self, name: str) -> bool:
        return any(name in names for names in self._bound_names)

    def _collect_imported(self, statement: ast.ImportFrom, name: str) -> None:
        """Collect from its module what a `from ... import` binds to `name`."""
        module = self._get_absolute_module(statement)
        original = next((alias.name for alias in statement.names if get_imported_name(statement, alias) == name), name)
        if get_top_level(module) == OGIVE:
            self._collect_zoo_layer(module, original, name)
            return
        source = self._collector.add_user_module(module)
        if source is not None and source.collect(original):
            return
        # The name may be that of a submodule. Its attributes are collected where they are used.
        self._collector.add_user_module(f"{module}.{original}")

    def _collect_zoo_layer(self, module: str, original: str, name: str) -> None:
        """Collect a layer of Ogive's zoo, the only part of Ogive that an export may contain."""
        definition = getattr(importlib.import_module(module), original, None)
        defined_in = str(getattr(definition, "__module__", ""))
        source = self._collector.add_user_module(defined_in) if defined_in.startswith(f"{OGIVE}.zoo.") else None
        if source is not None and source.collect(getattr(definition, "__qualname__", "")):
            self._zoo_layers[name] = source.exported_name

    def _collect_attribute(self, node: ast.Attribute) -> None:
        """For `module.name` or `package.module.name` of an imported module, collect `name` from the module."""
        parts = get_attribute_chain(node)
        module = self._find_imported_module(parts[0]) if parts else None
        if module is None:
            return
        for part in parts[1:]:
            source = self._collector.add_user_module(module) if get_top_level(module) != OGIVE else None
            if source is None or source.collect(part):
                return
            module = f"{module}.{part}"

    def _find_imported_module(self, name: str) -> str | None:
        """Return the module that an import binds to `name`; None if `name` is bound to something else."""
        for statement in self._statements:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    if get_imported_name(statement, alias) == name:
                        return alias.name if alias.asname else name
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if get_imported_name(statement, alias) == name:
                        module = f"{self._get_absolute_module(statement)}.{alias.name}"
                        return module if self._collector.add_user_module(module) is not None else None
        return None

    def _get_absolute_module(self, statement: ast.stmt) -> str:
        """Return the absolute name of the module in a `from ... import` statement."""
        assert isinstance(statement, ast.ImportFrom)
        if not statement.level:
            return statement.module or ""
        package = self._package.split(".")
        parents = package[: len(package) - statement.level + 1]
        return ".".join([*parents, *([statement.module] if statement.module else [])])

    def format_source(self) -> str:
        """Return the source of the needed statements, in their order. Imports contain only the needed names."""
        lines = self._text.split("\n")
        parts = []
        for i, statement in enumerate(self._statements):
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                parts.append(ast.unparse(statement))
            elif i in self._needed and isinstance(statement, (ast.Import, ast.ImportFrom)):
                parts += self._format_imports(statement, self._needed[i])
            elif i in self._needed:
                decorators = getattr(statement, "decorator_list", [])
                first_line = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
                is_definition = isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
                gap = "\n\n" if is_definition else ""
                parts.append(gap + "\n".join(lines[first_line - 1 : statement.end_lineno]) + gap)
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(parts).strip("\n")) + "\n"

    def _format_imports(self, statement: ast.Import | ast.ImportFrom, needed: set[str]) -> Iterator[str]:
        """Yield one import for each needed name. An import of Ogive becomes one of the exported layer or of `ABSENT`."""
        for alias in statement.names:
            name = get_imported_name(statement, alias)
            if name not in needed and alias.name != "*":
                continue
            if isinstance(statement, ast.Import):
                module, line = alias.name, ast.unparse(ast.Import([alias]))
            else:
                module = self._get_absolute_module(statement)
                line = ast.unparse(ast.ImportFrom(statement.module, [alias], statement.level))
            if get_top_level(module) != OGIVE:
                yield line
            elif name in self._zoo_layers:
                yield f"from {self._zoo_layers[name]} import {alias.name} as {name}"
            else:
                yield f"from {ABSENT} import absent as {name}"
