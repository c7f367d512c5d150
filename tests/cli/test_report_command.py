"""`ogive report` in both formats, the job that it suggests, and `ogive front` with its knee."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ogive.job import load_job, run_job

Ogive = Callable[..., Any]

CODE = """
import ogive as og

space = og.Space(og.layer(
    dict, a=og.one_of(1, 2, 3, 4, name="a"), b=og.integer(0, 3, name="b"), z=og.one_of("u", "v", name="z"),
    none=[og.one_of(*range(4), name=f"none{i}") for i in range(3)]
))

def evaluate(architecture):
    worth = {1: 0.1, 2: 0.2, 3: 0.8, 4: 0.9}[architecture["a"]] + 0.02 * architecture["b"]
    return {"accuracy": worth, "size": 1 + architecture["a"] ** 2 + architecture["b"]}

good = og.estimate.function(evaluate)
"""


def job(folder: Path, **keys: object) -> str:
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(CODE)
    path = folder / "job.yaml"
    defaults = {
        "space": "toy.py:space",
        "train": "toy.py:good",
        "strategy": "random",
        "max_trials": 300,
        "executor": "inline",
    }
    path.write_text(yaml.safe_dump({**defaults, "cache": False, **keys}))
    return str(path)


def test_the_suggested_job_loads_runs_and_starts_from_the_best(tmp_path: Path, ogive: Ogive) -> None:
    path = job(tmp_path / "work")
    assert ogive("search", path).code == 0
    done = ogive("report", path)
    run = tmp_path / "work" / "runs" / "job"
    assert done.code == 0
    assert done.out.strip().endswith("report.html")
    assert "suggested.yaml" in done.err
    suggested = load_job(run / "suggested.yaml")
    labels = {decision.name: decision.domain.describe() for decision in suggested.space.decisions}
    assert labels["a"]["labels"] == [4]
    assert labels["z"]["labels"] == ["u", "v"]
    assert suggested.run_folder.resolve() == (tmp_path / "work" / "runs" / "job-narrower")
    rerun = run_job(load_job(run / "suggested.yaml", {"max_trials": 5}))
    best = json.loads(ogive("top", path, "-k", "3", "--json").out)
    assert [trial.architecture.to_json() for trial in rerun.trials[:3]] == [item["architecture"] for item in best]
    page = (run / "report.html").read_text()
    assert "a: [4]" in page


def test_the_format_is_chosen_by_suffix_or_by_to(tmp_path: Path, ogive: Ogive) -> None:
    path = job(tmp_path / "work", max_trials=4)
    assert ogive("search", path).code == 0
    done = ogive("report", path, "--to", "md")
    assert done.out.strip().endswith("runs/job/report.md")
    assert "suggested" not in done.err
    assert ogive("report", path, "--out", str(tmp_path / "x.md")).code == 0
    assert (tmp_path / "x.md").read_text().startswith("# job\n")
    clash = ogive("report", path, "--out", str(tmp_path / "x.md"), "--to", "html")
    assert clash.code == 2
    assert "give one of the two, or a name that ends in .html" in clash.err


def test_the_front_names_its_knee(tmp_path: Path, ogive: Ogive) -> None:
    objectives = ["accuracy", {"metric": "size", "goal": "minimize"}]
    path = job(tmp_path / "work", objectives=objectives, max_trials=60)
    assert ogive("search", path).code == 0
    rows = json.loads(ogive("front", path, "--json").out)
    (knee,) = [row for row in rows if row["knee"]]
    assert knee["architecture"]["a"] == 3  # 0.8 for a size of 10; 0.9 costs 17
    assert f"knee: trial {knee['trial']}" in ogive("front", path).out


def test_only_is_checked_against_the_space(tmp_path: Path, ogive: Ogive) -> None:
    cases = {
        "x": ({"aa": [1]}, "there is no decision 'aa'; did you mean 'a'?"),
        "y": ({"a": [7]}, "decision 'a': 7 is not one of 1, 2, 3, 4"),
        "w": ({"b": [1, 2, 3]}, "are not the two ends of a range, such as [0, 3]"),
        "v": ({"a": 3}, "only.a: found 3 (a whole number); allowed:"),
    }
    for folder, (only, message) in cases.items():
        done = ogive("check", job(tmp_path / folder, only=only))
        assert done.code == 2
        assert message in done.err
        assert "only" in done.err
        assert len(done.err.strip().splitlines()) == 1
