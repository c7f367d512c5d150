"""A funnel: phases that follow each other, what they begin with, when they stop, and that a kill loses nothing."""

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
from ogive.api.funnel import FUNNEL, evaluate_phase
from ogive.errors import JobError, RunError
from ogive.job import finalize_of, load_job, run_folder, run_funnel
from ogive.objective import Constraint

CODE = """
import os
import time

import ogive as og

space = og.Space(og.layer(dict, a=og.one_of(*range(6), name="a"), b=og.integer(0, 9, name="b")))

def judge(architecture):
    time.sleep(float(os.environ.get("PAUSE", "0")))
    if architecture["a"] == 5:
        raise ValueError("five is too many")
    return {"accuracy": architecture["b"] / 9}

estimator = og.estimate.function(judge)
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


def through(path: Path) -> Funnel:
    return run_funnel(load_job(path), lambda: nullcontext(lambda state, event: None), lambda *_: None, lambda _: None)


def test_each_phase_begins_with_the_best_of_the_former(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = through(path)
    assert done.ended
    assert done.stopped is None
    assert [verdict.go for verdict in done.verdicts.values()] == [True, True, True]
    smoke, coarse, fine = (open_run(done.folder / name) for name in ("smoke", "coarse", "fine"))
    for former, later, count in ((smoke, coarse, 3), (coarse, fine, 2)):
        best = [trial.architecture.to_json() for trial in former.top(count)]
        first = later.trials[:count]
        assert [trial.architecture.to_json() for trial in first] == best
        assert [trial.proposal.note["origin"] for trial in first] == ["initial"] * count
    assert run_folder(path) == run_folder(done.folder) == done.folder / "fine"


def test_a_phase_that_says_no_ends_the_funnel_until_it_says_yes(tmp_path: Path) -> None:
    strict = JOB.replace("at_least: 0.6", "at_least: 2")
    path = write(tmp_path, strict)
    done = through(path)
    assert done.stopped is not None
    assert done.stopped.phase == "coarse"
    assert done.stopped.reasons[0].startswith("no trial reached accuracy >= 2 (best: accuracy ")
    assert not (done.folder / "fine").exists()
    trials = len(open_run(done.folder / "smoke").trials)
    assert through(path).verdicts == done.verdicts  # nothing has changed: the same again
    path.write_text(JOB.replace("max_trials: 12", "max_trials: 14"))
    again = through(path)
    assert again.stopped is None
    assert len(open_run(done.folder / "coarse").trials) == 14  # searched on, not anew
    assert len(open_run(done.folder / "smoke").trials) == trials


def test_a_killed_funnel_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed again and again, at whatever moment, it decides and finds what the funnel that ran straight did."""
    straight = through(write(tmp_path / "straight"))
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
        (v.phase, v.go, v.reasons) for v in straight.verdicts.values()
    ]
    for name in straight.phases:
        first, second = (open_run(state.folder / name).trials for state in (straight, killed))
        assert [t.architecture.to_json() for t in first] == [t.architecture.to_json() for t in second]


def test_a_lost_verdict_is_given_again(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = through(path)
    file = done.folder / FUNNEL
    data = json.loads(file.read_text())
    data["verdicts"] = data["verdicts"][:1]
    file.write_text(json.dumps(data))
    assert through(path).verdicts == done.verdicts


def test_a_verdict_is_a_function_of_the_journal(tmp_path: Path) -> None:
    state = open_run(through(write(tmp_path)).folder / "coarse").state
    assert evaluate_phase("x", state, Go()).go
    told = evaluate_phase("x", state, Go(best=(Constraint("accuracy", at_least=0.1),))).reasons[-1]
    assert f"(best: accuracy {max(t.metrics['accuracy'] for t in state.trials.values() if t.reports):.4g})" in told
    assert evaluate_phase(
        "x", state, Go(best=(Constraint("accuracy", at_least=0.5), Constraint("accuracy", at_most=0.6)))
    ).go
    assert not evaluate_phase("x", state, Go(best=(Constraint("speed", at_least=1),))).go
    failing = evaluate_phase("x", state, Go(failed=0.0))
    assert failing.go == (state.failed == 0)
    with pytest.raises(JobError, match="a share of the trials"):
        Go(failed=2)


def test_phases_that_changed_behind_the_funnel_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    through(path)
    path.write_text(JOB.replace("  smoke:", "  look:"))
    with pytest.raises(RunError, match=r"went through smoke, coarse, fine, and its phases are now look, coarse, fine"):
        through(path)
    (path.parent / "runs" / "job" / FUNNEL).write_text("{")
    with pytest.raises(RunError, match=r"funnel.json cannot be read"):
        through(path)


@pytest.mark.parametrize(
    ("phases", "text"),
    [
        ([], "the first one is a search"),
        ([Phase("full")], "the first one is a search"),
        ([Phase("a", print), Phase("a", print)], "'a' appears twice"),
        ([Phase("a", print), Phase("b"), Phase("c", print)], "'b' has no search; full training of the best comes last"),
    ],
)
def test_phases_that_make_no_funnel_are_told(phases: list[Phase], text: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=text):
        funnel(phases, tmp_path / "funnel")
    with pytest.raises(JobError, match="a name of letters"):
        Phase("a/b")


REAL = """\
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


def test_a_real_funnel_learns_and_trains_its_best_in_full(tmp_path: Path) -> None:
    path = write(tmp_path, REAL)
    done = through(path)
    assert [verdict.go for verdict in done.verdicts.values()] == [True, True]
    assert done.verdicts["smoke"].reasons[-1].startswith("it learns: best accuracy")
    assert any("winner of full training: trial" in reason for reason in done.verdicts["full"].reasons)
    assert (done.folder / "smoke" / "final" / "result.json").is_file()
    assert finalize_of(done.folder / "smoke") == {"top": 2, "epochs": 5, "seeds": (0,), "from_weights": False}


def test_what_learns_nothing_does_not_go_on(tmp_path: Path) -> None:
    path = write(tmp_path, REAL.replace("epochs: 4", "epochs: 1").replace("0.3}, ep", "0.01}, ep"))
    done = through(path)
    assert done.stopped is not None
    assert done.stopped.reasons == (done.stopped.reasons[0],)
    assert done.stopped.reasons[0].startswith("nothing learns: best accuracy")
