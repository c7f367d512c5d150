"""The record of a walk over code: the hashes of the parts, the files, and the code and data that cannot be identified."""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ogive.hashing import hash_json
from ogive.source import objects, project_files


class WalkRecord:
    """Collects the fields of a `CodeIdentity` during a walk over code.

    Attributes:
        parts: the hash of each part, by name.
        missing: the code and data that cannot be identified, with the reasons.
        files: the files of the project that were read, with their states at that time.
        current: the name of the part that is being described; "" before the first one.
    """

    def __init__(self) -> None:
        self.parts: dict[str, str] = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        self.missing: list[str] = []
        self.files: dict[str, project_files.FileState] = {}
        self.current = ""

    def add_part(self, name: str, description: Any) -> None:
        """Add the hash of a description as a part. If a part with this name exists already, combine both hashes."""
        self.parts[name] = hash_json([self.parts.get(name), description])

    def add_missing(self, name: str, reason: str) -> None:
        """Record in `missing` that the object `name` cannot be identified, with the reason."""
        line = f"{name}: {reason}"
        if line not in self.missing:
            self.missing.append(line)

    def describe_installed(self, module: str, qualname: str) -> str:
        """Return the description of an object of an installed package, and add a part for the version of the package."""
        top = module.partition(".")[0]
        version = project_files.find_package_version(top)
        if version is not None:
            self.parts[f"package {top}"] = version
        return f"installed {module}:{qualname}"

    def is_project_code(self, value: FunctionType | type) -> bool:
        """Return whether a function or a class belongs to the project, and not to an installed package."""
        if isinstance(value, FunctionType):
            file = value.__code__.co_filename
            if project_files.is_file_name(file):
                return not project_files.is_installed(file)
            module = value.__globals__.get("__name__", "")
        else:
            module = objects.get_module_name(value)
        return project_files.is_project_module(module)

    def add_file(self, module: ModuleType | None) -> bool:
        """Record the source file of a module; return whether it has one."""
        file = getattr(module, "__file__", None)
        if file is None or not project_files.has_source(file):
            return False
        self.files[file] = project_files.get_file_state(file)
        return True

    def check_function_file(self, code: CodeType, module: str, name: str) -> None:
        """Record the file of a function, or the reason why its source cannot be identified."""
        file = code.co_filename
        if not project_files.has_source(file):
            self.add_missing(name, f"it has no source file ({file})")
            return
        self.files[file] = project_files.get_file_state(file)
        # Code of `__main__` is sent to workers by value, so its file need not contain it.
        if module != "__main__" and not project_files.contains_code(file, code):
            self.add_missing(name, f"the loaded code differs from what {file} contains now")

    def check_module_file(self, module: str, name: str) -> None:
        """Record the file of a module. If the module has no file, record in `missing` that `name` cannot be identified."""
        if not self.add_file(sys.modules.get(module)) and module != "__main__":
            self.add_missing(name, f"the module {module} has no source file")
