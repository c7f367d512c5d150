"""The executor `simulated`: searches in virtual time from Python and from a job, killed and continued."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.bench.benchmark_estimator import estimator
from ogive.bench.simulated_search import PluginSpec, simulate
from ogive.bench.synthetic import Chain
from ogive.cli.main import main
from ogive.errors import JobError, OgiveError, RunError
from ogive.planner import FaultModel
from ogive.run.state import State
from ogive.trial import Status

PROBLEM = Chain(4, epochs=9, noise=0.05)
FAULTS = {"startup": 40.0, "spread": 0.2, "straggle": 0.1, "fail": 0.05, "preempt": 20.0}
CODE = """
import ogive as og
from ogive.bench.synthetic import Chain

problem = Chain(4, epochs=9, noise=0.05)
space, estimator = problem.space, og.bench.estimator(problem)
"""
JOB = """\
space: mine.py:space
train: mine.py:estimator
strategy: random
schedule: {asha: {eta: 3}}
epochs: 9
max_trials: 150
parallel_trials: 40
executor: {simulated: {startup: 40, fail: 0.05, preempt: 20}}
"""


def search(folder: Path, executor: Any, **options: Any) -> og.Run:
    options = {
        "strategy": "random",
        "schedule": {"asha": {"eta": 3}},
        "max_trials": 100,
        "workers": 30,
        "seed": 3,
        **options,
    }
    used = options.pop("estimator", estimator(PROBLEM))
    return og.search(PROBLEM.space, used, objectives=PROBLEM.objectives, run=folder, executor=executor, **options)


def list_outcomes(state: State, begin: float) -> list[tuple[object, ...]]:
    """Return the outcome of each trial, with times in milliseconds after `begin`."""
    return [
        (
            t.architecture.id,
            t.status,
            t.fidelity["epochs"],
            [(r.step, r.metrics["accuracy"], round(r.time - begin, 3)) for r in t.reports],
        )
        for t in state.trials.values()
    ]


def events(folder: Path) -> list[tuple[float, str, int | None, dict[str, Any]]]:
    with sqlite3.connect(folder / "journal.db") as connection:
        rows = connection.execute("select time, kind, trial, data from events order by seq").fetchall()
    return [(moment, kind, trial, json.loads(data)) for moment, kind, trial, data in rows]


def test_a_search_in_virtual_time_is_the_simulation_of_the_benchmark(tmp_path: Path) -> None:
    begin = time.time()
    run = search(tmp_path / "run", {"simulated": FAULTS}, cache=True)
    simulated = simulate(
        PROBLEM,
        PluginSpec("random"),
        PluginSpec("asha", {"eta": 3}),
        trials=100,
        workers=30,
        seed=3,
        faults=FaultModel(**FAULTS),
    )
    stored = events(run.folder)
    assert list_outcomes(run.state, stored[0][0]) == list_outcomes(simulated, 0.0)
    assert run.state.elapsed_seconds == pytest.approx(simulated.elapsed_seconds, abs=1e-3)
    assert run.state.elapsed_seconds > 30 + time.time() - begin, "virtual time is longer than real time"
    assert {trial.status for trial in run.state.trials.values()} >= {Status.ERROR, Status.FINISHED}
    assert not any(trial.cached for trial in run.state.trials.values())
    assert [message for message, _ in run.state.warnings if "time is virtual" in message and "30 simulated" in message]
    assert "seconds" in run.best.metrics, "the estimator reports the same metrics as in real time"


def test_the_faults_have_the_seed_of_the_search_by_default(tmp_path: Path) -> None:
    def list_failed(name: str, **options: Any) -> set[int]:
        run = search(tmp_path / name, {"simulated": {"fail": 0.3, **options}}, schedule="full")
        return {trial.id for trial in run.state.trials.values() if trial.status.failed}

    assert list_failed("left_out") == list_failed("same", seed=3) != list_failed("other", seed=4)


def test_a_continued_run_starts_at_the_time_of_its_last_event(tmp_path: Path) -> None:
    run = search(tmp_path / "run", "simulated", max_trials=60)
    end, elapsed = events(run.folder)[-1][0], run.state.elapsed_seconds
    continued = search(tmp_path / "run", "simulated", max_trials=100, workers=500)
    opened = [moment for moment, kind, _, _ in events(run.folder) if kind == "opened"]
    assert opened[1] == pytest.approx(end, abs=1e-3)
    assert len(continued.state.trials) == 100
    assert continued.state.elapsed_seconds > elapsed
    assert sum("time is virtual" in message for message, _ in continued.state.warnings) == 1
    with pytest.raises(RunError, match="measures virtual time, but executor='inline' measures real time"):
        search(tmp_path / "run", "inline", workers=1)
    with pytest.raises(JobError, match="was simulated: there is nothing to train in full"):
        continued.finalize(top=1, epochs=2)
    search(tmp_path / "real", "inline", workers=1, max_trials=2)
    with pytest.raises(RunError, match="measures real time, but executor='simulated' measures virtual time"):
        search(tmp_path / "real", "simulated", max_trials=2)


def test_the_launch_gate_asks_for_no_limits_if_nothing_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "job.yaml").write_text(JOB)
    with pytest.raises(SystemExit, match="0"):
        main(["check", str(tmp_path / "job.yaml")])
    output = capsys.readouterr().out
    assert "the job is valid" in output
    assert "40 at a time" in output
    assert "_limit" not in output


def test_a_job_in_virtual_time_survives_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "job.yaml").write_text(JOB)
    folder = tmp_path / "run"
    script = (
        "import sys, time\nfrom ogive.job import load_job, run_job\n"
        "def slowly(state, event):\n    print(len(state.trials), flush=True)\n    time.sleep(0.002)\n"
        f"run_job(load_job({str(tmp_path / 'job.yaml')!r}, {{'run': {str(folder)!r}}}), slowly)\n"
    )
    for reached in (50, 90, 130):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while (line := process.stdout.readline()) and int(line) < reached:
            pass
        assert line, "the search ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with pytest.raises(SystemExit, match="0"):
        main(["search", str(tmp_path / "job.yaml"), "--run", str(folder)])
    assert "150 trials" in capsys.readouterr().out
    stored = events(folder)
    times = [moment for moment, *_ in stored]
    assert times == sorted(times), "virtual time never decreases"
    opened = [number for number, (_, kind, _, _) in enumerate(stored) if kind == "opened"]
    assert len(opened) == 4
    for number in opened[1:]:
        assert stored[number][0] == pytest.approx(stored[number - 1][0], abs=1e-3), (
            "virtual time stands still between sessions"
        )
    reports = [(trial, data["metrics"]["seconds"]) for _, kind, trial, data in stored if kind == "reported"]
    assert len(set(reports)) == len(reports), "no epoch is reported twice"
    run = og.open_run(folder)
    assert all(trial.status.ended or trial.status is Status.PAUSED for trial in run.state.trials.values())
    assert run.state.warnings[0][0].startswith("time is virtual")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "simulate"}, "allowed: processes, inline, simulated, or"),
        ({"executor": {"simulated": {"stragglers": 0.1}}}, "options: startup, spread, straggle,"),
        ({"executor": {"inline": {"startup": 1}}}, "only `simulated` has options"),
        ({"executor": {"simulated": {"fail": 2}}}, "fail=2 of simulated workers: a number from 0 to 1"),
        (
            {"executor": {"simulated": {"seed": -1}}},
            "seed=-1 of simulated workers: expected a whole number, at least 0",
        ),
        ({"estimator": og.estimate.function(lambda a: {"accuracy": 1.0})}, "allowed: the estimator of a benchmark"),
        ({"time_limit": 3.0}, "does not support a time, memory or startup limit"),
    ],
)
def test_a_search_that_cannot_be_simulated_is_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OgiveError) as caught:
        search(tmp_path / "run", **{"executor": "simulated", **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
