"""Jobs: the declared search runs, the run stores a copy of its job, and a job can continue its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.api import open_run
from ogive.errors import RunError
from ogive.job import find_run_folder, load_job, load_space, run_job
from ogive.job.yaml_source import read_job_file
from ogive.objective import Constraint, Objective

CODE = """
import ogive as og
from helper import best

space = og.Space(og.layer(dict, a=og.one_of(1, 2, 3), b=og.integer(0, 9)))

def evaluate(architecture):
    return {"accuracy": -abs(architecture["b"] - best()), "size": architecture["a"]}

estimator = og.estimate.function(evaluate)
"""
JOB = """\
space: toy.py:space
train: toy.py:estimator
objectives: [accuracy, {metric: size, goal: minimize}]
constraints:
  - {metric: size, at_most: 2}
strategy: {regularized_evolution: {population: 4, sample: 2}}
max_trials: 12
seed: 7
executor: inline
"""
HARD = "constraints: [{metric: parameters, at_most: 10, hard: true}]\n"


def write(folder: Path, best: int = 4, job: str = JOB) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "toy.py").write_text(CODE)
    (folder / "helper.py").write_text(f"def best():\n    return {best}\n")
    (folder / "job.yaml").write_text(job)
    return folder / "job.yaml"


def test_the_run_has_the_declared_settings(tmp_path: Path) -> None:
    path = write(tmp_path)
    run = run_job(load_job(path))
    state = run.state
    assert run.folder == find_run_folder(path) == tmp_path / "runs" / "job"
    assert state.objectives == (Objective("accuracy", "maximize"), Objective("size", "minimize"))
    assert state.constraints == (Constraint("size", at_most=2),)
    assert state.declaration["strategy"] == {"name": "regularized_evolution", "options": {"population": 4, "sample": 2}}
    assert (state.declaration["seed"], state.settings["max_trials"], len(state.trials)) == (7, 12, 12)
    assert (run.folder / "job.yaml").read_text() == JOB


def test_a_job_continues_its_run_and_keeps_a_larger_number_of_trials(tmp_path: Path) -> None:
    path = write(tmp_path)
    run_job(load_job(path))
    assert len(run_job(load_job(path, {"max_trials": 15})).trials) == 15
    assert len(run_job(load_job(path)).trials) == 15


def test_a_hard_constraint_on_parameters_counts_them_before_training(tmp_path: Path) -> None:
    train = "\n\nfrom torch import nn\nspace = og.Space(og.layer(nn.Linear, 4, og.one_of(1, 9)))\n"
    path = write(tmp_path, job="space: toy.py:space\ntrain: toy.py:train\nexecutor: inline\nmax_trials: 2\n" + HARD)
    (tmp_path / "toy.py").write_text(CODE + train + "def train(model, trial):\n    trial.report(accuracy=1.0)\n")
    (trial,) = run_job(load_job(path)).trials
    assert trial.metrics["parameters"] == 5


def test_a_changed_job_is_refused_with_the_differences(tmp_path: Path) -> None:
    run_job(load_job(write(tmp_path)))
    changed = write(tmp_path, job=JOB.replace("population: 4", "population: 5"))
    with pytest.raises(RunError, match=r"(?s)strategy: was .*'population': 4.* and is .*'population': 5"):
        run_job(load_job(changed))


def test_a_changed_space_is_refused_with_the_differences(tmp_path: Path) -> None:
    path = write(tmp_path)
    run_job(load_job(path))
    (tmp_path / "toy.py").write_text(CODE.replace("1, 2, 3", "1, 2, 4, 5"))
    with pytest.raises(RunError, match=r"(?s)decision 'a' has changed, labels: \[1, 2, 3\] -> \[1, 2, 4, 5\].*new run"):
        run_job(load_job(path))


def test_jobs_with_files_of_the_same_names_are_not_confused(tmp_path: Path) -> None:
    first, second = write(tmp_path / "first", best=1), write(tmp_path / "second", best=8)
    for path, best in ((first, 1), (second, 8)):
        trials = run_job(load_job(path)).trials
        assert [t.metrics["accuracy"] for t in trials] == [-abs(t.architecture["b"] - best) for t in trials]


def test_the_folder_of_a_run_may_be_declared_in_the_job_or_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "jobs", job=JOB + "run: elsewhere\n")
    monkeypatch.chdir(tmp_path)
    assert load_job(path).run_folder == tmp_path / "jobs" / "elsewhere"
    assert load_job(path, {"run": "here"}).run_folder == Path("here")


def test_a_useful_job_has_ten_lines(tmp_path: Path) -> None:
    lines = [
        "space: {zoo: {chain: {depth: [2, 3]}}}",
        "task: {data: digits, test: 597, validation: 500}",
        "recipe: {learning_rate: 3e-3}",
        "objectives: log_loss",
        "constraints: [{metric: parameters, at_most: 30000, hard: true}]",
        "strategy: local_search",
        "schedule: {asha: {eta: 2}}",
        "epochs: 4",
        "max_trials: 30",
        "baseline: ogive.zoo.baselines:small_cnn",
    ]
    path = tmp_path / "job.yaml"
    path.write_text("\n".join(lines))
    job = load_job(path)
    assert job.space.size() == 6**2 + 6**3
    assert job.estimator.recipe()["learning_rate"] == 0.003  # 3e-3 is a number, as in YAML 1.2
    assert job.estimator.recipe()["epochs"] == job.epochs == 4
    assert job.estimator.task.describe()["sizes"] == {"train": 700, "validation": 500, "test": 597, "rest": 0}
    small = job.space.architecture({"depth": 2, "channels0": 16, "kernel0": 3, "channels1": 16, "kernel1": 3})
    assert job.estimator.screen(small) == {"parameters": sum(p.numel() for p in small.build().parameters())}
    assert job.baseline is not None
    assert sum(p.numel() for p in job.baseline().parameters()) == 65_834


def test_line_numbers_refer_to_the_job_file(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("# a comment\nspace: a:b\n\nconstraints:\n  - {metric: x}\n  - metric: y\n    hard: true\n")
    source = read_job_file(path)
    assert source.lines["space",] == 2
    assert source.lines["constraints", 0, "metric"] == 5
    assert source.lines["constraints", 1, "hard"] == 7
    assert source.location(("constraints", 1, "at_most")) == f"{path}:6: constraints[1].at_most: "


@pytest.mark.parametrize("reference", ["toy.py:space", "job.yaml"])
def test_a_space_is_loaded_by_reference_or_by_job(reference: str, tmp_path: Path) -> None:
    write(tmp_path)
    assert load_space(str(tmp_path / reference)).size() == 30


def test_the_error_of_a_job_without_a_run_shows_how_to_start_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    with pytest.raises(RunError, match=r"has no run in .*runs/job yet; start it: ogive search"):
        find_run_folder(path)
    run_job(load_job(path))
    assert len(open_run(find_run_folder(path)).trials) == 12


def test_a_job_may_refer_to_a_file_that_another_file_has_imported(tmp_path: Path) -> None:
    path = write(tmp_path, job=JOB + "baseline: helper.py:best\n")
    baseline = load_job(path).baseline
    assert baseline is not None
    assert baseline() == 4


def test_a_job_is_valid_if_some_architectures_cannot_be_built(tmp_path: Path) -> None:
    """An architecture that fails becomes a failed trial, and an infeasible one is no error."""
    (tmp_path / "mine.py").write_text(
        "import ogive as og\nfrom ogive.errors import Infeasible\n\n"
        "def block(width):\n    return 1 / (width - 16)\n\n"
        "def never(width):\n    raise Infeasible('too wide')\n\n"
        "some = og.Space(og.layer(block, og.one_of(16, 32)))\nnone = og.Space(og.layer(never, og.one_of(16, 32)))\n\n"
        "def train(model, trial):\n    trial.report(accuracy=1.0)\n"
    )
    for name in ("some", "none"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"space: mine.py:{name}\ntrain: mine.py:train\n")
        assert load_job(path).space.size() == 2
