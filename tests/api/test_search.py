"""`og.search` and `Run`: start a run, continue it, refuse wrong arguments, open it again."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.errors import JobError, OgiveError, RunError
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.events import Event, Kind
from ogive.run.journal import Journal
from ogive.schedule.base import Action
from ogive.session.declaration_changes import check_unchanged
from ogive.testing.journals import comparable_events

CALLS: list[Any] = []


def evaluate(architecture: Any) -> dict[str, float]:
    CALLS.append(architecture.id)
    return {
        "accuracy": -abs(architecture["width"] - 7) + architecture["depth"] / 10,
        "size": float(architecture["width"]),
    }


def evaluate_by_width(architecture: Any) -> dict[str, float]:
    return {"accuracy": architecture["width"] / 10}


def space(widths: int = 10) -> og.Space:
    widths_, depth = og.one_of(*range(widths), name="width"), og.integer(1, 4, name="depth")
    return og.Space(og.layer(dict, width=widths_, depth=depth))


def search(run: Path, **options: Any) -> og.Run:
    return og.search(
        space(), og.estimate.function(evaluate), run=run, **{"executor": "inline", "max_trials": 12, **options}
    )


def test_a_finished_run_can_be_read_and_continued(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    assert run.ended == "all 12 trials are done"
    assert len(run.trials) == 12
    assert run.best.metrics["accuracy"] == max(trial.metrics["accuracy"] for trial in run.trials)
    assert run.best.architecture.build() == dict(run.best.architecture)
    continued = search(tmp_path / "run", max_trials=20)
    assert continued.ended == "all 20 trials are done"
    uninterrupted = search(tmp_path / "uninterrupted", max_trials=20)
    assert [t.architecture for t in continued.trials] == [t.architecture for t in uninterrupted.trials]
    opened = og.open_run(tmp_path / "run")
    assert [t.metrics for t in opened.trials] == [t.metrics for t in continued.trials]
    assert opened.best.architecture.id == continued.best.architecture.id
    assert list(opened.frame()["trial"]) == list(range(20))
    assert opened.top(3)[0] == opened.best


def test_an_ended_search_is_unchanged_until_there_is_more_to_do(tmp_path: Path, capsys: Any) -> None:
    options = {"run": tmp_path / "run", "executor": "inline"}
    before = og.search(space(), og.estimate.function(evaluate_by_width), max_trials=4, **options)
    events = list(Journal(before.folder / "journal.db", writable=False).read())
    capsys.readouterr()
    again = og.search(space(), og.estimate.function(evaluate_by_width), max_trials=4, **options)
    assert list(Journal(before.folder / "journal.db", writable=False).read()) == events
    assert again.state.elapsed_seconds == before.state.elapsed_seconds
    assert "has ended: all 4 trials are done; nothing is left to do" in capsys.readouterr().err
    assert len(og.search(space(), og.estimate.function(evaluate_by_width), max_trials=5, **options).trials) == 5


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
def test_changed_arguments_are_refused_by_name(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    search(tmp_path / "run")
    with pytest.raises(OgiveError, match=message) as caught:
        search(tmp_path / "run", **changed)
    assert "start a new run in another folder" in str(caught.value)


def test_a_changed_space_is_refused_with_the_changed_decision(tmp_path: Path) -> None:
    search(tmp_path / "run")
    with pytest.raises(RunError, match=r"decision 'width' has changed, labels"):
        og.search(space(11), og.estimate.function(evaluate), run=tmp_path / "run", executor="inline")
    with pytest.raises(RunError, match=r"decision 'width' has changed, labels"):
        og.search(space(2), og.estimate.function(evaluate), run=tmp_path / "run", executor="inline")


def test_wrong_settings_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    search(tmp_path / "run")
    before = list(Journal(tmp_path / "run" / "journal.db").read())
    with pytest.raises(JobError, match="raised, not lowered"):
        search(tmp_path / "run", max_trials=5)
    with pytest.raises(JobError, match="workers=0"):
        search(tmp_path / "new", workers=0)
    assert list(Journal(tmp_path / "run" / "journal.db").read()) == before
    assert not (tmp_path / "new").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="holds no run"):
        search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_schema_version_and_another_database_are_refused(tmp_path: Path) -> None:
    search(tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / "journal.db") as connection:
        connection.execute("UPDATE meta SET schema = 99")
    with pytest.raises(RunError, match="schema version 99"):
        og.open_run(tmp_path / "run")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with sqlite3.connect(foreign / "journal.db") as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(RunError, match=r"is not an Ogive journal"):
        og.open_run(foreign)
    with pytest.raises(RunError, match="no journal"):
        og.open_run(tmp_path / "nowhere")


def test_the_cache_shares_results_between_runs_with_the_same_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))

    def run_search(name: str, recipe: dict[str, int], **options: Any) -> tuple[og.Run, int]:
        CALLS.clear()
        run = og.search(
            space(),
            og.estimate.function(evaluate, recipe=recipe),
            run=tmp_path / name,
            executor="inline",
            **{"max_trials": 10, **options},
        )
        return run, len(CALLS)

    first, trained = run_search("first", {"rate": 1})
    assert trained == 10
    second, trained = run_search("second", {"rate": 1})
    assert trained == 0
    assert all(trial.cached for trial in second.trials)
    assert [t.metrics for t in first.trials] == [t.metrics for t in second.trials]
    assert run_search("third", {"rate": 1}, cache=False)[1] == 10
    assert run_search("fourth", {"rate": 2})[1] == 10, "another recipe"
    assert run_search("fifth", {"rate": 1}, seed=1)[1] > 0, "another seed"
    assert run_search("sixth", {"rate": 1}, max_trials=12)[1] == 2, "only the new trials"


def test_a_script_without_a_main_guard_searches_in_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import ogive as og\n"
        "def evaluate(a): return {'accuracy': a['w']}\n"
        "space = og.Space(og.layer(dict, w=og.one_of(1, 2, 3, 4, name='w')))\n"
        "run = og.search(space, og.estimate.function(evaluate), max_trials=4, workers=2, run='run')\n"
        "print(run.best.metrics['accuracy'], run.best.architecture.build())\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "4.0 {'w': 4}", done.stderr


def test_the_same_seed_gives_the_same_run_under_another_hash_seed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, ogive as og\n"
        "from ogive.run.journal import Journal\n"
        "from ogive.testing.journals import comparable_events\n"
        "import json\n"
        "def evaluate(a): return {'accuracy': float(len(a)) + hash(1) * 0}\n"
        "space = og.Space(og.layer(dict, w=og.one_of(*'abcdef'), v=og.one_of(x=og.layer(dict, k=og.integer(1, 9)), y=2)))\n"
        "run = og.search(space, og.estimate.function(evaluate), max_trials=30, run=sys.argv[1], executor='inline')\n"
        "print(json.dumps(comparable_events(Journal(run.folder / 'journal.db').read())))\n"
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


def test_comparable_events_are_those_that_do_not_depend_on_interruptions(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    events = list(Journal(run.folder / "journal.db").read())
    kinds = {kind for kind, *_ in comparable_events(events)}
    assert kinds == {"created", "proposed", "reported", "finished", "ended"}
    assert events[0].kind is Kind.CREATED
    assert events[-1].kind is Kind.CLOSED


def test_wrong_arguments_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="max_epochs"):
        search(tmp_path / "run", schedule="asha")
    with pytest.raises(JobError, match="did you mean 'population'"):
        search(tmp_path / "run", strategy={"regularized_evolution": {"populaton": 5}})
    with pytest.raises(JobError, match="only one worker"):
        search(tmp_path / "run", workers=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["schedule", "strategy"])
def test_an_object_that_is_used_in_two_searches_keeps_no_state(tmp_path: Path, kind: str) -> None:
    space_with_layers = space()
    objects = {
        "schedule": og.schedule.create("asha", objectives="accuracy", epochs=9),
        "strategy": og.strategy.create("regularized_evolution", space_with_layers, "accuracy", population=5, sample=2),
    }
    runs = [
        og.search(
            space_with_layers,
            og.estimate.function(evaluate),
            executor="inline",
            max_trials=20,
            epochs=9,
            run=tmp_path / str(i),
            **{kind: objects[kind]},
        )
        for i in range(2)
    ]
    assert [t.architecture for t in runs[0].trials] == [t.architecture for t in runs[1].trials]
    assert [t.step for t in runs[0].trials] == [t.step for t in runs[1].trials]
    with pytest.raises(RunError, match=f"pass {kind}= again"):
        og.search(
            space_with_layers, og.estimate.function(evaluate), executor="inline", max_trials=30, run=tmp_path / "0"
        )


def test_a_strategy_object_of_another_search_is_refused(tmp_path: Path) -> None:
    other = og.strategy.create("random", space(3), "accuracy")
    with pytest.raises(JobError, match="made for other space"):
        search(tmp_path / "run", strategy=other)
    loss = og.strategy.create("random", space(), "loss")
    with pytest.raises(JobError, match="made for other objectives"):
        search(tmp_path / "run", strategy=loss)


def test_a_relative_folder_survives_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def change_directory(architecture: og.Architecture) -> dict[str, float]:
        monkeypatch.chdir("/")
        return {"accuracy": float(architecture["width"])}

    run = og.search(space(), og.estimate.function(change_directory), executor="inline", max_trials=3, run="relative")
    assert run.best.metrics
    assert (tmp_path / "relative" / "journal.db").exists()


def test_columns_of_the_frame_have_different_names(tmp_path: Path) -> None:
    def evaluate(architecture: og.Architecture) -> dict[str, float]:
        return {"accuracy": 1.0, "seconds": 123.0, "width": 7.0}

    run = og.search(space(), og.estimate.function(evaluate), executor="inline", max_trials=2, run=tmp_path / "run")
    frame = run.frame()
    assert frame["metric.seconds"].tolist() == [123.0, 123.0]
    assert frame["decision.width"].tolist() == [trial.architecture["width"] for trial in run.trials]
    assert frame["seconds"].max() < 1


def test_results_that_depend_on_the_number_of_epochs_are_not_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))

    class DependsOnEpochs(Estimator):
        def evaluate(self, evaluation: Evaluation) -> None:
            for step in range(1, evaluation.until + 1):
                CALLS.append(step)
                evaluation.report(step, {"accuracy": step / evaluation.until})

        def recipe(self) -> dict[str, int]:
            return {"rate": 1}

    def run_search(name: str, epochs: int, estimator: Estimator) -> og.Run:
        CALLS.clear()
        return og.search(
            space(), estimator, epochs=epochs, max_trials=4, run=tmp_path / name, executor="inline", strategy="random"
        )

    run_search("nine", 9, DependsOnEpochs())
    assert run_search("three", 3, DependsOnEpochs()).best.metrics["accuracy"] == 1.0
    assert len(CALLS) == 12

    class Continuable(DependsOnEpochs):
        continuable = True

        def recipe(self) -> dict[str, int]:
            return {"rate": 2}

    run_search("nine, continuable", 9, Continuable())
    assert all(trial.cached for trial in run_search("three, continuable", 3, Continuable()).trials)
    assert not CALLS


def test_promotions_of_asha_use_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))

    class Stepwise(Estimator):
        continuable = True

        def evaluate(self, evaluation: Evaluation) -> None:
            for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
                CALLS.append(step)
                if evaluation.report(step, evaluate(evaluation.architecture)) is not Action.CONTINUE:
                    return

        def recipe(self) -> dict[str, int]:
            return {"rate": 3}

    def run_search(name: str) -> tuple[og.Run, int]:
        CALLS.clear()
        run = og.search(
            space(), Stepwise(), schedule="asha", epochs=9, max_trials=20, run=tmp_path / name, executor="inline"
        )
        return run, len([call for call in CALLS if isinstance(call, int)])

    first, steps = run_search("first")
    assert steps > 30
    second, steps = run_search("second")
    assert steps == 0
    assert [t.reports[-1].metrics for t in first.trials] == [t.reports[-1].metrics for t in second.trials]
    assert second.state.compute_seconds == 0


def test_an_alarm_of_the_user_is_still_delivered(tmp_path: Path) -> None:
    signals: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: signals.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        search(tmp_path / "run")
        deadline = time.monotonic() + 5
        while not signals and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert signals


def test_a_webhook_without_an_address_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    with pytest.raises(JobError, match="the environment variable 'HOOK' holds no URL"):
        search(tmp_path / "run", alerts={"webhook": "env:HOOK"})
    assert not (tmp_path / "run").exists()


def test_a_hard_constraint_on_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="hard, but the estimator does not know 'size' before training"):
        search(tmp_path / "run", constraints=og.Constraint("size", at_most=3, hard=True))
    assert not (tmp_path / "run").exists()


def test_the_epochs_of_the_estimator_are_the_default_and_the_maximum(tmp_path: Path) -> None:
    class Nine(Estimator):
        epochs = 9

        def evaluate(self, evaluation: Evaluation) -> None:
            evaluation.report(evaluation.until, {"accuracy": 1.0})

    with pytest.raises(JobError, match="trains for at most 9 epochs"):
        og.search(space(), Nine(), epochs=12, executor="inline", run=tmp_path / "run")
    run = og.search(space(), Nine(), max_trials=2, executor="inline", run=tmp_path / "run")
    assert [trial.step for trial in run.trials] == [9, 9]


def test_a_continued_run_warns_of_changed_code_and_of_a_read_test_split(tmp_path: Path) -> None:
    def other(architecture: og.Architecture) -> dict[str, float]:
        return {"accuracy": 0.5}

    run = search(tmp_path / "run")
    journal = Journal(run.folder / "journal.db")
    journal.acquire()
    journal.append([Event(Kind.TEST_READ)])
    journal.close()
    continued = og.search(space(), og.estimate.function(other), executor="inline", max_trials=14, run=run.folder)
    messages = [message for message, _ in continued.state.warnings]
    assert any("code of the train function has changed: trials before 12" in message for message in messages)
    assert any("test split of this run has been read" in message for message in messages)


def test_a_train_function_that_ends_early_gives_one_warning(tmp_path: Path) -> None:
    class Once(Estimator):
        def evaluate(self, evaluation: Evaluation) -> None:
            evaluation.report(1, {"accuracy": 1.0})

    run = og.search(space(), Once(), epochs=3, max_trials=4, executor="inline", run=tmp_path / "run")
    (warning,) = run.state.warnings
    assert warning[0] == "trial 0: it ended by itself after step 1 of 3; its last value counts as its value"


def test_a_feasible_trial_ranks_before_infeasible_ones_that_were_trained_further(tmp_path: Path) -> None:
    def train(model: dict[str, int], trial: Any) -> None:
        for epoch in trial.epochs():
            trial.report(accuracy=float(model["width"]), size=float(model["width"]))
            if model["width"] < 5 and epoch == 1:
                return

    run = og.search(
        og.Space(og.layer(dict, width=og.one_of(*range(10), name="width"))),
        og.estimate.train(train),
        constraints=og.Constraint("size", at_most=4),
        strategy="grid",
        epochs=3,
        run=tmp_path / "run",
        executor="inline",
    )
    assert [trial.metrics["size"] for trial in run.top(6)] == [4, 3, 2, 1, 0]
    assert run.best.metrics["size"] == 4


def test_a_run_can_be_opened_from_another_folder_than_its_modules(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "user_module.py").write_text(
        "import ogive as og\n"
        "space = og.Space(og.layer(dict, w=og.one_of(1, 2, name='w')))\n"
        "def evaluate(a): return {'accuracy': a['w']}\n"
    )
    (tmp_path / "code" / "search.py").write_text(
        "import user_module as m, ogive as og\n"
        "og.search(m.space, og.estimate.function(m.evaluate), max_trials=2, run='run')\n"
    )
    subprocess.run([sys.executable, tmp_path / "code" / "search.py"], cwd=tmp_path, check=True, timeout=120)
    elsewhere = "import ogive as og; print(og.open_run('run', trust=True).space.size())"
    done = subprocess.run([sys.executable, "-c", elsewhere], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "2", done.stderr


def test_another_recipe_is_refused_with_the_keys_that_differ() -> None:
    stored = {
        "space": space().to_json(),
        "fingerprints": {"recipe": "d719", "data": "aa"},
        "recipe": {"epochs": 9, "batch_size": 64},
    }
    arguments = {"fingerprints": {"recipe": "1b2d", "data": "bb"}}
    with pytest.raises(RunError) as caught:
        check_unchanged(
            stored, space(), arguments, folder=Path("r"), recipe={"epochs": 8, "batch_size": 64, "flip": True}
        )
    assert "the recipe: epochs: was 9, and is 8; flip: was left out, and is True\n" in str(caught.value)
    assert "the data: its fingerprint was aa, and is bb" in str(caught.value)
    with pytest.raises(RunError, match="the recipe: its fingerprint was d719, and is 1b2d"):
        check_unchanged({**stored, "recipe": None}, space(), arguments, folder=Path("r"))
