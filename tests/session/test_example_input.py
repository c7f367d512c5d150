"""An example input may be added to the space of a run, but it may not be changed or removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.errors import RunError
from ogive.run.events import Kind
from ogive.run.journal import Journal

CALLS: list[int] = []


def evaluate(architecture: og.Architecture) -> dict[str, float]:
    CALLS.append(1)
    return {"accuracy": float(str(architecture["a"]))}


def search(folder: Path, example: Any, max_trials: int = 3, cache: bool = False) -> og.Run:
    space = og.Space(og.layer(dict, a=og.one_of(*range(9), name="a")), example_input=example)
    estimator = og.estimate.function(evaluate, recipe={"version": 1})
    return og.search(space, estimator, run=folder, max_trials=max_trials, executor="inline", cache=cache)


def warnings(folder: Path) -> list[str]:
    journal = Journal(folder / "journal.db", writable=False)
    messages = [event.data["message"] for event in journal.read() if event.kind is Kind.WARNING]
    journal.close()
    return messages


def test_an_example_input_is_added_to_a_finished_run(tmp_path: Path) -> None:
    before = search(tmp_path, None).trials
    CALLS.clear()
    for _ in range(2):
        run = search(tmp_path, (4,))
    assert [(t.architecture, t.metrics) for t in run.trials] == [(t.architecture, t.metrics) for t in before]
    assert CALLS == []
    assert og.open_run(tmp_path, trust=True).space.example_input == (4,)
    assert sum("was given an example_input" in message for message in warnings(tmp_path)) == 1, (
        "the notice is journalled once"
    )
    assert [t.architecture for t in search(tmp_path, (4,), max_trials=5).trials[:3]] == [t.architecture for t in before]


def test_results_of_earlier_runs_are_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    CALLS.clear()  # its contents are part of the identity of `evaluate`
    search(tmp_path / "a", None, cache=True)
    CALLS.clear()
    assert all(trial.cached for trial in search(tmp_path / "b", (4,), cache=True).trials)
    assert CALLS == []


@pytest.mark.parametrize("changed", [(5,), None, lambda: (4,), {"x": (4,)}])
def test_another_example_input_is_refused(changed: Callable[[], Any] | Any, tmp_path: Path) -> None:
    search(tmp_path, (4,))
    with pytest.raises(
        RunError,
        match=r"the example_input was \(4,\) and is now .*; lazy layers take their shapes from the example input",
    ):
        search(tmp_path, changed)
