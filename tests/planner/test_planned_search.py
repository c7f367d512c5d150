"""Plans of real processes: durations are measured, and a search uses, keeps and prints the split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sleeping import PARALLEL, SERIAL, SPACE, START, WRONG, Sleeper

import ogive as og
from ogive.cli.main import main
from ogive.errors import JobError
from ogive.job import load_job
from ogive.job.stored_plan import load_plan
from ogive.planner import MeasuredEpoch, Plan, Timings, WorkerSplit
from ogive.planner.measure_durations import _sample_candidates
from ogive.run.events import Kind
from ogive.run.journal import Journal

ARGUMENTS: dict[str, Any] = {"strategy": "random", "max_trials": 6}
ROWS = Timings(tuple(MeasuredEpoch("a", 1, epoch, 2.0, epoch == 1) for epoch in (1, 2)))


@pytest.fixture(scope="module", autouse=True)
def two_cores() -> Iterator[None]:
    """Pretend that the machine has two cores."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            "ogive.session.planned_search",
            "ogive.executors.processes",
            "ogive.job.environment",
            "ogive.job.job",
        ):
            patch.setattr(f"{module}.count_cores", lambda: 2)
        yield


@pytest.fixture(scope="module")
def plan() -> Plan:
    return og.plan(SPACE, Sleeper(), workers=2, measured_trials=1, seeds=3, **ARGUMENTS)


def test_measured_durations_are_at_least_the_time_slept(plan: Plan) -> None:
    """How much longer they are depends on the load of the machine."""
    assert [row.split for row in plan.rows] == [WorkerSplit(2, 1), WorkerSplit(1, 2)]
    assert {epoch.workers for epoch in plan.timings.epochs} == {1, 2}
    for epoch in plan.timings.epochs:
        assert epoch.metrics["threads"] == epoch.workers
        assert epoch.first or epoch.seconds >= SERIAL + PARALLEL / epoch.workers
    assert all(start.seconds >= START for start in plan.timings.start_ups)
    assert [start.workers for start in plan.timings.start_ups] == [1, 2], (
        "two workers that start together give one value"
    )
    assert all(row.start_up.low < row.start_up.expected < row.start_up.high for row in plan.rows)


def test_failed_architectures_are_replaced_while_measuring(plan: Plan) -> None:
    candidates = _sample_candidates(SPACE, 3, 0, lambda a: True)
    names = [name for name, architecture in candidates.items() if architecture["width"] != WRONG]
    assert sorted(plan.timings.trials) == sorted(names)
    assert len(names) == 2, "one of three fails"


def test_a_planned_search_uses_the_split_and_journals_the_forecast(plan: Plan, tmp_path: Path) -> None:
    run = og.search(SPACE, Sleeper(), workers=plan, run=tmp_path / "run", cache=False, **ARGUMENTS)
    split = plan.chosen
    assert (run.state.settings["workers"], run.state.settings["threads"]) == (
        split.parallel_trials,
        split.workers_per_trial,
    )
    threads = {report.metrics["threads"] for trial in run.trials for report in trial.reports}
    assert threads == {split.workers_per_trial}
    assert len({span.worker for span in run.state.attempt_intervals}) == split.parallel_trials
    (forecast,) = [data for data in run.state.projections if "plan" in data]
    assert forecast["hours"][1] * 3600 == pytest.approx(plan.chosen_forecast.seconds.expected)


def test_a_continued_run_keeps_its_split_on_another_machine(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = plan.choose_parallel_trials(1)
    assert other is not None
    og.search(SPACE, Sleeper(), workers=other, run=tmp_path / "run", cache=False, **ARGUMENTS)
    monkeypatch.setattr("ogive.executors.processes.count_cores", lambda: 64)
    monkeypatch.setattr(
        "ogive.session.planned_search.make_plan", lambda *a, **k: pytest.fail("a run is planned only once")
    )
    run = og.search(
        SPACE, Sleeper(), workers="auto", run=tmp_path / "run", cache=False, **{**ARGUMENTS, "max_trials": 8}
    )
    assert (run.state.settings["workers"], run.state.settings["threads"]) == (1, 2)
    assert {report.metrics["threads"] for report in run.trials[-1].reports} == {2}
    journal = Journal(run.folder / "journal.db", writable=False)
    plans = [event for event in journal.read() if event.kind is Kind.PROJECTED and "plan" in event.data]
    journal.close()
    assert len(plans) == 1
    run = og.search(SPACE, Sleeper(), workers=2, run=tmp_path / "run", cache=False, **{**ARGUMENTS, "max_trials": 8})
    assert run.state.settings["threads"] is None, "the threads of the plan were for one trial at a time"


@pytest.mark.parametrize("changed", [{"max_trials": 7}, {"budget": 1.0}, {"price": 2.0}])
def test_a_plan_of_another_search_is_refused(plan: Plan, tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="the plan is for another search"):
        og.search(SPACE, Sleeper(), workers=plan, run=tmp_path / "run", **{**ARGUMENTS, **changed})
    assert not (tmp_path / "run").exists(), "nothing was written"


@pytest.mark.parametrize("epochs", [60, None])
def test_epochs_beyond_the_bundled_table_are_simulated_on_a_landscape(epochs: int | None) -> None:
    """The table has 32 epochs; an estimator without epochs reports once in each trial."""
    estimator = Sleeper()
    estimator.epochs = epochs  # type: ignore[assignment]
    plan = og.plan(og.zoo.chain(), estimator, source=ROWS, workers=1, seeds=2, strategy="random", max_trials=4)
    assert any("random landscape" in line for line in plan.assumptions)
    assert plan.chosen_forecast.pace[-1][0] == 4 * (epochs or 1)
    assert plan.chosen_forecast.seconds.expected == pytest.approx(4 * (epochs or 1) * 2.0, rel=0.05)


def test_a_plan_names_durations_of_another_job(plan: Plan, tmp_path: Path) -> None:
    run = og.search(
        SPACE, Sleeper(), executor="inline", run=tmp_path / "run", cache=False, **{**ARGUMENTS, "max_trials": 1}
    )
    same_job, other_job = (
        og.plan(space, Sleeper(), source=run, workers=1, seeds=2, **ARGUMENTS) for space in (SPACE, og.zoo.chain())
    )
    assert not any("another search" in line for line in same_job.assumptions)
    assert any("another search (different: space)" in line for line in other_job.assumptions)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": "many"}, "workers='many': expected a whole number, at least 1, \"auto\", or a plan"),
        ({"workers": "auto", "executor": "inline"}, "a plan decides how many trials run at a time"),
    ],
)
def test_a_search_that_cannot_be_planned_is_refused(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        og.search(SPACE, Sleeper(), run=tmp_path / "run", **ARGUMENTS, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers=0: expected a whole number, at least 1"),
        (
            {"strategy": og.strategy.create("random", SPACE, "accuracy")},
            "a plan creates it many times, so give it by name",
        ),
        ({"source": "nowhere"}, "nowhere is neither the folder of a run nor a file"),
        ({"regret": -1.0}, "regret=-1.0: expected a number, at least 0"),
        ({"schedule": {"asha": {"eta": 1}}}, "eta"),
    ],
)
def test_wrong_arguments_of_a_plan_are_refused_before_measuring(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        og.plan(SPACE, Sleeper(), **{**ARGUMENTS, **wrong})


JOB = """
space: sleeping:SPACE
train: sleeping:SLEEPER
strategy: random
max_trials: 6
epochs: 4
parallel_trials: {parallel}
run: run
"""


def job(folder: Path, parallel: object) -> Path:
    (folder / "job.yaml").write_text(JOB.format(parallel=parallel))
    return folder / "job.yaml"


def command(*words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0


def test_the_search_uses_the_plan_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(tmp_path, 1)
    rows = [
        "trial,workers,epoch,seconds",
        "a,1,0,0.5",
        "a,2,0,0.5",
        "b,1,1,0.2",
        "b,1,2,0.2",
        "b,2,1,0.19",
        "b,2,2,0.19",
    ]
    (tmp_path / "durations.csv").write_text("\n".join(rows))
    command("plan", path, "--workers", 2, "--from", tmp_path / "durations.csv", "--seeds", 3)
    output = capsys.readouterr().out
    assert "recommended: 2 trials at a time, 1 thread each" in output
    assert "how sure:" in output
    assert f"ogive search {path} --parallel-trials auto" in output
    assert (tmp_path / "run.plan.json").is_file()
    command("search", path, "--quiet", "--no-cache", "--parallel-trials", "auto")
    assert "plan: 2 trials at a time, 1 of 2 threads each" in capsys.readouterr().err
    command("status", path)
    shown = capsys.readouterr().out
    assert "workers   2" in shown
    assert "plan      forecast " in shown
    assert " for 6 trials; it took " in shown


def test_a_search_with_a_number_of_parallel_trials_uses_the_forecast_for_it(tmp_path: Path) -> None:
    path = job(tmp_path, 1)
    rows = ["trial,workers,epoch,seconds", "b,1,1,0.2", "b,1,2,0.2", "b,2,1,0.19", "b,2,2,0.19"]
    (tmp_path / "durations.csv").write_text("\n".join(rows))
    command("plan", path, "--workers", 2, "--from", tmp_path / "durations.csv", "--seeds", 3)
    command("search", path, "--quiet", "--no-cache")
    run = og.open_run(tmp_path / "run")
    (forecast,) = [data["plan"] for data in run.state.projections if "plan" in data]
    assert (forecast["parallel_trials"], forecast["workers_per_trial"]) == (1, 2)
    assert run.state.settings["threads"] == 2


@pytest.mark.parametrize(
    ("workers", "limit", "words"),
    [(2, 3, "the job has changed since"), (3, 6, "it splits 3 threads, and this machine has 2 threads")],
)
def test_a_stored_plan_that_does_not_fit_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int, limit: int, words: str
) -> None:
    path = job(tmp_path, "auto")
    (tmp_path / "durations.csv").write_text("trial,workers,epoch,seconds\nb,1,1,0.2\nb,1,2,0.2\n")
    command("plan", path, "--workers", 2, "--from", tmp_path / "durations.csv", "--seeds", 2)
    assert load_plan(load_job(path)) is not None
    command("plan", path, "--workers", workers, "--from", tmp_path / "durations.csv", "--seeds", 2)
    path.write_text(path.read_text().replace("max_trials: 6", f"max_trials: {limit}"))
    capsys.readouterr()
    assert load_plan(load_job(path)) is None
    assert f"run.plan.json is not used: {words}" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["some", "0", "true", "1.5"])
def test_a_wrong_number_of_parallel_trials_in_a_job_is_refused(
    tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", str(job(tmp_path, wrong))])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "job.yaml:7: parallel_trials" in message
    assert message.count("error:") == 1
    assert "a whole number, at least 1, or auto" in message


def test_the_command_prints_the_plan_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(tmp_path, "auto")
    (tmp_path / "durations.csv").write_text("trial,workers,epoch,seconds\nb,1,1,0.2\nb,1,2,0.2\n")
    command("plan", path, "--from", tmp_path / "durations.csv", "--seeds", 2, "--json")
    data = json.loads(capsys.readouterr().out)
    assert data["rows"][0]["split"]["workers_per_trial"] == 1
    assert data["seeds"] >= 2
