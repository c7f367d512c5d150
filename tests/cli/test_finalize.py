"""`ogive finalize` and what follows it: the best trained in full beside the job's baseline, then exported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_first_steps import ogive

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_is_searched_trained_in_full_and_exported(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    job = shutil.copy(EXAMPLES / "digits.yaml", tmp_path)
    ogive(tmp_path, "search", job, "--max-trials", "3", "--no-cache")
    results = json.loads(ogive(tmp_path, "finalize", job, "--seeds", "2", "--epochs", "2", "--json"))
    assert [(r["name"], r["seed"]) for r in results][2:] == [("baseline", 0), ("baseline", 1)]
    assert all(0.1 < r["test"]["accuracy"] <= 1 for r in results)
    said = ogive(tmp_path, "finalize", job, "--seeds", "2", "--epochs", "2")  # trained already; judged again
    accuracy = [r["test"]["accuracy"] for r in results]
    difference = (accuracy[0] - accuracy[2] + accuracy[1] - accuracy[3]) / 2
    assert f"accuracy: {difference:+.3g}, 95 % interval [" in said
    assert f"{results[0]['training']['parameters']:,.0f} in {results[0]['name']}, 65,834 in baseline" in said
    assert str(tmp_path) not in said
    page = Path(tmp_path / ogive(tmp_path, "report", job).strip()).read_text()
    assert "baseline" in page
    model = tmp_path / "model"
    ogive(tmp_path, "export", job, "--to", "torch", "-o", str(model))
    weights = Path(results[0]["weights"])
    about = json.loads((model / "architecture.json").read_text())
    assert about["metrics"]["accuracy"] > 0.1
    assert about["data"]["classes"] == 10
    for name in ("README.md", "predict.py"):
        assert "float32 [batch, 1, 8, 8]: pixels (0 to 16) divided by 16." in (model / name).read_text()
    import torch

    exported, trained = torch.load(model / "weights.pt"), torch.load(tmp_path / weights)["model"]
    assert all(torch.equal(exported[name], trained[name]) for name in trained), "the weights of full training"
