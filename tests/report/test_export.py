"""Exports: what is written runs with PyTorch alone, and says where it comes from."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ogive as og
from ogive.errors import RunError, SpaceError
from ogive.report import export_json, export_torch

BLOCKED = """
import sys, runpy
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ogive":
            raise ImportError("ogive is blocked: " + name)
sys.meta_path.insert(0, Blocker())
try:
    import ogive
except ImportError:
    pass
else:
    raise SystemExit("ogive was not blocked")
for i in range(int(sys.argv[2])):
    sys.argv[1:] = [*sys.argv[1:3], f"{sys.argv[1]}/input{i}.pt", f"{sys.argv[1]}/output{i}.pt"]
    program = runpy.run_path(f"{sys.argv[1]}/predict.py")
    program["main"](sys.argv[3:5])
    del sys.argv[3:]
"""


def trained(architecture: og.Architecture) -> nn.Module:
    """A model whose batch norms hold statistics that matter."""
    model: nn.Module = architecture.build(seed=1)
    for _ in range(3):
        model(torch.randn(16, 1, 8, 8) * 3 + 1)
    return model.eval()


def test_exported_model_runs_without_ogive_and_gives_the_same(tmp_path: Path) -> None:
    architecture = og.zoo.chain().sample(np.random.default_rng(4))
    model = trained(architecture)
    written = export_torch(architecture, model.state_dict(), None, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in written)
    batches = [torch.randn(n, 1, 8, 8) for n in (1, 2, 7, 64)]
    for i, batch in enumerate(batches):
        torch.save(batch, tmp_path / f"input{i}.pt")
    command = [sys.executable, "-c", BLOCKED, str(tmp_path), str(len(batches))]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    for i, batch in enumerate(batches):
        with torch.no_grad():
            expected = model(batch)
        torch.testing.assert_close(torch.load(tmp_path / f"output{i}.pt"), expected, atol=1e-6, rtol=0)
    about = json.loads((tmp_path / "architecture.json").read_text())
    assert about["architecture"] == architecture.to_json()
    assert about["inputs"] == [{"shape": ["batch", 1, 8, 8], "dtype": "float32"}]
    fresh = architecture.build()
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))


def test_what_the_user_says_of_the_data_cannot_break_the_program(tmp_path: Path) -> None:
    architecture = og.zoo.chain().sample(np.random.default_rng(4))
    said = 'each of """three""" {channels} \\ 255'
    data = {"data": "mine", "preparation": said, "shape": [1, 8, 8], "classes": 10}
    export_torch(architecture, architecture.build(seed=0).state_dict(), None, tmp_path, data=data)
    program = ast.parse((tmp_path / "predict.py").read_text())
    assert said.replace('"', "'") in (ast.get_docstring(program) or "")
    assert said in (tmp_path / "README.md").read_text()
    assert said in json.loads((tmp_path / "architecture.json").read_text())["usage"]


class Fixed(nn.Module):
    """Computes with its batch size, which torch.export takes for a constant."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y + 1 if x.shape[0] > 3 else y


def test_a_model_of_fixed_batch_is_exported_with_a_note(tmp_path: Path) -> None:
    architecture = og.Space(og.layer(Fixed, og.one_of(2, 3)), example_input=(4,)).sample(np.random.default_rng(0))
    export_torch(architecture, architecture.build(seed=0).state_dict(), None, tmp_path)
    about = json.loads((tmp_path / "architecture.json").read_text())
    assert about["inputs"][0]["shape"] == [1, 4]
    assert "batch is fixed to one" in about["note"]
    assert about["note"] in (tmp_path / "README.md").read_text()


def test_errors_tell_the_remedy(tmp_path: Path) -> None:
    space = og.zoo.chain()
    a = space.architecture({"depth": 2, "channels0": 16, "kernel0": 3, "channels1": 16, "kernel1": 3})
    b = space.architecture({"depth": 2, "channels0": 16, "kernel0": 3, "channels1": 32, "kernel1": 3})
    with pytest.raises(RunError, match=r"do not fit the model of .*channels1=16.*take them from a checkpoint"):
        export_torch(a, b.build().state_dict(), None, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    without_layers = og.Space.from_json(space.to_json()).architecture(a.to_json())
    with pytest.raises(SpaceError, match="holds no layers"):
        export_torch(without_layers, {}, None, tmp_path)


def test_json_tells_where_a_trial_comes_from(tmp_path: Path) -> None:
    space = og.Space(og.layer(dict, a=og.one_of(1, 2), s=og.some_of((1, 2), "x", "y", name="s")))
    estimator = og.estimate.function(lambda a: {"accuracy": a["a"] / 2}, recipe={"f": 1})
    run = og.search(space, estimator, max_trials=3, seed=5, run=tmp_path / "r", executor="inline", cache=False)
    data = json.loads(json.dumps(export_json(run.delivery())))
    assert space.architecture(data["architecture"]).id == data["id"] == run.best.architecture.id
    assert data["metrics"] == {"accuracy": 1.0}
    assert data["provenance"]["recipe"] == {"f": 1}
    assert data["provenance"]["run_seed"] == 5
    assert data["provenance"]["session"]["versions"]["torch"]
