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
    page = Path(tmp_path / ogive(tmp_path, "report", job).strip()).read_text()
    assert "baseline" in page
    model = tmp_path / "model"
    ogive(tmp_path, "export", job, "--to", "torch", "-o", str(model))
    weights = Path(results[0]["weights"])
    import torch

    exported, trained = torch.load(model / "weights.pt"), torch.load(tmp_path / weights)["model"]
    assert all(torch.equal(exported[name], trained[name]) for name in trained), "the weights of full training"
