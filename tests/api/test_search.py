"""`og.search` and `Run`: starting, continuing, refusing, reading back."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.errors import JobError, OgiveError, RunError
from ogive.run.events import Kind
from ogive.run.journal import Journal
from ogive.testing.journal import essence

CALLS: list[Any] = []


def judge(architecture: Any) -> dict[str, float]:
    CALLS.append(architecture.id)
    return {
        "accuracy": -abs(architecture["width"] - 7) + architecture["depth"] / 10,
        "size": float(architecture["width"]),
    }


def space(widths: int = 10) -> og.Space:
    widths_, depth = og.one_of(*range(widths), name="width"), og.integer(1, 4, name="depth")
    return og.Space(og.layer(dict, width=widths_, depth=depth))


def search(run: Path, **options: Any) -> og.Run:
    return og.search(
        space(), og.estimate.function(judge), run=run, **{"executor": "inline", "max_trials": 12, **options}
    )


def test_a_search_finds_and_a_finished_run_can_be_read_and_continued(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    assert run.ended == "all 12 trials are done"
    assert len(run.trials) == 12
    assert run.best.metrics["accuracy"] == max(trial.metrics["accuracy"] for trial in run.trials)
    assert run.best.architecture.build() == dict(run.best.architecture)
    again = search(tmp_path / "run", max_trials=20)
    assert again.ended == "all 20 trials are done"
    straight = search(tmp_path / "straight", max_trials=20)
    assert [t.architecture for t in again.trials] == [t.architecture for t in straight.trials]
    opened = og.open_run(tmp_path / "run")
    assert [t.metrics for t in opened.trials] == [t.metrics for t in again.trials]
    assert opened.best.architecture.id == again.best.architecture.id
    assert list(opened.frame()["trial"]) == list(range(20))
    assert opened.top(3)[0] == opened.best


def test_with_several_objectives_there_is_a_front_and_no_best(tmp_path: Path) -> None:
    run = search(tmp_path / "run", objectives=["accuracy", og.Objective("size", "minimize")])
    with pytest.raises(JobError, match=r"run\.front"):
        _ = run.best
    front = run.front()
    assert front
    for trial in front:
        assert not any(
            other.metrics["accuracy"] >= trial.metrics["accuracy"]
            and other.metrics["size"] <= trial.metrics["size"]
            and (other.metrics["accuracy"], other.metrics["size"]) != (trial.metrics["accuracy"], trial.metrics["size"])
            for other in run.trials
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "seed: was 0, and is 1"),
        ({"objectives": og.Objective("size", "minimize")}, "objectives: was"),
        ({"strategy": "random"}, "strategy"),
        ({"epochs": 3}, "epochs: was None, and is 3"),
    ],
)
def test_what_cannot_change_is_refused_with_what_differs(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    search(tmp_path / "run")
    with pytest.raises(OgiveError, match=message) as caught:
        search(tmp_path / "run", **changed)
    assert "start a new run in another folder" in str(caught.value)


def test_a_changed_space_is_refused_decision_by_decision(tmp_path: Path) -> None:
    search(tmp_path / "run")
    with pytest.raises(RunError, match=r"decision 'width' has changed, labels"):
        og.search(space(11), og.estimate.function(judge), run=tmp_path / "run", executor="inline")
    with pytest.raises(RunError, match=r"decision 'width' has changed, labels"):
        og.search(space(2), og.estimate.function(judge), run=tmp_path / "run", executor="inline")


def test_fewer_trials_and_settings_out_of_range_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    search(tmp_path / "run")
    before = list(Journal(tmp_path / "run" / "journal.db").read())
    with pytest.raises(JobError, match="raised, not lowered"):
        search(tmp_path / "run", max_trials=5)
    with pytest.raises(JobError, match="workers=0"):
        search(tmp_path / "new", workers=0)
    assert list(Journal(tmp_path / "run" / "journal.db").read()) == before
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="holds no run"):
        search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_unknown_schema_version_and_a_foreign_database_are_refused(tmp_path: Path) -> None:
    search(tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "journal.db") as connection:
        connection.execute("UPDATE meta SET schema = 99")
    with pytest.raises(RunError, match="schema version 99"):
        og.open_run(tmp_path / "run")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with sqlite3.connect(foreign / "journal.db") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(RunError, match=r"no journal of Ogive's"):
        og.open_run(foreign)
    with pytest.raises(RunError, match="no journal"):
        og.open_run(tmp_path / "nowhere")


def test_the_cache_shares_results_between_runs_of_one_recipe_and_can_be_turned_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))

    def one(name: str, recipe: dict[str, int], **options: Any) -> tuple[og.Run, int]:
        CALLS.clear()
        run = og.search(
            space(),
            og.estimate.function(judge, recipe=recipe),
            run=tmp_path / name,
            executor="inline",
            **{"max_trials": 10, **options},
        )
        return run, len(CALLS)

    first, trained = one("first", {"rate": 1})
    assert trained == 10
    second, trained = one("second", {"rate": 1})
    assert trained == 0
    assert all(trial.cached for trial in second.trials)
    assert [t.metrics for t in first.trials] == [t.metrics for t in second.trials]
    assert one("third", {"rate": 1}, cache=False)[1] == 10
    assert one("fourth", {"rate": 2})[1] == 10, "another recipe"
    assert one("fifth", {"rate": 1}, seed=1)[1] > 0, "another seed"
    assert one("sixth", {"rate": 1}, max_trials=12)[1] == 2, "only what is new"


def test_a_script_without_a_main_guard_searches_in_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import ogive as og\n"
        "def judge(a): return {'accuracy': a['w']}\n"
        "space = og.Space(og.layer(dict, w=og.one_of(1, 2, 3, 4, name='w')))\n"
        "run = og.search(space, og.estimate.function(judge), max_trials=4, workers=2, run='run')\n"
        "print(run.best.metrics['accuracy'], run.best.architecture.build())\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "4.0 {'w': 4}", done.stderr


def test_the_same_seed_gives_the_same_run_under_another_hash_seed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, ogive as og\n"
        "from ogive.run.journal import Journal\n"
        "from ogive.testing.journal import essence\n"
        "import json\n"
        "def judge(a): return {'accuracy': float(len(a)) + hash(1) * 0}\n"
        "space = og.Space(og.layer(dict, w=og.one_of(*'abcdef'), v=og.one_of(x=og.layer(dict, k=og.integer(1, 9)), y=2)))\n"
        "run = og.search(space, og.estimate.function(judge), max_trials=30, run=sys.argv[1], executor='inline')\n"
        "print(json.dumps(essence(Journal(run.folder / 'journal.db').read())))\n"
    )
    results = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, script, f"run{seed}"],
            cwd=tmp_path,
            env={**__import__("os").environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[0] == results[1]


def test_the_essence_of_a_journal_is_what_an_interruption_keeps(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    events = list(Journal(run.folder / "journal.db").read())
    kinds = {kind for kind, *_ in essence(events)}
    assert kinds == {"created", "proposed", "reported", "finished", "ended"}
    assert events[0].kind is Kind.CREATED
    assert events[-1].kind is Kind.CLOSED
