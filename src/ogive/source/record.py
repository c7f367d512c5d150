"""What a walk over code has found so far: hashes by name, files, and what cannot be identified."""

from __future__ import annotations

import hashlib
import json
import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ogive.source import files, objects


def short_hash(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of `value` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class Record:
    """Parts, files and what is missing, as in `ogive.source.CodeIdentity`."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        self.missing: list[str] = []
        self.files: dict[str, tuple[int, int]] = {}
        self.current = ""
        """The name of the part that is being described."""

    def add(self, name: str, own: Any) -> None:
        """Keep the hash of one object, with what was kept under the name before."""
        self.parts[name] = short_hash([self.parts.get(name), own])

    def miss(self, name: str, reason: str) -> None:
        line = f"{name}: {reason}"
        if line not in self.missing:
            self.missing.append(line)

    def installed(self, module: str, qualname: str) -> str:
        """An object of an installed package, whose version becomes a part."""
        top = module.partition(".")[0]
        version = files.version(top)
        if version is not None:
            self.parts[f"package {top}"] = version
        return f"installed {module}:{qualname}"

    def is_project(self, value: FunctionType | type) -> bool:
        if isinstance(value, FunctionType):
            file = value.__code__.co_filename
            if files.is_real(file):
                return not files.is_installed(file)
            module = value.__globals__.get("__name__", "")
        else:
            module = objects.module_of(value)
        return files.is_project_module(module)

    def note_file(self, module: ModuleType | None) -> bool:
        """Note the source file of a module; False where it has none."""
        file = getattr(module, "__file__", None)
        if file is None or not files.has_source(file):
            return False
        self.files[file] = files.state(file)
        return True

    def check_source(self, code: CodeType, module: str, name: str) -> None:
        """Note the file of a function, or why its source is missing."""
        file = code.co_filename
        if not files.has_source(file):
            self.miss(name, f"it has no source file ({file})")
            return
        self.files[file] = files.state(file)
        if module != "__main__" and not files.holds(file, code):  # what is in __main__ travels by value
            self.miss(name, f"the loaded code is not what {file} holds now")

    def check_module_file(self, module: str, name: str) -> None:
        if not self.note_file(sys.modules.get(module)) and module != "__main__":
            self.miss(name, f"the module {module} has no source file")
