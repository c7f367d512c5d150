"""`ogive check`: the launch gate, the forecast, and the confirmation before an expensive search."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from ogive.cli.cost_prompt import confirm
from ogive.job import load_job
from ogive.job.cost_forecast import forecast_cost
from ogive.job.keys import JobKeys

BARE = """\
space: {zoo: {chain: {depth: [2, 2], channels: [8], kernels: [3, 5]}}}
task: {data: digits}
objectives: log_loss
max_trials: 10
price: 1000000
confirm_above: 1
"""
MORE = """\
time_limit: 60
memory_limit: 4
budget: {hours: 1, money: 900}
criteria: [{metric: accuracy, at_least: 0.9}]
finalize: {top: 2, epochs: 24}
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    (tmp_path / "bare.yaml").write_text(BARE)
    careful = BARE.replace("digits}", "digits, split: 70/15/15}")
    (tmp_path / "careful.yaml").write_text(careful + MORE)
    return tmp_path


def test_the_gate_names_missing_keys_and_strict_refuses_them(jobs: Path, ogive) -> None:
    done = ogive("check", "bare.yaml", "--json", "--samples", "4")
    missing = {item["name"]: item for item in done.json["gate"] if item["verdict"] == "missing"}
    assert set(missing) == {"split", "time limit", "memory limit", "cost limit", "criteria"}
    assert all(item["why"] and item["line"] for item in missing.values())
    assert done.code == 0
    strict = ogive("check", "bare.yaml", "--strict", "--no-forecast", "--samples", "4")
    assert strict.code == 1
    assert "refused (--strict): 5 missing" in strict.out
    assert ogive("check", "careful.yaml", "--strict", "--no-forecast", "--samples", "4").code == 0


def test_the_forecast_is_measured_and_capped_by_the_budget(jobs: Path, ogive) -> None:
    forecast = ogive("check", "careful.yaml", "--json", "--samples", "4").json["forecast"]
    search, full = forecast["parts"]
    assert search["trainings"] == 10
    assert 0 < search["seconds"]["low"] <= search["seconds"]["middle"] <= search["seconds"]["high"]
    assert search["money"]["high"] <= 900
    assert full["trainings"] == 2
    assert forecast["ratio"] == pytest.approx(2, rel=0.2)  # twice the epochs, nearly the same examples
    assert "scaled by examples and epochs" in forecast["method"]


def test_only_the_cost_of_the_command_itself_needs_confirmation(jobs: Path, ogive) -> None:
    text = (jobs / "careful.yaml").read_text().replace("confirm_above: 1", "confirm_above: 0.02")
    capped = text.replace("money: 900", "money: 0.02").replace("epochs: 24", "epochs: 24000")
    (jobs / "capped.yaml").write_text(capped)
    job = load_job(jobs / "capped.yaml")
    expected = forecast_cost(job)
    assert expected is not None
    assert expected.parts[1].money is not None
    assert expected.parts[1].money.low > 0.02, "full training is a separate command"
    assert expected.money == pytest.approx(0.02)
    confirm(job, yes=False)
    shown = ogive("check", "capped.yaml", "--samples", "4").out
    assert "at most" not in shown
    assert "(a separate command: ogive finalize)" in shown


def test_an_expensive_search_does_not_start_without_confirmation(jobs: Path, ogive) -> None:
    done = ogive("search", "careful.yaml", "--quiet")
    assert done.code == 2
    assert "`confirm_above` is 1" in done.err
    assert "add --yes" in done.err
    assert not (jobs / "runs").exists()


def test_a_train_function_without_checkpoints_is_named(tmp_path: Path, ogive) -> None:
    ogive("init", "made")
    gate = {i["name"]: i["verdict"] for i in ogive("check", "made/job.yaml", "--json", "--samples", "4").json["gate"]}
    assert gate["checkpoints"] == "set"
    text = (
        (tmp_path / "made" / "train.py").read_text().replace("trial.checkpoint(", "print(").replace("restore", "seed")
    )
    (tmp_path / "made" / "train.py").write_text(text)
    checked = ogive("check", "made/job.yaml", "--json", "--samples", "4").json
    finding = next(item for item in checked["gate"] if item["name"] == "checkpoints")
    assert finding["verdict"] == "missing"
    assert "no trial.checkpoint() and no trial.restore()" in finding["why"]
    assert checked["forecast"] is None


def test_a_joint_search_is_a_note_and_a_warning_of_the_run(tmp_path: Path, ogive) -> None:
    toy = (tmp_path / "toy.py").read_text().replace('name="b"', 'name="lr"').replace('"b"]', '"lr"]')
    (tmp_path / "toy.py").write_text(toy)
    assert "set `joint: true`" in ogive("check", "job.yaml").err
    (tmp_path / "job.yaml").write_text((tmp_path / "job.yaml").read_text() + "joint: true\n")
    assert "note: joint search: lr: searched together" in ogive("check", "job.yaml").out
    assert ogive("search", "job.yaml", "--quiet").code == 0
    assert "decisions about training (lr)" in ogive("status", "job.yaml").out


def test_the_job_to_start_from_shows_every_key() -> None:
    text = (files("ogive.cli") / "templates" / "job.yaml").read_text()
    assert [name for name in JobKeys.model_fields if f"{name}:" not in text] == []


def test_a_funnel_is_shown(tmp_path: Path, ogive) -> None:
    job = (tmp_path / "job.yaml").read_text().replace("max_trials: 12\n", "")
    (tmp_path / "job.yaml").write_text(
        job + "phases: {look: {max_trials: 4}, more: {max_trials: 6, go: {failed: 0}}}\n"
    )
    assert "not started" not in (searched := ogive("search", "job.yaml", "--quiet")).out
    phases = ogive("status", "runs/job", "--json").json["phases"]
    assert [(phase["phase"], phase["trials"]) for phase in phases] == [("look", 4), ("more", 6)]
    assert phases[0]["go"]
    assert searched.code == (0 if phases[1]["go"] else 1)
    assert "look" in ogive("status", "job.yaml").out
    assert ogive("top", "job.yaml", "--json").code == 0


FUNCTIONS = """
import ogive as og
from torch import nn


def constraint(architecture):
    return 1 / 0 if architecture["width"] == 37 else None


def graph(architecture):
    return ["in", "out"], [(0, architecture["width"] // 40)]


def baseline():
    return nn.Sequential(nn.Flatten(), nn.Linear(63, 10))


def make(**functions):
    layers = og.layer(nn.Flatten), og.layer(nn.LazyLinear, og.integer(1, 41, name="width")), og.layer(nn.LazyLinear, 10)
    return og.Space(og.layer(nn.Sequential, *layers), example_input=(1, 8, 8), **functions)


constrained, wired, plain = make(constraint=constraint), make(graph=graph), make()
"""


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("constrained", r"space: the constraint constraint\(\) raised ZeroDivisionError.*:7: .* architecture width=37"),
        ("wired", r"space: the graph graph\(\) returned .* has a cycle.* for the architecture width=1\b"),
        ("plain", r"baseline: the baseline baseline\(\) raised RuntimeError: mat1 and mat2 .*functions\.py:14"),
    ],
)
def test_check_calls_the_functions_of_the_space_and_runs_the_baseline(
    tmp_path: Path, ogive, space: str, message: str
) -> None:
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    job = f"space: functions.py:{space}\ntask: {{data: digits}}\nepochs: 1\nmax_trials: 3\nbaseline: functions.py:baseline\n"
    (tmp_path / "functions.yaml").write_text(job)
    done = ogive("check", "functions.yaml", "--no-forecast", "--samples", "20")
    assert done.code == 2
    assert re.search(message, done.err), done.err
