"""The repetition of a trial in a fresh process: equal numbers if nothing has changed, and the changes by name."""

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
    """Return a module with a space and a train function, which a test may edit."""
    (tmp_path / "toy_again.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "toy_again", raising=False)
    importlib.invalidate_caches()
    return importlib.import_module("toy_again")


class Fixed(Strategy):
    """Proposes the architectures with these values of `a`; the last one inherits weights."""

    def __init__(self, space: og.Space, parent: Callable[[], tuple[int, int] | None], values: tuple[int, ...]) -> None:
        self.space, self.parent, self.values = space, parent, values
        self.objectives, self.constraints = (og.Objective("accuracy", "maximize"),), ()
        self.proposed = 0

    def ask(self, rng: Any, pending: Any, fidelity: Any) -> Proposal:
        number = self.proposed
        architecture = self.space.architecture({"a": self.values[number], "n": "x"})
        return Proposal(architecture, self.parent() if number == len(self.values) - 1 else None)

    def tell(self, trial: og.Trial) -> None:
        self.proposed = max(self.proposed, trial.id + 1)


def run_search(toy: ModuleType, folder: Path, **options: Any) -> Run:
    defaults = {
        "strategy": "random",
        "epochs": 4,
        "max_trials": 4,
        "cache": False,
        "observer": lambda state, event: None,
    }
    return og.search(toy.space, toy.train, run=folder, **{**defaults, **options})


def count_events(folder: Path) -> int:
    journal = Journal(folder / "journal.db", writable=False)
    count = len(list(journal.read()))
    journal.close()
    return count


def test_repeated_trials_of_a_search_with_asha_give_the_same_numbers(toy: ModuleType, tmp_path: Path) -> None:
    run = run_search(toy, tmp_path / "run", schedule={"asha": {}}, max_trials=6)
    assert {trial.step for trial in run.trials} >= {1, 4}  # paused early, and promoted to the end
    assert any(trial.status is Status.ERROR for trial in run.trials)
    before = count_events(run.folder)
    kinds = {(trial.status, trial.step): trial for trial in run.trials}  # one of each kind
    for trial in kinds.values():
        messages: list[str] = []
        result = run.reproduce(trial.id, ignore=["latency*"], say=messages.append)
        assert result.same, result
        assert (result.steps, result.values) == (trial.step, 2 * trial.step)
        assert set(result.ignored) == {"seconds", "latency_ms"}
        assert messages == []
    assert count_events(run.folder) == before


def test_metrics_that_measure_time_differ_unless_they_are_ignored(toy: ModuleType, tmp_path: Path) -> None:
    run = run_search(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: None, (1,)), max_trials=1, epochs=1)
    result = run.reproduce(0)
    assert [(item.step, item.metric) for item in result.differences] == [(1, "latency_ms")]
    assert not result.same


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_inherited_checkpoint_that_was_deleted_is_trained_again(
    toy: ModuleType, tmp_path: Path, is_kept: bool
) -> None:
    run = run_search(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: (0, 4), (1, 2)), max_trials=2)
    assert run.trials[1].metrics["epochs_in_all"] == 8
    if not is_kept:
        for path in (run.folder / "trials" / "000000").glob("checkpoint-*"):
            path.unlink()
    messages: list[str] = []
    assert run.reproduce(1, ignore=["latency*"], say=messages.append).same
    assert [line for line in messages if "trial 0 is trained again first, up to step 4" in line] == messages
    assert bool(messages) is not is_kept


def test_a_cached_trial_is_trained(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    estimator = og.estimate.train(toy.train, recipe={"toy": 1})
    quiet: dict[str, Any] = {"epochs": 2, "max_trials": 1, "observer": lambda state, event: None}
    for name in ("first", "second"):
        run = og.search(
            toy.space, estimator, run=tmp_path / name, strategy=Fixed(toy.space, lambda: None, (2,)), **quiet
        )
    assert run.trials[0].cached
    assert run.reproduce(0, ignore=["latency*"]).same


def test_changed_code_is_named_and_values_are_compared(toy: ModuleType, tmp_path: Path) -> None:
    run_search(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: None, (1,)), max_trials=1)
    (tmp_path / "toy_again.py").write_text(CODE.replace("0.5 * value", "0.75 * value"))
    done = subprocess.run(
        [sys.executable, "-m", "ogive", "reproduce", "run", "--trial", "0", "--ignore", "latency*"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line == "the code of the train function has changed (train function toy_again.train)"
    assert "was not reproduced: 3 of 8 values at 4 steps differ; not compared: seconds, latency_ms" in done.stdout


def test_trials_that_cannot_be_repeated_are_refused(toy: ModuleType, tmp_path: Path) -> None:
    run = run_search(toy, tmp_path / "run", strategy=Fixed(toy.space, lambda: None, (1,)), max_trials=1)
    with pytest.raises(RunError, match=r"has no trial 7; its trials are numbered from 0 to 0$"):
        run.reproduce(7)
    (run.folder / "payload.pkl").unlink()
    with pytest.raises(RunError, match=r"payload.pkl does not exist any more; continue the search with the same call"):
        open_run(run.folder, trust=True)
    with pytest.raises(RunError, match=r"open the run with og.open_run\(folder, trust=True\)"):
        open_run(run.folder).reproduce(0)


def test_training_is_equal_bit_for_bit_with_another_hash_seed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    task = og.task.classification("digits", test=0.2, validation=300, train=400)
    estimator = og.estimate.classifier(task, og.task.Recipe(batch_size=64), epochs=3)
    nn = torch.nn
    net = og.layer(
        nn.Sequential,
        og.layer(nn.LazyConv2d, og.one_of(4, 8, name="width"), 3, padding="same"),
        og.layer(nn.ReLU), og.layer(nn.Flatten), og.layer(nn.LazyLinear, 10),
    )  # fmt: skip
    space = og.Space(net, example_input=(1, 8, 8))
    run = og.search(
        space, estimator, objectives="log_loss", strategy="random", schedule={"asha": {}}, max_trials=2,
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
