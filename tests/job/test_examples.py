"""The examples are valid jobs, and a short search with each of them has successful trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.job import load_job, run_job

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_searches(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    short = {"parallel_trials": 1, "time_limit": None, "memory_limit": None, "executor": "inline"}
    options = {**short, "run": str(tmp_path / "run")}
    if "phases:" in path.read_text():
        phase = load_job(path, options).phases[0].job  # test_funnel runs all phases of a funnel
        assert phase is not None
        run = run_job(phase)
    else:
        run = run_job(load_job(path, {**options, "max_trials": 2, "epochs": 1}))
    assert len(run.top(2)) == 2
    assert run.state.failed_count == 0
