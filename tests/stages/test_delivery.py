"""The network that a run delivers: the winner of its last stage, with the metrics and weights of that stage."""

from __future__ import annotations

import importlib
import json
import random
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import ogive as og
from ogive.errors import RunError, SpaceError
from ogive.run.events import Event
from ogive.run.journal import Journal
from ogive.run.state import State
from ogive.stages.delivery import FULL_TRAINING, SEARCH, Stages

SPACE = og.Space(og.layer(nn.Linear, 4, og.one_of(2, 3, 4, name="width")), example_input=(4,))
ACCURACIES = {2: (0.6, 0.6), 3: (0.5, 0.9), 4: (0.4, 0.7)}
"""Accuracies after one epoch and after more epochs: width 2 is best in the search, width 3 in full training."""


def weight_value(width: int, epoch: int, seed: int) -> float:
    """Return the value of every weight, which identifies the training."""
    return width + epoch / 10 + (seed % 7) / 100


def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
    width = trial.architecture["width"]
    for epoch in trial.epochs():
        with torch.no_grad():
            model.weight.fill_(weight_value(width, epoch, trial.seed))
        trial.checkpoint(model=model.state_dict())
        better = (trial.seed % 7) / 1000 if epoch > 1 else 0.0
        trial.report(accuracy=ACCURACIES[width][min(epoch, 2) - 1] + better)


def search(folder: Path, estimator: Any = train, **options: Any) -> og.Run:
    arguments = {"epochs": 1, "max_trials": 3, "executor": "inline", "cache": False, **options}
    return og.search(SPACE, estimator, run=folder, **arguments)


def finalize(run: og.Run, messages: list[str] | None = None, **options: Any) -> Any:
    messages = messages if messages is not None else []
    return run.finalize(**{"top": 2, "epochs": 2, "executor": "inline", "say": messages.append, **options})


def numbers_by_width(run: og.Run) -> dict[int, int]:
    return {trial.architecture["width"]: trial.id for trial in run.trials}


def test_the_winner_of_full_training_is_delivered_with_its_metrics_and_weights(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    assert run.delivery().stage == SEARCH
    assert run.model().out_features == 2
    finalize(run, seeds=(0, 3, 5), top=3)
    numbers = numbers_by_width(run)
    winner = run.delivery()
    assert (winner.trial.id, winner.stage, winner.seed, winner.seeds) == (numbers[3], FULL_TRAINING, 5, (0, 3, 5))
    assert winner.metrics["accuracy"] == pytest.approx(0.905)
    assert winner.mean_metrics["accuracy"] == pytest.approx(0.9 + 8 / 3000)
    model = run.model()
    assert not model.training
    assert (model.out_features, model.weight[0, 0].item()) == (3, pytest.approx(weight_value(3, 2, 5)))

    best = run.delivery("best")
    assert (best.trial.id, best.stage, best.metrics) == (numbers[2], SEARCH, {"accuracy": 0.6})
    assert run.model("best").weight[0, 0].item() == pytest.approx(weight_value(2, 1, best.trial.seed))
    finalist = run.delivery(numbers[4])
    assert (finalist.stage, finalist.metrics["accuracy"]) == (FULL_TRAINING, pytest.approx(0.705))
    assert run.model(str(numbers[4])).weight[0, 0].item() == pytest.approx(weight_value(4, 2, 5))
    with pytest.raises(RunError, match="found 7; allowed: winner, best, or a number from 0 to 2"):
        run.delivery(7)

    folder = run.export()
    about = json.loads((folder / "architecture.json").read_text())
    assert (about["architecture"], about["trial"], about["step"], about["seed"]) == ({"width": 3}, numbers[3], 2, 5)
    assert about["metrics"]["accuracy"] == pytest.approx(0.905)
    assert about["provenance"]["epochs"] == 2
    assert about["provenance"]["search"]["metrics"] == {"accuracy": 0.5}
    assert load_file(folder / "weights.safetensors")["weight"][0, 0].item() == pytest.approx(weight_value(3, 2, 5))
    as_json = json.loads(run.export("best", to="json", output=tmp_path / "best.json").read_text())
    assert (as_json["architecture"], as_json["metrics"], as_json["step"]) == ({"width": 2}, {"accuracy": 0.6}, 1)
    ranked = [(network.trial.architecture["width"], network.is_winner) for network in run.stages.rank_networks(3)]
    assert ranked == [(3, True), (4, False), (2, False)]


def test_a_note_says_that_full_training_has_not_ended(tmp_path: Path) -> None:
    run = search(tmp_path / "run")

    class Killed(BaseException):
        pass

    def kill(done: int, state: State, event: Event | None) -> None:
        if event is not None and state.ended_count == done:
            raise Killed

    with pytest.raises(Killed):
        finalize(run, observer=lambda state, event: kill(1, state, event))
    assert run.delivery().stage == SEARCH
    (note,) = run.stages.warnings
    assert note.startswith(
        "full training has not ended, 1 training left: the winner is still the winner of the search; `ogive"
    )
    assert note.endswith("finalize --top 2 --epochs 2` continues it")
    messages: list[str] = []
    run.finalize(seeds=range(1), executor="inline", say=messages.append)  # the arguments of the last call
    assert messages[0] == "as in the last call: top=2, epochs=2"
    assert run.stages.warnings == []
    with pytest.raises(Killed):  # one more seed for both networks, whose trainings are not evaluated yet
        finalize(run, seeds=(0, 1), observer=lambda state, event: kill(3, state, event))
    assert (run.delivery().stage, run.delivery().seeds) == (FULL_TRAINING, (0,))
    assert run.stages.warnings[0].startswith(
        "full training has not ended, 1 training left: the winner is from the trainings that were evaluated before"
    )


def test_a_note_names_a_better_trial_that_was_found_later(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        for _ in trial.epochs():
            trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=trial.id / 10)

    run = search(tmp_path / "run", train, max_trials=2)
    finalize(run, epochs=1)
    assert run.delivery().trial.id == 0  # its accuracy depends on the numbers of the trials of full training
    run = search(tmp_path / "run", train, max_trials=3)
    (note,) = run.stages.warnings
    assert note.startswith("the search continued after full training: its best trial is now trial 2 (accuracy 0.2)")


def test_with_several_winners_one_must_be_named(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        for epoch in trial.epochs():
            trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=ACCURACIES[model.out_features][min(epoch, 2) - 1], width=model.out_features)

    objectives = ["accuracy", og.Objective("width", "minimize")]
    run = search(tmp_path / "run", train, objectives=objectives)
    assert run.model().out_features == 2  # alone on the front of the search
    finalize(run, top=3)
    numbers = numbers_by_width(run)
    with pytest.raises(RunError, match="full training selects trials") as error:
        run.model()
    assert all(str(numbers[width]) in str(error.value) for width in (2, 3))
    assert run.model(numbers[3]).out_features == 3
    assert run.model("best").out_features == 2


def test_the_best_epoch_is_delivered_if_it_is_the_value(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        for epoch in trial.epochs():
            with torch.no_grad():
                model.weight.fill_(epoch)
            trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=0.9 - epoch / 10 + (epoch == 2) / 2)

    run = search(tmp_path / "run", train, objectives=og.Objective("accuracy", epoch="best"), epochs=3, max_trials=1)
    finalize(run, epochs=4)
    for selection, stage in (("best", SEARCH), ("winner", FULL_TRAINING)):
        delivery = run.delivery(selection)
        assert (delivery.stage, delivery.step, delivery.metrics["accuracy"]) == (stage, 2, pytest.approx(1.2))
        assert run.model(selection).weight[0, 0].item() == 2


def test_metrics_belong_to_the_epoch_of_the_weights(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        for epoch in trial.epochs():
            if epoch == 2:
                trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=epoch / 10)

    run = search(tmp_path / "run", train, epochs=3, max_trials=1)
    assert run.best.metrics["accuracy"] == pytest.approx(0.3)
    assert (run.delivery().metrics["accuracy"], run.delivery().step) == (pytest.approx(0.2), 2)
    assert run.state.warnings == []


SILENT = """
import ogive as og
from torch import nn

space = og.Space(og.layer(nn.Linear, 4, og.one_of(2, 3, name="width")), example_input=(4,))

def train(model, trial):
    for epoch in trial.epochs():
        trial.report(accuracy=model.out_features / 10)
"""
SAVING = SILENT.replace(
    "        trial.report", "        trial.checkpoint(model=model.state_dict())\n        trial.report"
)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that writes a module and imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code: str) -> ModuleType:
        (tmp_path / "code_of_delivery.py").write_text(code)
        importlib.invalidate_caches()
        sys.modules.pop("code_of_delivery", None)
        return importlib.import_module("code_of_delivery")

    yield write
    sys.modules.pop("code_of_delivery", None)


LAYERS = """
import ogive as og
from torch import nn

class Net(nn.Linear):
    def forward(self, x):
        return super().forward(x)
""" + SAVING.replace("og.layer(nn.Linear", "og.layer(Net")


def test_changed_code_of_layers_is_named(tmp_path: Path, module: Any) -> None:
    code = module(LAYERS)
    run = og.search(
        code.space, code.train, epochs=1, max_trials=2, executor="inline", cache=False, run=tmp_path / "run"
    )
    finalize(run, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.model()
    module(LAYERS.replace("super().forward(x)", "2 * super().forward(x)"))
    opened = og.open_run(run.folder, trust=True)
    change = r"the code of the layers has changed (layer code_of_delivery.Net)"
    for selection, title in (("winner", "full training of 1 epoch"), ("best", "search of 1 epoch")):
        message = f"{title}: {change} since the training: the metrics were measured with the previous code"
        with pytest.warns(UserWarning, match=re.escape(message)) as caught:
            opened.model(selection)
        assert caught[0].filename == __file__
    messages: list[str] = []
    folder = opened.export(say=messages.append)
    assert messages[0].startswith("warning: trial ")
    assert f"full training of 1 epoch: {change} since the training" in messages[0]
    assert json.loads((folder / "architecture.json").read_text())["code"] == [change]
    assert f"{change} since the network was trained" in (folder / "README.md").read_text().replace("The", "the")

    module(LAYERS.replace("accuracy=model", "accuracy=1 + model"))  # the train function is not exported
    opened, messages = og.open_run(run.folder, trust=True), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened.model()
    folder = opened.export(say=messages.append)
    assert not any("changed" in message for message in messages)
    assert json.loads((folder / "architecture.json").read_text())["code"] == []


def test_json_does_not_replace_a_file_of_an_exported_model(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    folder = run.export(to="json").parent
    assert run.export() == folder
    assert run.export(to="json") == folder / "architecture.json"  # the file has the description already
    other = next(trial.id for trial in run.trials if trial.id != run.delivery().trial.id)
    with pytest.raises(RunError, match=r"belongs to an exported model, which needs it; choose another file with -o"):
        run.export(other, to="json", output=folder)
    assert "call" in json.loads((folder / "architecture.json").read_text())
    (tmp_path / "architecture.json").write_text("{}")
    with pytest.raises(RunError, match="was not written by an export"):
        run.export(to="json", output=tmp_path)
    assert run.export(to="json", output=tmp_path / "one.json") == tmp_path / "one.json"


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_train_function_without_checkpoints_gives_a_warning_after_the_first_trial(
    tmp_path: Path, module: Any, executor: str
) -> None:
    code = module(SILENT)
    options = {"epochs": 2, "max_trials": 2, "executor": executor, "cache": False, "run": tmp_path / "run"}
    run = og.search(code.space, code.train, **options)
    events = list(Journal(run.folder / "journal.db", writable=False).read())
    (warning,) = [event for event in events if event.kind == "warning"]
    assert warning.trial == 0
    assert "no weights are kept: the train function finished a trial without calling" in warning.data["message"]
    assert warning.seq < next(event.seq for event in events if event.kind == "started" and event.trial == 1)
    with pytest.raises(RunError, match=r"no weights: .*call trial.checkpoint\(model=model.state_dict\(\), ...\)"):
        run.model()

    messages: list[str] = []
    finalize(run, messages, epochs=1, executor=executor)
    assert messages[0].startswith(
        "warning: full training will save no weights either: the train function finished a trial"
    )
    assert "no weights: the train function finished a trial" in " ".join(messages[1:])
    assert "| weights | none: the train function finished" in (run.folder / "final" / "MODEL_CARD.md").read_text()
    finalize(run, messages := [], epochs=1, executor=executor)
    assert "2 of 2 trainings are reused" in messages

    module(SAVING)
    opened = og.open_run(run.folder, trust=True)
    messages = []
    finalize(opened, messages, epochs=1, executor=executor)
    (aside,) = [
        message
        for message in messages
        if message.startswith("nothing of the earlier full training is reused, because ")
    ]
    assert aside.endswith("its files are kept in final-1")
    (changed,) = [message for message in messages if "since the search" in message]
    assert changed.startswith("warning: the code of the train function has changed (")
    assert changed.endswith("whose values were measured with the previous version: finalize uses the present version")
    assert not any("no weights" in message for message in messages)
    assert opened.model().out_features == 3
    assert "seed 0" in (run.folder / "final" / "MODEL_CARD.md").read_text()
    finalize(opened, messages := [], epochs=1, executor=executor)
    assert "2 of 2 trainings are reused" in messages


def test_a_train_function_without_checkpoints_gives_a_warning_at_a_pause(tmp_path: Path, module: Any) -> None:
    code = module(SILENT)
    options = {"schedule": "asha", "epochs": 9, "max_trials": 4, "executor": "inline", "cache": False}
    run = og.search(code.space, code.train, run=tmp_path / "run", **options)
    warning = next(
        event for event in Journal(run.folder / "journal.db", writable=False).read() if event.kind == "warning"
    )
    assert warning.trial == 0
    assert (
        "no weights are kept of paused trials: the schedule paused or stopped a trial before the train"
        in warning.data["message"]
    )
    assert "no trial can be exported; call trial.checkpoint" in str(run.delivery().missing_weights_reason)


def test_checkpoints_without_model_give_a_warning(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        for _ in trial.epochs():
            trial.checkpoint(weights=model.state_dict())
            trial.report(accuracy=0.5)

    run = search(tmp_path / "run", train)
    ((message, trial),) = run.state.warnings
    assert trial == 0
    assert "the train function calls trial.checkpoint() without model=" in message
    with pytest.raises(RunError, match="without model="):
        run.model()
    # an estimator that only reports metrics has no weights to keep
    run = search(tmp_path / "plain", og.estimate.function(lambda a: {"accuracy": 1.0}), epochs=None)
    assert run.state.warnings == []
    with pytest.raises(RunError, match="reports metrics and keeps no model"):
        run.model()


def test_only_trust_loads_the_code_of_a_run(tmp_path: Path, module: Any) -> None:
    code = module(SAVING)
    run = og.search(
        code.space, code.train, epochs=1, max_trials=2, executor="inline", cache=False, run=tmp_path / "run"
    )
    script = (
        "import sys, ogive as og\n"
        "run = og.open_run('run')\n"
        "run.top(), run.frame(), run.report(), run.delivery(), run.export(to='json'), repr(run)\n"
        "assert not {'code_of_delivery', 'torch'} & set(sys.modules)\n"
        "for name in ('model', 'export', 'finalize'):\n"
        "    try:\n"
        "        getattr(run, name)()\n"
        "    except og.OgiveError as error:\n"
        "        assert 'og.open_run(folder, trust=True)' in str(error), error\n"
        "    else:\n"
        "        raise SystemExit(name)\n"
        "assert 'code_of_delivery' not in sys.modules\n"
        "run = og.open_run('run', trust=True)\n"
        "print(run.best.architecture.build(), run.model().out_features)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "Linear(in_features=4, out_features=3, bias=True) 3"
    with pytest.raises(SpaceError, match=r"open the run with og.open_run\(folder, trust=True\)"):
        og.open_run(run.folder).best.architecture.build()


SCRIPT = f"""
import sys
{SAVING}
if __name__ == "__main__":
    run = og.search(space, train, epochs=1, max_trials=2, executor="inline", cache=False, run="run")
    for opened in (run, og.open_run("run", trust=True)):
        opened.finalize(top=1, epochs=1, executor="inline", say=print)
"""


def test_the_stored_version_of_a_script_is_used_and_named(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    stored = "defined in a script or inside a function: finalize uses the version that is stored with the run"
    first, second = done.stdout.split(stored)
    assert "trained in" in first
    assert "1 of 1 trainings are reused" in second


def test_the_text_of_a_run_names_an_end_by_failures(tmp_path: Path) -> None:
    def fail(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        if trial.id > 0:
            raise ValueError("no")
        trial.checkpoint(model=model.state_dict())
        trial.report(accuracy=0.5)

    run = search(tmp_path / "run", fail, max_failed_trials=1)
    assert run.failed
    assert "2 trials, 1 failed, ended: by failures: 1 trials have failed" in repr(run)
    assert not search(tmp_path / "fine").failed
    rule = search(tmp_path / "rule", fail, max_trials=9, max_failed_trials=9, stop="auto", strategy="grid", seed=1)
    assert rule.failed == rule.ended.startswith("stop rule failures")


def test_deleted_weights_are_named_and_can_be_trained_again(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    finalize(run)
    shutil.rmtree(run.folder / "final" / "trials")
    (run.folder / "final" / "weights.pt").unlink()
    with pytest.raises(RunError, match=r"its checkpoint was deleted, .*--retrain"):
        run.model()
    finalize(run, retrain=True)
    assert run.model().out_features == 3
    shutil.rmtree(run.folder / "trials")
    with pytest.raises(RunError, match="`ogive finalize` trains the network in full and keeps"):
        run.model("best")
    assert Stages(run.state, None).winners[0].weights is None


def test_the_winners_weights_file_replaces_a_deleted_checkpoint(tmp_path: Path) -> None:
    run = search(tmp_path / "run")
    finalize(run, seeds=(0, 3, 5))
    final, numbers = run.folder / "final", numbers_by_width(run)
    before = run.delivery()
    shutil.rmtree(final / "trials")
    winner = run.delivery()
    assert winner.weights == final / "weights.pt"
    assert (winner.metrics, winner.step, winner.seed, winner.missing_weights_reason) == (before.metrics, 2, 5, None)
    assert run.model().weight[0, 0].item() == pytest.approx(weight_value(3, 2, 5))
    assert json.loads((run.export() / "architecture.json").read_text())["seed"] == 5
    assert run.delivery("best").weights != winner.weights
    with pytest.raises(RunError, match="its checkpoint was deleted"):  # of a finalist that is no winner
        run.model(numbers[2])
    finalize(run, seeds=(0, 3, 5))  # nothing to train: the delivery is the same
    assert run.model().weight[0, 0].item() == pytest.approx(weight_value(3, 2, 5))

    other = search(tmp_path / "other", max_trials=1, seed=1)
    finalize(other, top=1)
    shutil.copy(other.folder / "final" / "weights.pt", final)
    with pytest.raises(RunError, match=r"weights.pt is not the file that `ogive finalize` wrote"):
        run.model()
    shutil.copy(other.folder / "final" / "weights.json", final)
    assert run.delivery().weights is None
    (final / "weights.json").unlink()  # as in earlier versions: the training of the weights is unknown
    assert run.delivery().weights is None
    finalize(run, seeds=(0, 3, 5))
    assert not (final / "weights.pt").exists()


class RandomLayer(nn.Linear):
    """A layer with random numbers that are not in its state dict, like random features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.draws = (float(torch.rand(())), float(np.random.rand()), random.random())


def test_a_layer_with_random_numbers_is_delivered_as_it_was_trained(tmp_path: Path) -> None:
    def train(model: RandomLayer, trial: og.estimate.LiveTrial) -> None:
        for _ in trial.epochs():
            trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=model.out_features / 10, **dict(zip("abc", model.draws, strict=True)))

    space = og.Space(og.layer(RandomLayer, 4, og.one_of(2, 3, name="width")), example_input=(4,))
    run = og.search(space, train, epochs=1, max_trials=2, executor="inline", run=tmp_path / "run")
    for selection in ("winner", "0", "1"):
        metrics = run.delivery(selection).metrics
        assert run.model(selection).draws == pytest.approx([metrics[name] for name in "abc"])
    finalize(run, epochs=1, seeds=(5,))
    metrics = run.delivery().metrics
    assert run.model().draws == pytest.approx([metrics[name] for name in "abc"])


def test_notes_name_violated_constraints_and_weights_of_another_epoch(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: og.estimate.LiveTrial) -> None:
        for epoch in trial.epochs():
            trial.report(accuracy=0.9 - epoch / 10, latency=float(epoch))
        trial.checkpoint(model=model.state_dict())

    objective = og.Objective("accuracy", epoch="best")
    run = search(tmp_path / "run", train, objectives=objective, epochs=2)
    (note,) = run.stages.warnings
    assert "is from epoch 1, but its weights are from epoch 2, the nearest epoch with a checkpoint; let the" in note
    constraint = og.Constraint("latency", at_most=1.0)
    run = search(tmp_path / "constrained", train, constraints=constraint, epochs=1)
    messages: list[str] = []
    finalize(run, messages, epochs=2)
    assert any(
        "violates a constraint: latency is 2, not latency <= 1; no trained network satisfies all constraints" in s
        for s in messages
    )
