"""Full training of the best beside a baseline: the test split is read once, and what is trained is not trained again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import ogive as og
from ogive.errors import JobError
from ogive.report.comparison import read_comparison
from ogive.run.events import Kind
from ogive.run.journal import Journal


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> og.Run:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    task = og.task.classification("digits", test=500, validation=500, train=100)
    space = og.zoo.chain(channels=(4, 8), depth=(1, 2))
    return og.search(
        space,
        og.estimate.classifier(task, epochs=2),
        objectives="log_loss",
        epochs=2,
        max_trials=3,
        executor="inline",
        run=tmp_path_factory.mktemp("final") / "run",
        cache=False,
    )


def test_full_training_and_its_comparison(run: og.Run) -> None:
    said: list[str] = []
    results = run.finalize(seeds=(0, 1), epochs=3, baseline=og.zoo.baselines.small_cnn, workers=2, say=said.append)
    assert [(r.name, r.seed) for r in results] == [
        (f"trial {run.best.id}", 0),
        (f"trial {run.best.id}", 1),
        ("baseline", 0),
        ("baseline", 1),
    ]
    assert len(said) == 4
    assert run.state.test_reads == 1
    model = run.best.architecture.build()
    model.load_state_dict(torch.load(results[0].weights)["model"])
    images, labels = run.estimator.task.test(lambda split: None)  # type: ignore[attr-defined]
    with torch.no_grad():
        accuracy = (model.eval()(images).argmax(1) == labels).float().mean().item()
    assert accuracy == pytest.approx(results[0].test["accuracy"]), "the stored weights are those that were judged"
    comparison = read_comparison(run.folder)
    assert comparison is not None
    a, b = (results[i].test["accuracy"] - results[i + 2].test["accuracy"] for i in (0, 1))
    assert comparison.differences["accuracy"].mean == pytest.approx((a + b) / 2)

    said.clear()
    again = run.finalize(seeds=(0, 1), epochs=3, baseline=og.zoo.baselines.small_cnn, say=said.append)
    assert [r.test for r in again] == [r.test for r in results]
    assert said == [message for message in said if "has been read before" in message], "nothing is trained again"
    kinds = [event.kind for event in Journal(run.folder / "journal.db").read()]
    assert kinds.count(Kind.TEST_READ) == 2
    assert kinds[-1] is Kind.WARNING
    assert json.loads((run.folder / "final" / "results.json").read_text())[0]["trial"] == run.best.id


def test_full_training_needs_the_built_in_trainer(tmp_path: Path) -> None:
    def judge(architecture: og.Architecture) -> dict[str, float]:
        return {"accuracy": 1.0}

    space = og.Space(og.layer(dict, a=og.one_of(1, 2)))
    run = og.search(space, og.estimate.function(judge), executor="inline", max_trials=2, run=tmp_path / "run")
    with pytest.raises(JobError, match="needs the built-in trainer"):
        run.finalize()
