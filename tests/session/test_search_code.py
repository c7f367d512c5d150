"""Results of changed code are not shared, and a continued run warns that its code has changed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ogive as og

CODE = """
import ogive as og


class Box:
    def __init__(self, n):
        self.size = 2 * n


def narrow(architecture):
    return "too wide" if architecture["n"] > 6 else None


def evaluate(architecture):
    return {"accuracy": float(architecture.build().size)}


space = og.Space(og.layer(Box, og.integer(1, 8, name="n")), constraint=narrow)
estimator = og.estimate.function(evaluate, recipe={"rate": 1})
"""
LAYER = ("2 * n", "3 * n")
CONSTRAINT = ('["n"] > 6', '["n"] > 7')
FUNCTION = ("architecture.build().size", "architecture.build().size + 1")

Load = Callable[..., ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return a function that imports the user's module with an edit, as a new process would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load_module(before: str = "", after: str = "") -> ModuleType:
        (tmp_path / "edited.py").write_text(CODE.replace(before, after) if before else CODE)
        sys.modules.pop("edited", None)
        importlib.invalidate_caches()
        return importlib.import_module("edited")

    yield load_module
    sys.modules.pop("edited", None)


def search(module: ModuleType, folder: Path, **options: Any) -> og.Run:
    options = {"strategy": "grid", "max_trials": 3, "executor": "inline", **options}
    return og.search(module.space, module.estimator, run=folder, **options)


def warnings(run: og.Run) -> list[str]:
    return [message for message, _ in run.state.warnings]


@pytest.mark.parametrize("edit", [LAYER, FUNCTION], ids=["layer", "function"])
def test_results_of_other_code_are_not_taken_from_the_cache(load: Load, tmp_path: Path, edit: tuple[str, str]) -> None:
    original = search(load(), tmp_path / "original")
    assert all(trial.cached for trial in search(load(), tmp_path / "same").trials)
    changed = search(load(*edit), tmp_path / "changed")
    assert not any(trial.cached for trial in changed.trials)
    assert [t.metrics for t in changed.trials] != [t.metrics for t in original.trials]
    assert all(trial.cached for trial in search(load(), tmp_path / "put_back").trials)


def test_a_continued_run_names_the_changed_code(load: Load, tmp_path: Path) -> None:
    search(load(), tmp_path / "run")
    assert warnings(search(load(), tmp_path / "run", max_trials=4)) == []
    assert warnings(search(load(*LAYER), tmp_path / "run", max_trials=5)) == [
        "the code of the layers has changed: trials before 4 were built from the previous version (layer edited.Box)"
    ]
    module = load(*LAYER)
    module.space.constraint = lambda architecture: None
    assert warnings(search(module, tmp_path / "run", max_trials=6))[1].startswith(
        "the code of the space's constraint, canonical form or graph has changed: trials before 5 were proposed under"
    )


def test_code_without_source_is_not_cached_and_one_warning_says_so(load: Load, tmp_path: Path) -> None:
    def without_source() -> ModuleType:
        module = load()
        exec("class Box:\n    def __init__(self, n): self.size = n\n", vars(module))
        module.space = og.Space(og.layer(module.Box, og.integer(1, 8, name="n")))
        return module

    for name in ("first", "second", "second"):
        run = search(without_source(), tmp_path / name)
        assert not any(trial.cached for trial in run.trials)
        (message,) = warnings(run)
        assert message.startswith("the evaluation cache is off")
        assert "layer edited.Box: it has no source file (<string>)" in message


def test_a_file_that_is_edited_during_a_search_ends_its_use_of_the_cache(load: Load, tmp_path: Path) -> None:
    module = load()

    def edit(state: Any, event: Any) -> None:
        if len(state.trials) == 2:
            (tmp_path / "edited.py").write_text(CODE.replace(*LAYER))

    run = search(module, tmp_path / "run", observer=edit)
    (message,) = warnings(run)
    assert (
        message
        == f"{tmp_path / 'edited.py'} was edited during the search: this session no longer uses the evaluation cache"
    )
    assert [trial.cached for trial in search(load(), tmp_path / "repeated").trials] == [True, False, False]


def test_full_training_reuses_no_training_of_other_layers(load: Load, tmp_path: Path) -> None:
    messages: list[str] = []

    def finalize(module: ModuleType, **options: Any) -> None:
        run = search(module, tmp_path / "run")
        messages.clear()
        run.finalize(top=1, executor="inline", say=messages.append, **options)

    finalize(load())
    finalize(load(), seeds=(0, 1))
    assert any("1 of 2 trainings are reused" in line for line in messages)
    finalize(load(*LAYER), seeds=(0, 1))
    assert any(
        line.startswith("nothing of the earlier full training is reused, because the code of the layers")
        for line in messages
    )
    assert (tmp_path / "run" / "final-1").is_dir()


def test_opening_a_run_with_edited_layers_warns_before_full_training(load: Load, tmp_path: Path) -> None:
    search(load(), tmp_path / "run")
    load(*LAYER)
    messages: list[str] = []
    og.open_run(tmp_path / "run", trust=True).finalize(top=1, executor="inline", say=messages.append)
    assert messages[0].startswith("warning: the code of the layers has changed (layer edited.Box) since the search")
