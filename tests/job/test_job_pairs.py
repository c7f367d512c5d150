"""Jobs whose strategy requires a schedule, and jobs with a warm start."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.errors import JobError
from ogive.job import load_job
from ogive.job.execution import run_job

CODE = """
import ogive as og

def part(*args, **named):
    return args

space = og.Space(og.layer(part, *(og.one_of(0, 1, 2, name=f"d{i}") for i in range(4))))

def train(model, trial):
    for epoch in trial.epochs():
        trial.report(accuracy=sum(trial.architecture.values()) / 10 * (1 - 0.5**epoch))
"""
JOB = "space: pairs_space.py:space\ntrain: pairs_space.py:train\nepochs: 9\nmax_trials: 12\nexecutor: inline\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "pairs_space.py").write_text(CODE)
    return tmp_path


def write(home: Path, name: str, text: str) -> Path:
    path = home / f"{name}.yaml"
    path.write_text(JOB + text)
    return path


def test_a_strategy_determines_its_schedule_and_a_warm_start_tries_the_best_trials_first(home: Path) -> None:
    first = run_job(load_job(write(home, "first", "strategy: {dehb: {eta: 3}}\n")))
    assert first.state.declaration["schedule"] == {"name": "dehb", "options": {"eta": 3}}
    assert {trial.step for trial in first.state.trials.values()} >= {1, 3}
    second = run_job(load_job(write(home, "second", "strategy: bohb\nwarm_start: {run: runs/first, trials: 2}\n")))
    trials = list(second.state.trials.values())
    assert [trial.proposal.note["origin"] for trial in trials[:2]] == ["warm_start", "warm_start"]
    assert second.state.declaration["schedule"]["name"] == "hyperband"
    assert len(run_job(load_job(home / "second.yaml", {"max_trials": 14})).state.trials) == 14


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "strategy: dehb\nschedule: asha\n",
            r"job.yaml:7: schedule.asha: strategy 'dehb' brings its own schedule, 'dehb'",
        ),
        (
            "strategy: bohb\nschedule: full\n",
            r"job.yaml:7: schedule.full: strategy 'bohb' brings its own .* 'hyperband'",
        ),
        ("strategy: {bohb: {eta: 1}}\n", r"eta is 1, but must be a whole number of at least 2"),
        ("warm_start: runs/nowhere\n", r"job.yaml:6: warm_start: there is no run in .*nowhere"),
        ("warm_start: {from: runs/a}\n", r"job.yaml:6: warm_start: found .*; give the folder of an earlier run"),
        (
            "phases: {a: {max_trials: 2}, b: {strategy: bohb, schedule: asha}}\n",
            r"job.yaml:6: phases.b.schedule.asha: strategy 'bohb' brings its own schedule",
        ),
    ],
)
def test_errors_of_keys_that_do_not_fit_together_name_the_location(home: Path, text: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        load_job(write(home, "job", text))


@pytest.mark.parametrize(
    ("text", "value"), [("3", "3 (a whole number)"), ('""', "'' (text)"), ("[a]", "['a'] (a list)")]
)
def test_the_error_of_a_wrong_warm_start_takes_one_line(home: Path, text: str, value: str) -> None:
    path = write(home, "job", f"warm_start: {text}\n")
    with pytest.raises(JobError) as error:
        load_job(path)
    allowed = "the folder of an earlier run, relative to the job file, or {run: folder, trials: 10}"
    assert str(error.value) == f"{path}:6: warm_start: found {value}; allowed: {allowed}"
