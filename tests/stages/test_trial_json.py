"""Networks as JSON, with their provenance."""

from __future__ import annotations

import json
from pathlib import Path

import ogive as og
from ogive.report import describe_delivery


def test_json_holds_the_provenance_of_a_trial(tmp_path: Path) -> None:
    space = og.Space(og.layer(dict, a=og.one_of(1, 2), s=og.some_of((1, 2), "x", "y", name="s")))
    estimator = og.estimate.function(lambda a: {"accuracy": a["a"] / 2}, recipe={"f": 1})
    run = og.search(space, estimator, max_trials=3, seed=5, run=tmp_path / "r", executor="inline", cache=False)
    data = json.loads(json.dumps(describe_delivery(run.delivery())))
    assert space.architecture(data["architecture"]).id == data["id"] == run.best.architecture.id
    assert data["metrics"] == {"accuracy": 1.0}
    assert data["provenance"]["recipe"] == {"f": 1}
    assert data["provenance"]["run_seed"] == 5
    assert data["provenance"]["session"]["versions"]["torch"]
