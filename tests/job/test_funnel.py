"""Funnels: the start of each phase, the end of a funnel, and the continuation of a killed funnel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from ogive.api import Funnel, Go, Phase, funnel, open_funnel, open_run
from ogive.api.funnel import FUNNEL_FILE, evaluate_phase
from ogive.api.phase_checks import check_failures
from ogive.errors import JobError, RunError
from ogive.job import find_run_folder, load_finalize_arguments, load_job, run_funnel
from ogive.objective import Constraint
from ogive.run.state import State
from ogive.space import Space, one_of

CODE = """
import os
import time

import ogive as og

space = og.Space(og.layer(dict, a=og.one_of(*range(6), name="a"), b=og.integer(0, 9, name="b")))

def evaluate(architecture):
    time.sleep(float(os.environ.get("PAUSE", "0")))
    if architecture["a"] == 5:
        raise ValueError("five is too many")
    return {"accuracy": architecture["b"] / 9}

estimator = og.estimate.function(evaluate)
"""
JOB = """\
space: toy.py:space
train: toy.py:estimator
strategy: random
executor: inline
max_failed_trials: 100
phases:
  smoke: {max_trials: 8, go: {failed: 0.9}}
  coarse: {max_trials: 12, start_from: 3, go: {best: [{metric: accuracy, at_least: 0.6}]}}
  fine: {max_trials: 5, start_from: 2}
"""


def write(folder: Path, job: str = JOB) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "toy.py").write_text(CODE)
    (folder / "job.yaml").write_text(job)
    return folder / "job.yaml"


def run_phases(path: Path) -> Funnel:
    return run_funnel(load_job(path), lambda: nullcontext(lambda state, event: None), lambda *_: None, lambda _: None)


def test_each_phase_first_tries_the_best_of_the_previous_phase(tmp_path: Path) -> None:
    path = write(tmp_path)
    funnel_state = run_phases(path)
    assert funnel_state.ended
    assert funnel_state.failed_verdict is None
    assert [verdict.go for verdict in funnel_state.verdicts.values()] == [True, True, True]
    smoke, coarse, fine = (open_run(funnel_state.folder / name) for name in ("smoke", "coarse", "fine"))
    for previous, following, count in ((smoke, coarse, 3), (coarse, fine, 2)):
        best = [trial.architecture.to_json() for trial in previous.top(count)]
        first = following.trials[:count]
        assert [trial.architecture.to_json() for trial in first] == best
        assert [trial.proposal.note["origin"] for trial in first] == ["initial"] * count
    assert find_run_folder(path) == find_run_folder(funnel_state.folder) == funnel_state.folder / "fine"


def test_a_phase_that_fails_its_test_stops_the_funnel_until_it_passes(tmp_path: Path) -> None:
    strict = JOB.replace("at_least: 0.6", "at_least: 2")
    path = write(tmp_path, strict)
    funnel_state = run_phases(path)
    assert funnel_state.failed_verdict is not None
    assert funnel_state.failed_verdict.phase == "coarse"
    assert funnel_state.failed_verdict.reasons[0].startswith("no trial reached accuracy >= 2 (best: accuracy ")
    assert not (funnel_state.folder / "fine").exists()
    trials = len(open_run(funnel_state.folder / "smoke").trials)
    assert run_phases(path).verdicts == funnel_state.verdicts  # nothing has changed, so the verdicts are the same
    path.write_text(JOB.replace("max_trials: 12", "max_trials: 14"))
    continued = run_phases(path)
    assert continued.failed_verdict is None
    assert len(open_run(funnel_state.folder / "coarse").trials) == 14  # the run was continued, not started again
    assert len(open_run(funnel_state.folder / "smoke").trials) == trials


def test_a_killed_funnel_continues_where_it_stopped(tmp_path: Path) -> None:
    """A funnel that is killed many times has the same verdicts and trials as one without interruption."""
    uninterrupted = run_phases(write(tmp_path / "uninterrupted"))
    path = write(tmp_path / "killed")
    command = [sys.executable, "-m", "ogive", "search", str(path), "--quiet", "--no-cache"]
    environment = {**os.environ, "PAUSE": "0.05"}
    for kill in range(20):
        process = subprocess.Popen(
            command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 2 + kill  # longer each time: starting takes a while on a busy machine
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 0, process.stderr and process.stderr.read()
    killed = open_funnel(path.parent / "runs" / "job")
    assert killed is not None
    assert [(v.phase, v.go, v.reasons) for v in killed.verdicts.values()] == [
        (v.phase, v.go, v.reasons) for v in uninterrupted.verdicts.values()
    ]
    for name in uninterrupted.phases:
        first, second = (open_run(state.folder / name).trials for state in (uninterrupted, killed))
        assert [t.architecture.to_json() for t in first] == [t.architecture.to_json() for t in second]


def test_a_lost_verdict_is_computed_again(tmp_path: Path) -> None:
    path = write(tmp_path)
    funnel_state = run_phases(path)
    file = funnel_state.folder / FUNNEL_FILE
    data = json.loads(file.read_text())
    data["verdicts"] = data["verdicts"][:1]
    file.write_text(json.dumps(data))
    assert run_phases(path).verdicts == funnel_state.verdicts


def test_a_verdict_depends_only_on_the_journal(tmp_path: Path) -> None:
    state = open_run(run_phases(write(tmp_path)).folder / "coarse").state
    assert evaluate_phase("x", state, Go()).go
    reason = evaluate_phase("x", state, Go(best=(Constraint("accuracy", at_least=0.1),))).reasons[-1]
    assert f"(best: accuracy {max(t.metrics['accuracy'] for t in state.trials.values() if t.reports):.4g})" in reason
    assert evaluate_phase(
        "x", state, Go(best=(Constraint("accuracy", at_least=0.5), Constraint("accuracy", at_most=0.6)))
    ).go
    assert not evaluate_phase("x", state, Go(best=(Constraint("speed", at_least=1),))).go
    failing = evaluate_phase("x", state, Go(failed=0.0))
    assert failing.go == (state.failed_count == 0)
    with pytest.raises(JobError, match="a share of the trials"):
        Go(failed=2)


def test_a_phase_without_trials_has_no_failures() -> None:
    state = State(Space(one_of(1, 2)), {}, {"max_trials": 5}, (), ())
    assert check_failures(state, 0.5) == (True, "0 of 0 trials failed")


def test_changed_phases_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    run_phases(path)
    path.write_text(JOB.replace("  smoke:", "  look:"))
    with pytest.raises(RunError, match=r"went through smoke, coarse, fine, and its phases are now look, coarse, fine"):
        run_phases(path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        "{}",
        '{"format": 1}',
        '{"format": 1, "phases": 2, "verdicts": [], "last": ""}',
        '{"format": 1, "phases": ["a"], "verdicts": ["a"], "last": ""}',
        '{"format": 1, "phases": ["a"], "verdicts": [{"phase": "a"}], "last": ""}',
    ],
)
def test_a_file_that_is_not_that_of_a_funnel_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FUNNEL_FILE).write_text(text)
    with pytest.raises(RunError, match=r"funnel.json cannot be read: .*; remove it"):
        open_funnel(tmp_path)


@pytest.mark.parametrize(
    ("phases", "text"),
    [
        ([], "the first one is a search"),
        ([Phase("full")], "the first one is a search"),
        ([Phase("a", print), Phase("a", print)], "'a' appears twice"),
        (
            [Phase("a", print), Phase("b"), Phase("c", print)],
            "'b' has no search; only the last phase may be full training",
        ),
    ],
)
def test_invalid_phases_are_refused(phases: list[Phase], text: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=text):
        funnel(phases, tmp_path / "funnel")
    with pytest.raises(JobError, match="a name of letters"):
        Phase("a/b")


TRAINER_JOB = """\
space: {zoo: {chain: {depth: [2, 2], channels: [8, 16], kernels: [3]}}}
task: {data: digits, split: 70/15/15}
recipe: {learning_rate: 0.01, batch_size: 32}
objectives: log_loss
executor: inline
cache: false
phases:
  smoke: {proxy: {data_fraction: 0.3}, epochs: 4, max_trials: 2, go: {learns: true, failed: 0}}
  full: {finalize: {top: 2, epochs: 5}, go: {best: [{metric: accuracy, at_least: 0.3}]}}
"""


def test_a_funnel_with_the_built_in_trainer_learns_and_trains_its_best_in_full(tmp_path: Path) -> None:
    path = write(tmp_path, TRAINER_JOB)
    funnel_state = run_phases(path)
    assert [verdict.go for verdict in funnel_state.verdicts.values()] == [True, True]
    assert funnel_state.verdicts["smoke"].reasons[-1].startswith("the networks learn: best accuracy")
    assert any("winner of full training: trial" in reason for reason in funnel_state.verdicts["full"].reasons)
    assert (funnel_state.folder / "smoke" / "final" / "result.json").is_file()
    assert load_finalize_arguments(funnel_state.folder / "smoke") == {
        "top": 2,
        "epochs": 5,
        "seeds": (0,),
        "from_weights": False,
    }


def test_a_phase_that_learns_nothing_stops_the_funnel(tmp_path: Path) -> None:
    path = write(tmp_path, TRAINER_JOB.replace("epochs: 4", "epochs: 1").replace("0.3}, ep", "0.01}, ep"))
    funnel_state = run_phases(path)
    assert funnel_state.failed_verdict is not None
    assert funnel_state.failed_verdict.reasons == (funnel_state.failed_verdict.reasons[0],)
    assert funnel_state.failed_verdict.reasons[0].startswith("no network learns: best accuracy")
