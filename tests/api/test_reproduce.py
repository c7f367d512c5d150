"""One trial again, in a fresh process: the same numbers where nothing has changed, and what is said where something has."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ogive as og
from ogive.api import Run, open_run
from ogive.errors import RunError
from ogive.run.journal import Journal
from ogive.strategy.base import Strategy
from ogive.trial import Proposal, Status

CODE = """
import random
import time

import ogive as og

space = og.Space(og.layer(dict, a=og.one_of(1, 2, 3, 4, name="a"), names=og.one_of("x", "y", name="n")))

def train(model, trial):
    state = trial.restore() or trial.inherited() or {"value": 0.0, "epochs": 0}
    value, epochs = state["value"], state["epochs"]
    for epoch in trial.epochs():
        if model["a"] == 4 and epoch == 2:
            raise ValueError("four is too many")
        value, epochs = 0.5 * value + model["a"] + random.random(), epochs + 1
        trial.checkpoint(value=value, epochs=epochs)
        trial.report(accuracy=value, epochs_in_all=epochs, seconds=time.time(), latency_ms=time.time())
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with a space and a train function, which a test may change."""
    (tmp_path / "toy_again.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "toy_again", raising=False)
    importlib.invalidate_caches()
    return importlib.import_module("toy_again")


class Fixed(Strategy):
    """Proposes the architectures with these `a`, the last one inheriting."""

    def __init__(self, space: og.Space, heir: Callable[[], tuple[int, int] | None], wanted: tuple[int, ...]) -> None:
        self.space, self.heir, self.wanted = space, heir, wanted
        self.objectives, self.constraints = (og.Objective("accuracy", "maximize"),), ()
        self.asked = 0

    def ask(self, rng: Any, pending: Any, fidelity: Any) -> Proposal:
        number = self.asked
        architecture = self.space.architecture({"a": self.wanted[number], "n": "x"})
        return Proposal(architecture, self.heir() if number == len(self.wanted) - 1 else None)

    def tell(self, trial: og.Trial) -> None:
        self.asked = max(self.asked, trial.id + 1)


def searched(toy: ModuleType, folder: Path, **options: Any) -> Run:
    given = {"strategy": "random", "epochs": 4, "max_trials": 4, "cache": False, "observer": lambda state, event: None}
    return og.search(toy.space, toy.train, run=folder, **{**given, **options})


def events(folder: Path) -> int:
    journal = Journal(folder / "journal.db", writable=False)
    found = len(list(journal.read()))
    journal.close()
    return found


def test_trials_of_a_search_with_halving_give_the_same_numbers_again(toy: ModuleType, tmp_path: Path) -> None:
    run = searched(toy, tmp_path / "run", schedule={"asha": {}}, max_trials=6)
    assert {trial.step for trial in run.trials} >= {1, 4}  # paused early, and promoted to the end
    assert any(trial.status is Status.ERROR for trial in run.trials)
    before = events(run.folder)
    kinds = {(trial.status, trial.step): trial for trial in run.trials}  # one of each is enough
    for trial in kinds.values():
        said: list[str] = []
        again = run.reproduce(trial.id, ignore=["latency*"], say=said.append)
        assert again.same, again
        assert (again.steps, again.values) == (trial.step, 2 * trial.step)
        assert set(again.ignored) == {"seconds", "latency_ms"}
        assert said == []
    assert events(run.folder) == before


def test_what_measures_time_differs_unless_it_is_ignored(toy: ModuleType, tmp_path: Path) -> None:
    run = searched(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: None, (1,)), max_trials=1, epochs=1)
    again = run.reproduce(0)
    assert [(item.step, item.metric) for item in again.differences] == [(1, "latency_ms")]
    assert not again.same


@pytest.mark.parametrize("kept", [True, False])
def test_an_heir_starts_from_its_parent_even_if_the_checkpoint_is_gone(
    toy: ModuleType, tmp_path: Path, kept: bool
) -> None:
    run = searched(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: (0, 4), (1, 2)), max_trials=2)
    assert run.trials[1].metrics["epochs_in_all"] == 8
    if not kept:
        for path in (run.folder / "trials" / "000000").glob("checkpoint-*"):
            path.unlink()
    said: list[str] = []
    assert run.reproduce(1, ignore=["latency*"], say=said.append).same
    assert [line for line in said if "trial 0 is trained again first, up to step 4" in line] == said
    assert bool(said) is not kept


def test_a_cached_trial_is_trained(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    judge = og.estimate.train(toy.train, recipe={"toy": 1})
    quiet: dict[str, Any] = {"epochs": 2, "max_trials": 1, "observer": lambda state, event: None}
    for name in ("first", "second"):
        run = og.search(toy.space, judge, run=tmp_path / name, strategy=Fixed(toy.space, lambda: None, (2,)), **quiet)
    assert run.trials[0].cached
    assert run.reproduce(0, ignore=["latency*"]).same


def test_changed_code_is_named_and_its_numbers_are_compared(toy: ModuleType, tmp_path: Path) -> None:
    searched(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: None, (1,)), max_trials=1)
    (tmp_path / "toy_again.py").write_text(CODE.replace("0.5 * value", "0.75 * value"))
    done = subprocess.run(
        [sys.executable, "-m", "ogive", "reproduce", "run", "--trial", "0", "--ignore", "latency*"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line == "the code of the train function has changed (train function toy_again.train)"
    assert "was not reproduced: 3 of 8 values at 4 steps differ; not compared: seconds, latency_ms" in done.stdout


def test_what_cannot_be_repeated_is_one_clear_line(toy: ModuleType, tmp_path: Path) -> None:
    run = searched(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: None, (1,)), max_trials=1)
    with pytest.raises(RunError, match=r"has no trial 7; there are 0 to 0$"):
        run.reproduce(7)
    (run.folder / "payload.pkl").unlink()
    with pytest.raises(RunError, match=r"payload.pkl is gone; continue the search with the same call"):
        open_run(run.folder, trust=True)
    with pytest.raises(RunError, match=r"open it with og.open_run\(folder, trust=True\)"):
        open_run(run.folder).reproduce(0)


def test_real_training_is_equal_bit_for_bit_in_a_process_with_another_hash_seed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    task = og.task.classification("digits", test=0.2, validation=300, train=400)
    judge = og.estimate.classifier(task, og.task.Recipe(batch_size=64), epochs=3)
    nn = torch.nn
    net = og.layer(
        nn.Sequential,
        og.layer(nn.LazyConv2d, og.one_of(4, 8, name="width"), 3, padding="same"),
        og.layer(nn.ReLU), og.layer(nn.Flatten), og.layer(nn.LazyLinear, 10),
    )  # fmt: skip
    space = og.Space(net, example_input=(1, 8, 8))
    run = og.search(
        space, judge, objectives="log_loss", strategy="random", schedule={"asha": {}}, max_trials=2,
        run=tmp_path / "run", cache=False, observer=lambda state, event: None,
    )  # fmt: skip
    best = max(run.trials, key=lambda trial: trial.step)
    assert best.step == 3
    done = subprocess.run(
        [sys.executable, "-m", "ogive", "reproduce", "run", "--trial", str(best.id)],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "77"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the environment is the same as when the trial ran" in done.stdout
    assert f"trial {best.id} was reproduced: 12 values at 3 steps are equal; not compared: epoch_seconds" in done.stdout
