"""What a walk over code has found so far: hashes by name, files, and what cannot be identified."""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ogive.hashing import hash_json
from ogive.source import objects, project_files


class WalkRecord:
    """Parts, files and what is missing, as in `ogive.source.CodeIdentity`."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        self.missing: list[str] = []
        self.files: dict[str, tuple[int, int]] = {}
        self.current = ""
        """The name of the part that is being described."""

    def add(self, name: str, own: Any) -> None:
        """Keep the hash of one object, with what was kept under the name before."""
        self.parts[name] = hash_json([self.parts.get(name), own])

    def miss(self, name: str, reason: str) -> None:
        line = f"{name}: {reason}"
        if line not in self.missing:
            self.missing.append(line)

    def installed(self, module: str, qualname: str) -> str:
        """An object of an installed package, whose version becomes a part."""
        top = module.partition(".")[0]
        version = project_files.version(top)
        if version is not None:
            self.parts[f"package {top}"] = version
        return f"installed {module}:{qualname}"

    def is_project(self, value: FunctionType | type) -> bool:
        if isinstance(value, FunctionType):
            file = value.__code__.co_filename
            if project_files.is_real(file):
                return not project_files.is_installed(file)
            module = value.__globals__.get("__name__", "")
        else:
            module = objects.module_of(value)
        return project_files.is_project_module(module)

    def note_file(self, module: ModuleType | None) -> bool:
        """Note the source file of a module; False where it has none."""
        file = getattr(module, "__file__", None)
        if file is None or not project_files.has_source(file):
            return False
        self.files[file] = project_files.state(file)
        return True

    def check_source(self, code: CodeType, module: str, name: str) -> None:
        """Note the file of a function, or why its source is missing."""
        file = code.co_filename
        if not project_files.has_source(file):
            self.miss(name, f"it has no source file ({file})")
            return
        self.files[file] = project_files.state(file)
        if module != "__main__" and not project_files.holds(file, code):  # what is in __main__ travels by value
            self.miss(name, f"the loaded code is not what {file} holds now")

    def check_module_file(self, module: str, name: str) -> None:
        if not self.note_file(sys.modules.get(module)) and module != "__main__":
            self.miss(name, f"the module {module} has no source file")
