"""Describe modules of the project: the attributes that are used, their values, and the effects of importing a module."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable
from importlib.util import resolve_name
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ogive.source import bytecode, module_statements, objects, project_files
from ogive.source.constants import format_constant
from ogive.source.function_assignments import ReboundVariable
from ogive.source.json_values import ValueWalk

_TORCH_OPERATORS = frozenset(
    "aten prim prims quantized torchvision torchaudio c10d _c10d_functional higher_order".split()
)
"""Namespaces of `torch.ops` with operators of installed packages."""
LOCATION_NAMES = frozenset("__name__ __file__ __path__ __package__ __spec__ __loader__ __cached__".split())
"""Attributes of a module that only describe its location."""
_UNKNOWN_FILE = "<unknown>"
"""A text in place of a file name that is not the name of a file."""
_MAX_IMPORT_STEPS = 5
"""A global is followed through at most this many modules, if each of them imports it from the next one."""


class ModuleWalk(ValueWalk):
    """Describes modules, and the variables of modules, classes and functions.

    A *variable* is a global, an attribute of a class or a function, or a default value: "LR", "Net.width", "train(lr)".
    """

    def __init__(self) -> None:
        super().__init__()
        self.part_names: dict[int, str] = {}
        """The names of the parts, by the ids of functions, classes and whole modules."""
        self.queue: deque[tuple[Any, str, int]] = deque()
        """The objects that will be described, with the names of their parts and their depths."""
        self.depth = 0
        self._modules_with_effects: set[str] = set()
        """The modules whose effects at import have been described."""
        self._imported_modules: set[str] = set()
        """The modules imported inside functions that have been described."""

    def describe_module(self, module: ModuleType, chains: Iterable[bytecode.Chain]) -> Any:
        """Return the description of a module: the attributes that are read, or the whole module if any may be read.

        Args:
            module: the module.
            chains: the attributes that are read.
        """
        chains = set(chains)
        if not project_files.is_project_module(module.__name__):
            self._check_installed_module(module.__name__, chains)
            return self.describe_installed(module.__name__, "")
        self.add_file(module)
        self.add_import_effects(module.__name__)
        # The module is passed on (an empty chain), or its `__dict__` is read: any attribute may be read.
        if not chains.isdisjoint({(), ("__dict__",)}) or any(chain[0] == "__dict__" for chain in chains):
            return self._queue_module(module)
        if id(module) in self.ancestors:
            return f"module {module.__name__}"
        self.ancestors.add(id(module))
        try:
            names = sorted({chain[0] for chain in chains} - LOCATION_NAMES)
            return {name: self._describe_read_attribute(module, name, chains) for name in names}
        finally:
            self.ancestors.discard(id(module))

    def _describe_read_attribute(self, module: ModuleType, name: str, chains: set[bytecode.Chain]) -> Any:
        """Return the description of one attribute that is read from a module."""
        if name not in vars(module):
            return self.describe(vars(module).get("__getattr__"))
        remaining_chains = {chain[1:] for chain in chains if chain[0] == name}
        return self.describe_attribute(module, name, vars(module)[name], remaining_chains)

    def describe_attribute(
        self, module: ModuleType, name: str, value: Any, chains: Iterable[bytecode.Chain] = bytecode.ESCAPES
    ) -> Any:
        """Return the description of a global of a module."""
        file = getattr(module, "__file__", None) or _UNKNOWN_FILE
        return self.describe_variable(value, module=module.__name__, file=file, variable=name, chains=chains)

    def _queue_module(self, module: ModuleType) -> str:
        """Queue a whole module, and return its description."""
        name = f"module {module.__name__}"
        if id(module) not in self.part_names:
            self.part_names[id(module)] = name
            self.queue.append((module, name, self.depth + 1))
        return f"code {name}"

    def _check_installed_module(self, module: str, chains: Iterable[bytecode.Chain]) -> None:
        """Record in `missing` the attributes of an installed module by which code looks up other code."""
        for text in (".".join((module, *chain)) for chain in chains):
            if text == "sys.modules" or text.startswith("sys.modules.") or is_project_operator(text):
                self.add_missing(self.current, f"it looks up code by names that are computed at run time ({text})")

    # -- variables -----------------------------------------------------------------------------------------------

    def describe_variable(
        self,
        value: Any,
        *,
        module: str,
        file: str,
        variable: str,
        chains: Iterable[bytecode.Chain] = bytecode.ESCAPES,
    ) -> Any:
        """Return the description of a variable. A value that may change while the code runs becomes a separate part.

        Args:
            value: the value of the variable.
            module: the module of the variable.
            file: the file of the module.
            variable: the name of the variable in the module, such as "Net.width".
            chains: the attributes that are read from the value.
        """
        path = project_files.find_path_in_project(value, file, module)
        if path is not None:
            return f"{type(value).__name__} of the project: {path}"
        statements = module_statements.read_statements(file)
        if statements.is_filled_by_code(variable):
            initial = sorted(statements.constants[variable] or ())
            return {"filled": initial, "by": self._describe_rebinding(module, statements.rebound[variable])}
        had_untrained_weights, self.has_untrained_weights = self.has_untrained_weights, False
        description = self.describe(value, chains)
        # The values of untrained weights are not described, so the statements that create them are.
        if self.has_untrained_weights and module in sys.modules:
            description = [description, self._describe_creation(sys.modules[module], file, variable)]
        self.has_untrained_weights |= had_untrained_weights
        self.check_constant(value, module=module, file=file, variable=variable)
        if variable in statements.rebound or self._may_change(value):
            return self.add_data(f"{module}.{variable}", description)
        return description

    def _may_change(self, value: Any) -> bool:
        """Return whether code may change a value without assigning it.

        This is possible for containers, arrays, random generators, and objects that assign their own attributes.
        """
        kind = type(value)
        if self.is_project_code(kind):
            project_classes = filter(self.is_project_code, kind.__mro__)
            return isinstance(value, objects.FILLABLE_TYPES) or any(
                map(objects.assigns_own_attributes, project_classes)
            )
        is_container = isinstance(value, (*objects.FILLABLE_TYPES, deque))
        return is_container or objects.is_array(value) or objects.is_random_generator(value)

    def _describe_creation(
        self, module: ModuleType, file: str, variable: str, remaining_imports: int = _MAX_IMPORT_STEPS
    ) -> Any:
        """Return the description of the statements that create a global, in its defining module; None if there are none."""
        source = _find_import_source(module.__name__, file, variable)
        if (
            source is not None
            and remaining_imports
            and project_files.is_project_module(source[0].__name__)
            and self.add_file(source[0])
        ):
            return self._describe_creation(source[0], source[0].__file__ or "", source[1], remaining_imports - 1)
        creating_code = module_statements.read_statements(file).compile_creating_code(variable)
        return None if creating_code is None else self._describe_statements(creating_code, module)

    def _describe_rebinding(self, module: str, rebound: ReboundVariable) -> list[Any]:
        """Return the descriptions of the functions that assign a variable, or of the classes that contain them."""
        scope = vars(sys.modules[module]) if module in sys.modules else {}
        names = sorted({name.partition(".")[0] for name in rebound.functions} & scope.keys())
        return [self.describe(scope[name]) for name in names]

    def check_constant(
        self, value: Any, *, module: str, file: str, variable: str, remaining_imports: int = _MAX_IMPORT_STEPS
    ) -> None:
        """Record in `missing` a loaded constant that differs from the present content of the file that defines it."""
        if module == "__main__" or format_constant(value) is None or not project_files.is_file_name(file):
            return
        statements = module_statements.read_statements(file)
        if statements.is_rebound(variable):
            return
        # A container may have been filled since the import. Only if the file was edited, a difference says something.
        if type(value) in objects.FILLABLE_TYPES and not project_files.may_be_edited(file):
            return
        source = _find_import_source(module, file, variable)
        if source is not None:
            source_module, name = source
            if (
                remaining_imports
                and project_files.is_project_module(source_module.__name__)
                and self.add_file(source_module)
            ):
                source_file = source_module.__file__ or ""
                self.check_constant(
                    value,
                    module=source_module.__name__,
                    file=source_file,
                    variable=name,
                    remaining_imports=remaining_imports - 1,
                )
        elif statements.constants.get(variable) and not statements.may_have_value(variable, value):
            self.add_missing(self.current, f"the loaded {variable} differs from what {file} contains now")

    # -- effects of imports --------------------------------------------------------------------------------------

    def add_import_effects(self, module: str) -> None:
        """Add a part for a module, and each module that it imports, whose import changes something outside of it."""
        names = [module]
        while names:
            name = names.pop()
            loaded = sys.modules.get(name)
            if name in self._modules_with_effects or name in ("", "__main__") or loaded is None:
                continue
            self._modules_with_effects.add(name)
            file = getattr(loaded, "__file__", None)
            if not project_files.is_project_module(name) or not project_files.has_source(file or _UNKNOWN_FILE):
                continue
            statements = module_statements.read_statements(loaded.__file__ or "")
            if statements.effects is not None:
                self.add_file(loaded)
                self.add_part(f"import {name}", self._describe_statements(statements.effects, loaded))
            for imported, level in statements.modules:
                parts = _resolve_absolute_name(imported, level, loaded.__package__ or "").split(".")
                names += [".".join(parts[: i + 1]) for i in range(len(parts))]

    def _describe_statements(self, code: CodeType, module: ModuleType) -> Any:
        """Return the description of top-level statements of a module, with the code and the constants that they use."""
        scope = {
            key: value
            for key, value in vars(module).items()
            if isinstance(value, (FunctionType, type, ModuleType)) or objects.is_constant(value)
        }
        return [bytecode.compute_digest(code), self.describe_globals(code, scope, module.__name__)]

    def describe_globals(self, code: CodeType, scope: dict[str, Any], module: str) -> dict[str, Any]:
        """Return the descriptions of the globals in `scope` that a code object uses."""
        used = bytecode.find_attribute_chains(code)
        names = bytecode.find_global_names(code) & scope.keys() - LOCATION_NAMES
        return {
            name: self.describe_variable(
                scope[name],
                module=module,
                file=code.co_filename,
                variable=name,
                chains=used.get(name, bytecode.ESCAPES),
            )
            for name in sorted(names)
        }

    def describe_imports(self, code: CodeType, package: str) -> list[str]:
        """Return descriptions of the project's modules that a code object imports when it runs; add their files as parts."""
        imported = []
        for name in bytecode.find_imported_names(code, package):
            for module in project_files.find_modules(name):
                if module.is_installed:
                    self.describe_installed(module.name, "")
                    continue
                imported.append(f"code module {module.name}")
                if module.name not in self._imported_modules:
                    self._imported_modules.add(module.name)
                    self._add_module_file(module)
        return imported

    def _add_module_file(self, module: project_files.ModuleFile) -> None:
        """Add a whole file as a part, whether the module is loaded or not."""
        name = f"module {module.name}"
        code = project_files.compile_file(module.file)
        if code is None:
            self.add_missing(name, f"{module.file} cannot be read as Python")
            return
        self.files[module.file] = project_files.get_file_state(module.file)
        self.add_part(name, [bytecode.compute_digest(code), self.describe_imports(code, module.package)])


def is_project_operator(text: str) -> bool:
    """Return whether a dotted name is a PyTorch operator that the project may define, such as "torch.ops.mine.f"."""
    parts = text.split(".")
    return parts[:2] == ["torch", "ops"] and len(parts) > 2 and parts[2] not in _TORCH_OPERATORS


def get_module_file(module: str) -> str:
    """Return the file of a loaded module."""
    return getattr(sys.modules.get(module), "__file__", None) or _UNKNOWN_FILE


def _find_import_source(module: str, file: str, variable: str) -> tuple[ModuleType, str] | None:
    """Return the module from which a global is imported, and its original name; None if it is not imported."""
    imported = module_statements.read_statements(file).imported.get(variable)
    if imported is None:
        return None
    name, level, original = imported
    package = getattr(sys.modules.get(module), "__package__", None) or ""
    source = sys.modules.get(_resolve_absolute_name(name, level, package))
    return None if source is None else (source, original)


def _resolve_absolute_name(name: str, level: int, package: str) -> str:
    """Return the absolute name of an imported module; "" if its relative import leaves the package."""
    try:
        return resolve_name("." * level + name, package) if level else name
    except ImportError:
        return ""
