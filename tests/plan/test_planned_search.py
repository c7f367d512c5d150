"""From measuring to searching, with real processes: what is measured is known, the split is used, kept, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sleeping import PARALLEL, SERIAL, SPACE, START, Sleeper

import ogive as og
from ogive.cli.main import main
from ogive.errors import JobError
from ogive.planner import Plan, Split
from ogive.run.events import Kind
from ogive.run.journal import Journal

GIVEN: dict[str, Any] = {"strategy": "random", "max_trials": 6}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return og.plan(SPACE, Sleeper(), workers=2, measured_trials=4, seeds=3, **GIVEN)


def test_what_is_measured_is_what_was_slept(plan: Plan) -> None:
    rows = {row.split: row for row in plan.rows}
    assert list(rows) == [Split(2, 1), Split(1, 2)]
    for split, row in rows.items():
        slept = SERIAL + PARALLEL / split.workers_per_trial
        assert slept <= row.epoch.expected <= slept + 0.15
        assert row.start_up.expected >= START
    assert len(plan.timings.trials) == 4, "those that fail are replaced by others"


def test_a_planned_search_uses_the_split_and_journals_the_forecast(plan: Plan, tmp_path: Path) -> None:
    run = og.search(SPACE, Sleeper(), workers=plan, run=tmp_path / "run", cache=False, **GIVEN)
    split = plan.chosen
    assert (run.state.settings["workers"], run.state.settings["threads"]) == (
        split.parallel_trials,
        split.workers_per_trial,
    )
    threads = {report.metrics["threads"] for trial in run.trials for report in trial.reports}
    assert threads == {split.workers_per_trial}
    assert len({span.worker for span in run.state.spans}) == split.parallel_trials
    (foretold,) = [data for data in run.state.projected if "plan" in data]
    assert foretold["hours"][1] * 3600 == pytest.approx(plan.row.seconds.expected)


def test_a_continued_run_keeps_its_split_whatever_the_machine_is_now(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = plan.using(1)
    assert other is not None
    og.search(SPACE, Sleeper(), workers=other, run=tmp_path / "run", cache=False, **GIVEN)
    monkeypatch.setattr("ogive.run.executors.processes.cores", lambda: 64)
    monkeypatch.setattr("ogive.api.planning.plan_of", lambda *a, **k: pytest.fail("it is planned once"))
    run = og.search(SPACE, Sleeper(), workers="auto", run=tmp_path / "run", cache=False, **{**GIVEN, "max_trials": 8})
    assert (run.state.settings["workers"], run.state.settings["threads"]) == (1, 2)
    assert {report.metrics["threads"] for report in run.trials[-1].reports} == {2}
    journal = Journal(run.folder / "journal.db", writable=False)
    plans = [event for event in journal.read() if event.kind is Kind.PROJECTED and "plan" in event.data]
    journal.close()
    assert len(plans) == 1


def test_a_plan_of_another_search_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="the plan is of another search"):
        og.search(SPACE, Sleeper(), workers=plan, run=tmp_path / "run", **{**GIVEN, "max_trials": 7})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": "many"}, "workers='many': a whole number, at least 1, \"auto\", or a plan"),
        ({"workers": "auto", "executor": "inline"}, "a plan decides how many trials run at a time"),
    ],
)
def test_what_cannot_be_planned_is_named(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        og.search(SPACE, Sleeper(), run=tmp_path / "run", **GIVEN, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"workers": 0}, "workers=0: a whole number, at least 1"),
        (
            {"strategy": og.strategy.create("random", SPACE, "accuracy")},
            "a plan makes it anew many times: give its name",
        ),
        ({"source": "nowhere"}, "nowhere holds no run and is no file"),
        ({"schedule": {"asha": {"eta": 1}}}, "eta"),
    ],
)
def test_bad_arguments_of_a_plan_are_named_before_anything_is_measured(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(JobError, match=words):
        og.plan(SPACE, Sleeper(), **{**GIVEN, **wrong})


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


def test_the_command_plans_and_the_search_takes_it_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(tmp_path, "auto")
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
    told = capsys.readouterr().out
    assert "recommended: 2 trials at a time, 1 thread each" in told
    assert "how sure:" in told
    assert (tmp_path / "run.plan.json").is_file()
    command("search", path, "--quiet", "--no-cache")
    assert "plan: 2 trials at a time, 1 of 2 threads each" in capsys.readouterr().err
    command("status", path)
    shown = capsys.readouterr().out
    assert "workers   2" in shown
    assert "plan      of 6 trials, foretold" in shown


def test_a_search_that_says_how_many_goes_with_the_forecast_for_so_many(tmp_path: Path) -> None:
    path = job(tmp_path, 1)
    rows = ["trial,workers,epoch,seconds", "b,1,1,0.2", "b,1,2,0.2", "b,2,1,0.19", "b,2,2,0.19"]
    (tmp_path / "durations.csv").write_text("\n".join(rows))
    command("plan", path, "--workers", 2, "--from", tmp_path / "durations.csv", "--seeds", 3)
    command("search", path, "--quiet", "--no-cache")
    run = og.open_run(tmp_path / "run")
    (foretold,) = [data["plan"] for data in run.state.projected if "plan" in data]
    assert (foretold["parallel_trials"], foretold["workers_per_trial"]) == (1, 2)
    assert run.state.settings["threads"] == 2


def test_a_plan_of_a_job_that_has_changed_is_not_taken_up(tmp_path: Path) -> None:
    path = job(tmp_path, 1)
    (tmp_path / "durations.csv").write_text("trial,workers,epoch,seconds\nb,1,1,0.2\nb,1,2,0.2\n")
    command("plan", path, "--workers", 1, "--from", tmp_path / "durations.csv", "--seeds", 2)
    path.write_text(path.read_text().replace("max_trials: 6", "max_trials: 3"))
    command("search", path, "--quiet", "--no-cache")
    assert not any("plan" in data for data in og.open_run(tmp_path / "run").state.projected)


@pytest.mark.parametrize("wrong", ["some", "0", "true", "1.5"])
def test_a_job_says_what_parallel_trials_may_be(tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", str(job(tmp_path, wrong))])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "job.yaml:7: parallel_trials" in said
    assert said.count("error:") == 1
    assert "a whole number, at least 1, or auto" in said


def test_json_is_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(tmp_path, "auto")
    (tmp_path / "durations.csv").write_text("trial,workers,epoch,seconds\nb,1,1,0.2\nb,1,2,0.2\n")
    command("plan", path, "--from", tmp_path / "durations.csv", "--seeds", 2, "--json")
    data = json.loads(capsys.readouterr().out)
    assert data["rows"][0]["split"]["workers_per_trial"] == 1
    assert data["seeds"] >= 2
