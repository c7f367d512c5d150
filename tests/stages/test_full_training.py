"""Full training: a new ranking of the best trials, one reading of the test split, and no repeated trainings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import kendalltau
from torch import nn

import ogive as og
from ogive.errors import JobError, RunError
from ogive.estimate import load_checkpoint
from ogive.run.events import Kind
from ogive.run.journal import Journal
from ogive.stages.baseline_comparison import read_comparison
from ogive.stages.full_training_result import FullTrainingResult, read_full_training

TRIALS = 5


def make_baseline() -> nn.Module:
    """Return a hand-drawn network."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> og.Run:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    torch.set_num_threads(1)
    task = og.task.classification("digits", test=500, validation=400, train=200)
    space = og.zoo.chain(channels=(4, 8), depth=(1, 2))
    return og.search(
        space,
        og.estimate.classifier(task, epochs=1, data_fraction=0.5),
        objectives="log_loss",
        max_trials=TRIALS,
        executor="inline",
        run=tmp_path_factory.mktemp("final") / "run",
        cache=False,
    )


@pytest.fixture
def run(searched: og.Run, tmp_path: Path) -> og.Run:
    """Return a copy of the search without full training."""
    shutil.copytree(searched.folder, tmp_path / "run", ignore=shutil.ignore_patterns("final*"))
    return og.open_run(tmp_path / "run", trust=True)


def finalize(run: og.Run, top: int = 4, messages: list[str] | None = None, **options: Any) -> FullTrainingResult:
    arguments = {"epochs": 2, "executor": "inline", "say": (messages if messages is not None else []).append, **options}
    return run.finalize(top, **arguments)


def read_kinds(folder: Path) -> list[Kind]:
    return [event.kind for event in Journal(folder / "journal.db", writable=False).read()]


def test_full_training_uses_a_second_split_and_ranks_again(run: og.Run) -> None:
    result = finalize(run, seeds=(0, 1), recipe={"shift": 1}, baseline=make_baseline)
    assert [network.trial for network in result.finalists] == [trial.id for trial in run.top(4)]
    means = {network.name: sum(network.values["log_loss"]) / 2 for network in result.finalists}
    assert result.winners == [min(means, key=lambda name: means[name])]
    by_rank = sorted(result.finalists, key=lambda network: network.rank_after or 0)
    assert [network.name for network in by_rank] == sorted(means, key=lambda name: means[name])
    before = [network.searched["log_loss"] for network in result.finalists]
    expected = kendalltau(before, list(means.values())).statistic
    assert result.agreement[0].kendall is not None
    assert result.agreement[0].kendall.value == pytest.approx(expected)
    assert sum(network.probability or 0.0 for network in result.finalists) == pytest.approx(1)
    assert result.probability == result.finalists[0].probability
    assert read_full_training(run.folder) == FullTrainingResult.from_json(result.to_json())

    task = run.estimator.task  # type: ignore[attr-defined]
    second = task.second_split()
    assert result.splits == {"search": run.estimator.fingerprints()["split"], "second": second.split.fingerprint}
    assert not set(task.split.validation) & set(second.split.validation)
    winner = result.winner
    weights = run.folder / winner.weights[0]
    model = run.model()
    assert torch.equal(next(iter(model.state_dict().values())), next(iter(torch.load(weights)["model"].values())))
    for examples, values in ((second.validation(), winner.values), (task.test(lambda split: None), winner.test)):
        with torch.no_grad():
            accuracy = (model.eval()(examples[0]).argmax(1) == examples[1]).float().mean().item()
        assert accuracy == pytest.approx(values["accuracy"][0], abs=1e-6)
    assert run.delivery().weights in [run.folder / file for file in winner.weights]
    assert (run.folder / "final" / "weights.pt").is_file()

    comparison = read_comparison(run.folder)
    assert comparison is not None
    assert comparison.split == "test"
    assert [network.name for network in result.networks if network.test] == [*result.winners, "baseline"]
    assert read_kinds(run.folder).count(Kind.TEST_READ) == 1


def test_nothing_is_trained_twice_and_the_test_split_is_read_once(run: og.Run) -> None:
    first = finalize(run)
    messages: list[str] = []
    assert finalize(run, messages=messages) == first
    assert messages[0] == "4 of 4 trainings are reused"
    assert messages[1:] == [f"winner: {run.delivery().title}: log_loss {first.winner.mean('log_loss'):.4g}"]
    assert read_kinds(run.folder).count(Kind.TEST_READ) == 1
    started = read_kinds(run.folder / "final").count(Kind.STARTED)
    more = finalize(run, top=5, seeds=(0, 1), messages=messages)
    assert read_kinds(run.folder / "final").count(Kind.STARTED) == started + 6
    assert [network.values["log_loss"][0] for network in more.finalists[:4]] == [
        network.values["log_loss"][0] for network in first.finalists
    ]
    assert any("has been read before" in message for message in messages)
    finalize(run, top=1, epochs=1, messages=messages)
    assert any("epochs: was 2, and is 1" in message for message in messages)
    assert (run.folder / "final-1" / "result.json").is_file()


def test_a_killed_full_training_is_continued(run: og.Run) -> None:
    """The controller is killed after two trainings, which are not trained again."""

    class Killed(BaseException):
        pass

    def kill(state: Any, event: Any) -> None:
        if event is not None and state.ended_count == 2:
            raise Killed

    with pytest.raises(Killed):
        finalize(run, observer=kill)
    assert read_full_training(run.folder) is None
    messages: list[str] = []
    result = finalize(run, messages=messages)
    assert messages[0] == "2 of 4 trainings are reused"
    assert read_kinds(run.folder / "final").count(Kind.FINISHED) == 4
    uninterrupted = finalize(
        og.open_run(shutil.copytree(run.folder, run.folder.with_name("b"), ignore=_ignore_final), trust=True)
    )
    assert [n.values["log_loss"] for n in result.finalists] == [n.values["log_loss"] for n in uninterrupted.finalists]


def _ignore_final(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "final"]


def test_from_weights_starts_from_the_weights_of_the_search(run: og.Run) -> None:
    no_updates = {"learning_rate": 1e-12, "weight_decay": 0.0}
    started, scratch = (
        finalize(run, top=1, from_weights=start, epochs=1, recipe=no_updates) for start in (True, False)
    )
    searched = load_checkpoint(run.folder / "trials" / f"{run.best.id:06d}")["model"]
    name = next(name for name, value in searched.items() if value.ndim == 4)
    weights = [load_checkpoint(run.folder / stage.winner.weights[0])["model"][name] for stage in (started, scratch)]
    assert torch.allclose(weights[0], searched[name], atol=1e-6)
    assert not torch.allclose(weights[1], searched[name], atol=1e-3)
    shutil.rmtree(run.folder / "trials")
    with pytest.raises(RunError, match=r"has no weights in .* to start from: its checkpoint was deleted"):
        finalize(run, top=1, from_weights=True)


def test_weights_of_a_smaller_network_are_refused_and_those_of_smaller_images_are_not(tmp_path: Path) -> None:
    task = og.task.classification("digits", test=500, validation=400, train=100)
    space = og.zoo.chain(channels=(4, 8), depth=(1, 2))

    def search_proxy(**proxy: Any) -> og.Run:
        estimator = og.estimate.classifier(task, epochs=1, data_fraction=0.5, **proxy)
        folder = tmp_path / str(proxy)
        return og.search(space, estimator, max_trials=2, executor="inline", run=folder, cache=False)

    narrow = search_proxy(width=0.5, resolution=0.75)
    with pytest.raises(JobError, match=r"trained trial \d as a proxy of width 0.5, whose weights do not"):
        finalize(narrow, top=1, from_weights=True)
    assert not (narrow.folder / "final").exists()
    small_images = search_proxy(resolution=0.75)
    assert finalize(small_images, top=1, from_weights=True, epochs=1).winners == [f"trial {small_images.best.id}"]


def test_missing_weights_and_wrong_arguments_are_refused(run: og.Run, tmp_path: Path) -> None:
    finalize(run, top=1)
    for path in (run.folder / "final" / "trials").glob("*/checkpoint-*"):
        path.unlink()
    (run.folder / "final" / "result.json").unlink()
    with pytest.raises(RunError, match=r"weights of trial \d+, seed 0, are not in .*finalize again with retrain=True"):
        finalize(run, top=1)
    messages: list[str] = []
    assert finalize(run, top=1, retrain=True, messages=messages).winner.weights[0].startswith("final/trials/000001/")
    assert "0 of 1 trainings are reused; 1 without weights are repeated" in messages
    for wrong, message in (
        ({"top": 0}, "top=0"),
        ({"seeds": (1, 1)}, "expected different whole numbers"),
        ({"baseline": make_baseline()}, "must be a function without arguments"),
        ({"recipe": {"colour": 1}}, "there is no setting 'colour'"),
    ):
        with pytest.raises(JobError, match=message):
            finalize(run, **wrong)

    def fail(architecture: og.Architecture) -> dict[str, float]:
        raise ValueError("never")

    space = og.Space(og.layer(dict, a=og.one_of(1, 2)))
    failed = og.search(space, og.estimate.function(fail), executor="inline", max_trials=2, run=tmp_path / "failed")
    with pytest.raises(JobError, match=r"nothing to train in full in .*: no trial has a value yet: 1 failed"):
        finalize(failed)


def train(model: Any, trial: og.estimate.LiveTrial) -> None:
    """Report an accuracy that rises with every epoch."""
    a = trial.architecture["a"]
    if a == 4 and trial.fidelity["epochs"] > 1:
        raise ValueError("four cannot be trained for long")
    for epoch in trial.epochs():
        trial.checkpoint(state=model)
        trial.report(accuracy=a / 10 + epoch / 100 + (trial.seed % 7) / 1e4, slope=trial.settings.get("slope", 0.0))


def test_a_train_function_is_called_for_full_training(tmp_path: Path) -> None:
    space = og.Space(og.layer(dict, a=og.one_of(1, 2, 3, 4)))
    run = og.search(space, train, epochs=1, max_trials=4, executor="inline", run=tmp_path / "run")
    messages: list[str] = []
    result = finalize(run, epochs=3, seeds=(0, 1), recipe={"slope": 2.0}, messages=messages)
    assert [network.rank_after for network in result.finalists] == [None, 1, 2, 3]
    assert "four cannot be trained for long" in result.finalists[0].failures[0]
    assert result.finalists[1].values == {
        "accuracy": [pytest.approx(0.33), pytest.approx(0.3301)],
        "slope": [2.0, 2.0],
    }
    assert not result.new_validation
    assert not result.winner.test
    assert any("only the train function knows its data" in message for message in messages)
    assert any("has no weights under 'model'" in message for message in messages)
    assert not (run.folder / "final" / "weights.pt").exists()
    assert result.probability is None
    assert "was not tested on data by which nothing was chosen" in (run.folder / "final" / "MODEL_CARD.md").read_text()


def test_with_several_objectives_the_front_is_trained_and_selected(tmp_path: Path) -> None:
    space = og.Space(og.layer(dict, a=og.one_of(1, 2, 3), b=og.one_of(1, 2)))

    def evaluate(architecture: og.Architecture) -> dict[str, float]:
        return {"accuracy": architecture["a"], "latency": architecture["a"] ** 2 + architecture["b"]}

    run = og.search(
        space, og.estimate.function(evaluate), objectives=["accuracy", "latency"], max_trials=6, executor="inline",
        run=tmp_path / "run",
    )  # fmt: skip
    result = finalize(run, top=4, epochs=None)
    assert {network.trial for network in result.finalists[:3]} == {trial.id for trial in run.front()}
    assert set(result.winners) == {f"trial {trial.id}" for trial in run.front()}
    assert result.probability is None
    assert "several objectives" in result.probability_note


def test_failed_trainings_are_repeated_on_request(tmp_path: Path) -> None:
    def train(model: nn.Linear, trial: Any) -> None:
        for epoch in trial.epochs():
            if epoch == 2 and model.out_features == 3 and not (tmp_path / "disk is back").exists():
                raise OSError("the disk is away")
            trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=model.out_features / 10)

    space = og.Space(og.layer(nn.Linear, 4, og.one_of(2, 3, name="width")), example_input=(4,))
    run = og.search(space, train, epochs=1, max_trials=2, executor="inline", run=tmp_path / "run")
    messages: list[str] = []
    assert finalize(run, top=2, messages=messages).winner.trial == next(
        t.id for t in run.trials if t.architecture["width"] == 2
    )
    (tmp_path / "disk is back").touch()
    assert finalize(run, top=2, messages=messages).winner.trial == next(
        t.id for t in run.trials if t.architecture["width"] == 2
    )
    assert "2 of 2 trainings are reused; 1 reused training failed: repeat with retry_failed=True" in " ".join(messages)
    result = finalize(run, top=2, messages=messages, retry_failed=True)
    assert "1 of 2 trainings are reused; 1 that failed are repeated" in messages
    assert result.winner.values["accuracy"] == [0.3]
    assert run.model().out_features == 3


def test_notes_name_failed_seeds_and_an_end_by_failures(tmp_path: Path) -> None:
    failing: set[int] = set()  # seeds

    def train(model: nn.Linear, trial: Any) -> None:
        for epoch in trial.epochs():
            if epoch == 2 and trial.seed in failing and model.out_features > 2:
                raise OSError("the disk is away")
            trial.checkpoint(model=model.state_dict())
            trial.report(accuracy=model.out_features / 10)

    space = og.Space(og.layer(nn.Linear, 4, og.one_of(2, 3, 4, 5, name="width")), example_input=(4,))
    run = og.search(space, train, epochs=1, max_trials=4, executor="inline", run=tmp_path / "run")
    failing |= {0, 1, 2}
    with pytest.raises(
        RunError,
        match=r"3 of 4 trainings: the first 3 trials all ended with .*: the disk is away .*failed trials are repeated",
    ):
        finalize(run)
    (note,) = run.stages.warnings
    assert note.startswith("full training was ended by failures, so the winner is not from full training: the first 3")
    assert run.delivery().stage == "search"
    failing -= {0, 2}
    finalize(run, seeds=(0, 1, 2), retry_failed=True)
    assert [note.partition("; ")[0] for note in run.stages.warnings] == [
        f"1 of 3 trainings of {network.name} failed (seed 1: error: OSError: the disk is away), so its values are means "
        "over 2 seeds"
        for network in run.full_training.finalists[:3]
    ]
    assert len(run.delivery().seeds) == 2
