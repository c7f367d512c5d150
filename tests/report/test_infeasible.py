"""A search in which no trial satisfies the constraints has no best trial, in every output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.cli.search import _has_ended_without_success
from ogive.errors import JobError, RunError
from ogive.monitor.progress import Progress

SPACE = og.Space(og.layer(dict, width=og.integer(2, 9, name="width")))
NEAREST = "no trial satisfies the constraints; trial {} comes nearest, with size 20, not size <= 5"


def train(model: Any, trial: Any) -> None:
    for epoch in trial.epochs():
        trial.report(accuracy=model["width"] / 10 + epoch / 100, size=10.0 * model["width"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> og.Run:
    return og.search(
        SPACE,
        train,
        objectives="accuracy",
        constraints=og.Constraint("size", at_most=5),
        strategy="grid",
        schedule="asha",
        epochs=3,
        max_trials=8,
        executor="inline",
        run=tmp_path_factory.mktemp("infeasible") / "run",
    )


def test_python_names_none_and_the_one_that_comes_nearest(run: og.Run) -> None:
    (narrowest,) = (trial.id for trial in run.trials if trial.architecture["width"] == 2)
    assert run.top() == run.front() == []
    with pytest.raises(RunError, match=NEAREST.format(narrowest)):
        _ = run.best
    with pytest.raises(JobError, match=r"nothing to train in full in .*: no trial satisfies the constraints"):
        run.finalize(top=2)


def test_the_commands_name_none(run: og.Run, capsys: pytest.CaptureFixture[str]) -> None:
    from ogive.cli.status import status
    from ogive.cli.top import top

    status(run.folder)
    output = capsys.readouterr().out
    assert "found     No trial satisfies the constraints; trial" in output
    top(run.folder)
    output = capsys.readouterr().out
    assert output.startswith("no trial satisfies the constraints; trial")
    assert "rank" not in output
    assert len(output.splitlines()) == 10, "all eight are listed, the nearest first"
    top(run.folder, as_json=True)
    assert capsys.readouterr().out.strip() == "[]"
    assert _has_ended_without_success(run), "ogive search exits with 1"


def test_the_page_and_the_live_view_name_none(run: og.Run) -> None:
    page = run.report(run.folder.parent / "report.md").read_text()
    assert "No trial satisfies the constraints; trial" in page
    assert "Loosen the constraints" in page
    assert "best accuracy" not in page
    assert "1. trial" not in page
    progress = Progress()
    progress.record_event(run.state, None)
    assert progress.best == []
    assert progress.format_best() == "none satisfies the constraints yet"


def test_a_criterion_on_a_metric_that_no_trial_reports_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ogive.cli.status import status

    run = og.search(
        SPACE,
        train,
        objectives="accuracy",
        criteria=og.Constraint("f1", at_least=0.9),
        strategy="grid",
        epochs=1,
        max_trials=8,
        executor="inline",
        run=tmp_path / "run",
    )
    output = [message for message, _ in run.state.warnings if "criterion on 'f1'" in message]
    assert len(output) == 1
    status(run.folder)
    assert "no trial reports 'f1' (reported metrics: accuracy, size)" in " ".join(capsys.readouterr().out.split())


def test_trials_that_violate_a_constraint_are_not_among_the_best(tmp_path: Path) -> None:
    run = og.search(
        SPACE,
        train,
        objectives="accuracy",
        constraints=og.Constraint("size", at_most=40),
        strategy="grid",
        epochs=1,
        max_trials=8,
        executor="inline",
        run=tmp_path / "run",
    )
    assert [trial.architecture["width"] for trial in run.top()] == [4, 3, 2]
