"""Find, in the source text of a module, information that the loaded objects do not contain.

This information is: the constants in the file, the variables that functions rebind, and the effects of importing the module.
"""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from ogive.source import project_files
from ogive.source.constants import format_constant, format_constant_expression
from ogive.source.function_assignments import FunctionAssignments, ReboundVariable, find_stored_names
from ogive.source.statement_effects import find_created_globals, has_outside_effect, is_main_or_type_checking

_REBINDING_BUILTINS = frozenset({"globals", "vars", "exec"})
"""Builtins with which a module may assign its globals without naming them."""


@dataclass
class ModuleStatements:
    """What the statements of a module's source text assign, import, and change when the module is imported.

    A *variable* is a global, an attribute of a class or a function, or a default value: "LR", "Net.width", "train(lr)".

    Attributes:
        constants: for each variable, the constants (as texts) that are assigned to it; None if another value may be assigned
            to it.
        imported: for each global that is imported from another module: the module, its relative level, and the original
            name.
        rebound: the variables that functions assign, with the assignments.
        effects: the code of the statements that change something outside of the module when it is imported; None if there
            are none.
        modules: the modules that are imported outside of functions, with their relative levels.
        creating_statements: for each global, the statements that assign it or call one of its methods.
    """

    constants: dict[str, set[str] | None] = field(default_factory=dict)
    imported: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    rebound: dict[str, ReboundVariable] = field(default_factory=dict)
    effects: CodeType | None = None
    modules: list[tuple[str, int]] = field(default_factory=list)
    creating_statements: dict[str, list[ast.stmt]] = field(default_factory=dict)

    def compile_creating_code(self, name: str) -> CodeType | None:
        """Return the code of the statements that create a global; None if there are none."""
        return _compile_statements(self.creating_statements[name]) if name in self.creating_statements else None

    def may_have_value(self, variable: str, value: Any) -> bool:
        """Return whether the source text may give this value to a variable that is assigned only constants.

        A container may also have items that the source text does not show: if none of the constants has its type, so that
        other code has assigned the container, or if one of them is an empty container, which other code has filled.
        """
        texts = self.constants[variable]
        assert texts, "only variables that are assigned only constants can be checked"
        if format_constant(value) in texts:
            return True
        if not isinstance(value, (list, dict, set)):
            return False
        empty = format_constant(type(value)())  # such as "list()"
        assert empty is not None
        return empty in texts or not any(text.startswith(empty[:-1]) for text in texts)

    def is_rebound(self, variable: str) -> bool:
        """Return whether functions assign a variable.

        For an attribute of a class, an attribute of the same name of any class counts, because `cls` may be a subclass; so
        does a global of that name.
        """
        if variable in self.rebound:
            return True
        base, _, attribute = variable.rpartition(".")
        return bool(base) and any(other.rpartition(".")[2] == attribute for other in self.rebound)

    def is_filled_by_code(self, variable: str) -> bool:
        """Return whether the code of functions describes a variable better than its present value does.

        This is true for a counter, whose value depends on what was executed before, and for a variable that is None until
        functions assign a value that does not depend on their arguments.
        """
        rebound, initial = self.rebound.get(variable), self.constants.get(variable)
        if rebound is None or not initial:
            return False
        return rebound.is_counter or (rebound.is_self_contained and initial == {format_constant(None)})


def read_statements(file: str) -> ModuleStatements:
    """Return the present content of a file; empty if it is not valid Python."""
    return _read_statements(file, project_files.get_file_state(file))


@functools.lru_cache(512)
def _read_statements(file: str, state: project_files.FileState) -> ModuleStatements:
    """Return the content of a file. `state` is only a key of the cache, so that an edited file is read again."""
    tree = project_files.parse_file(file)
    if tree is None:
        return ModuleStatements()
    reader = _StatementReader()
    reader.visit(tree)
    statements = reader.statements
    # These builtins may assign any variable, so no value is certain.
    if any(isinstance(node, ast.Name) and node.id in _REBINDING_BUILTINS for node in ast.walk(tree)):
        statements.constants.update(dict.fromkeys(statements.constants))
    # The variables that hold the module's own data and classes.
    own_variables = statements.constants.keys() - reader.functions_and_imports
    statements.effects = _compile_statements([node for node in tree.body if has_outside_effect(node, own_variables)])
    for node in tree.body:
        for name in find_created_globals(node) & statements.constants.keys():
            statements.creating_statements.setdefault(name, []).append(node)
    return statements


def _compile_statements(statements: list[ast.stmt]) -> CodeType | None:
    if not statements:
        return None
    code = compile(ast.Module(statements, []), "<statements>", "exec", dont_inherit=True)
    assert isinstance(code, CodeType)
    return code


class _StatementReader(ast.NodeVisitor):
    """Collects the assignments outside of functions, and the outer variables that functions assign.

    Attributes:
        statements: the result.
        functions_and_imports: the names of functions, and the imported names.
    """

    def __init__(self) -> None:
        self.statements = ModuleStatements()
        self.functions_and_imports: set[str] = set()
        self._class_path: list[str] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node.name, None)
        self._class_path.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self._class_path.pop()

    def visit(self, node: ast.AST) -> None:
        """Visit a node, but not inside functions, lambdas and comprehensions, whose variables are local."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._visit_function(node)
        elif not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            super().visit(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind(node.name, None)
        if not self._class_path:
            self.functions_and_imports.add(node.name)
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        pairs = [*zip(positional[len(positional) - len(defaults) :], defaults, strict=True)]
        pairs += [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None]
        for argument, default in pairs:
            self._bind(f"{node.name}({argument.arg})", default)
        self._add_rebound(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._bind(name, None)
            self.functions_and_imports.add(name)
            self.statements.modules.append((alias.name, 0))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        self.statements.modules.append((module, node.level))
        for alias in node.names:
            name = alias.asname or alias.name
            if name == "*":  # the import may replace any variable that was assigned before
                self.statements.constants.update(dict.fromkeys(self.statements.constants))
            self.statements.modules.append((f"{module}.{alias.name}" if module else alias.name, node.level))
            # A name counts as imported only if nothing else is assigned to it, before or (see _bind) afterwards.
            is_new = not self._class_path and name not in self.statements.constants
            self._bind(name, None)
            self.functions_and_imports.add(name)
            if is_new:
                self.statements.imported[name] = module, node.level, alias.name

    def visit_If(self, node: ast.If) -> None:
        if is_main_or_type_checking(node):
            node = ast.If(node.test, node.orelse, [])  # only the `else` branch runs when the module is imported
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id, None)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(ast.unparse(node), None)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, (ast.Name, ast.Attribute)):
            self._bind(ast.unparse(target), value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for target_item, value_item in zip(target.elts, value.elts, strict=True):
                self._assign(target_item, value_item)
        else:
            self.visit(target)

    def _bind(self, name: str, value: ast.expr | None) -> None:
        """Record an assignment to a name; `value` is None if it is unknown."""
        variable = ".".join([*self._class_path, name])
        text = None if value is None else format_constant_expression(value)
        previous = self.statements.constants.get(variable, set())
        self.statements.constants[variable] = None if text is None or previous is None else {*previous, text}
        self.statements.imported.pop(variable, None)

    def _add_rebound(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Record the variables that a function assigns outside of itself."""
        function_assignments = FunctionAssignments(function)
        for statement, conditions in function_assignments.assignments:
            for target in find_stored_names(statement):
                variable = self._find_outer_variable(target, function_assignments.outer_names)
                if variable is None:
                    continue
                rebound = self.statements.rebound.setdefault(variable, ReboundVariable())
                qualified_name = ".".join([*self._class_path, function.name])
                rebound.add(statement, function_assignments.is_self_contained(statement, conditions), qualified_name)

    def _find_outer_variable(self, node: ast.Name | ast.Attribute, outer_names: set[str]) -> str | None:
        """Return the outer variable that the target of an assignment in a function refers to; None if it refers to none.

        Outer variables are globals, and the attributes of everything except `self`, even if it is another local variable.
        """
        if isinstance(node, ast.Name):
            return node.id if node.id in outer_names else None
        base = ast.unparse(node.value)
        # In a function outside of classes, the class is unknown, and the base becomes "".
        if base in ("cls", "type(self)", "self.__class__", "__class__"):
            base = ".".join(self._class_path)
        return None if base in ("", "self") else f"{base}.{node.attr}"
