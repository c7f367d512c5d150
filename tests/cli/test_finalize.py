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
    options = ("--top", "2", "--seeds", "2", "--epochs", "1", "--set", "shift=1")
    result = json.loads(ogive(tmp_path, "finalize", job, *options, "--json"))
    networks = {network["name"]: network for network in result["networks"]}
    assert list(networks)[-1] == "baseline"
    assert len(networks) == 3
    winner, baseline = networks[result["winners"][0]], networks["baseline"]
    output = ogive(tmp_path, "finalize", job, *options)  # trained and tested already
    pairs = zip(winner["test"]["accuracy"], baseline["test"]["accuracy"], strict=True)
    difference = sum(a - b for a, b in pairs) / 2
    assert f"accuracy: {difference:+.3g}, 95% interval [" in output
    assert f"{winner['parameters']:,} in {winner['name']}, 65,834 in baseline" in output
    assert f"{winner['name']} is the best of 2 finalists after full training" in output
    assert "on the test split: accuracy" in output
    assert str(tmp_path) not in output
    page = Path(tmp_path / ogive(tmp_path, "report", job).strip()).read_text()
    assert ">Full training<" in page
    card = (tmp_path / "runs" / "digits" / "final" / "MODEL_CARD.md").read_text()
    assert f"# Model card: {winner['name']} of run digits" in card
    assert "shift 1" in card
    assert "nan" not in card.lower().replace("finance", "")

    model = tmp_path / "model"
    trial = str(winner["trial"])
    ogive(tmp_path, "export", job, "--trial", trial, "--to", "torch", "-o", str(model))
    about = json.loads((model / "architecture.json").read_text())
    assert about["data"]["classes"] == 10
    for name in ("README.md", "predict.py"):
        assert "pixels (0 to 16) divided by 16" in (model / name).read_text()
    import torch
    from safetensors.torch import load_file

    exported = load_file(model / "weights.safetensors")
    delivered = torch.load(tmp_path / "runs" / "digits" / "final" / "weights.pt")["model"]
    assert all(torch.equal(exported[name], delivered[name]) for name in delivered), "the weights of full training"
