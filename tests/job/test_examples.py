"""The examples are valid jobs, and a short search with each of them finds something."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.job import load_job, run_job

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_searches(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    short = {"max_trials": 2, "epochs": 1, "workers": 1, "time_limit": None, "executor": "inline"}
    run = run_job(load_job(path, {**short, "run": str(tmp_path / "run")}))
    assert len(run.top(2)) == 2
    assert run.state.failed == 0
