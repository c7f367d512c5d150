"""Modules of a user that are written, imported from scratch and identified, again and again."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from ogive.source import CodeIdentity, identity


class Modules:
    """A folder with modules; `m` is the one that holds the function `use`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, texts: Mapping[str, str] | str) -> ModuleType:
        """Write the modules, by name, and import `m` again."""
        texts = {"m": texts} if isinstance(texts, str) else texts
        self.forget()
        for name, text in texts.items():
            (self.folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("m")

    def of(self, texts: Mapping[str, str] | str) -> CodeIdentity:
        """The identity of `m.use`."""
        return identity([("train function", self.load(texts).use)])

    def edit(self, before: str, after: str, name: str = "m") -> None:
        """Change a file that has been imported."""
        path = self.folder / f"{name}.py"
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    def forget(self) -> None:
        own = [path.stem for path in self.folder.glob("*.py")]
        for name in [name for name in sys.modules if name.partition(".")[0] in own]:
            del sys.modules[name]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within one second
    made = Modules(tmp_path)
    yield made
    made.forget()


@pytest.fixture
def hashes(modules: Modules) -> Callable[[str, str, str, str], tuple[str, str, str]]:
    """Hashes of `m.use` of a text: twice as it is, and with an edit, in `m` or in the module `cfg` beside it."""

    def of(text: str, before: str, after: str, cfg: str = "") -> tuple[str, str, str]:
        assert before in text + cfg
        then, again = (modules.of({"m": text, "cfg": cfg}) for _ in range(2))
        now = modules.of({"m": text.replace(before, after), "cfg": cfg.replace(before, after)})
        assert then.missing == now.missing == ()
        return then.hash, again.hash, now.hash

    return of
