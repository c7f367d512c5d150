"""Modules of a user, which are written, imported again and identified."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from ogive.source import CodeIdentity, identify_code


class Modules:
    """A folder with modules; the module `m` defines the function `use`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, texts: Mapping[str, str] | str) -> ModuleType:
        """Write the modules, by name, import `m` again, and return it."""
        texts = {"m": texts} if isinstance(texts, str) else texts
        self.forget()
        for name, text in texts.items():
            (self.folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("m")

    def identify(self, texts: Mapping[str, str] | str) -> CodeIdentity:
        """Return the identity of `m.use`."""
        return identify_code([("train function", self.load(texts).use)])

    def edit(self, before: str, after: str, name: str = "m") -> None:
        """Change a file that has been imported."""
        path = self.folder / f"{name}.py"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    def forget(self) -> None:
        names = [path.stem for path in self.folder.glob("*.py")]
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within one second
    result = Modules(tmp_path)
    yield result
    result.forget()


@pytest.fixture
def hashes(modules: Modules) -> Callable[[str, str, str, str], tuple[str, str, str]]:
    """Return a function that computes hashes of `m.use`: of a text twice, and of the text with an edit.

    The edit is in `m`, or in the module `cfg` beside it.
    """

    def compute(text: str, before: str, after: str, cfg: str = "") -> tuple[str, str, str]:
        assert before in text + cfg
        first, second = (modules.identify({"m": text, "cfg": cfg}) for _ in range(2))
        edited = modules.identify({"m": text.replace(before, after), "cfg": cfg.replace(before, after)})
        assert first.missing == edited.missing == ()
        return first.hash, second.hash, edited.hash

    return compute
