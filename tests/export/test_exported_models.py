"""Exported models run without Ogive and agree with the model; otherwise nothing is exported."""

from __future__ import annotations

import ast
import importlib
import json
import os
import runpy
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import exportable
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch import nn

import ogive as og
from ogive.errors import RunError, SpaceError
from ogive.export import TaskData, export_torch, read_task_data

WITHOUT_OGIVE = """
import sys, runpy
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ogive":
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def predict(folder: Path, *arguments: str) -> str:
    """Return what `python predict.py` prints when neither Ogive nor the module of the networks can be imported."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", WITHOUT_OGIVE, str(folder / "predict.py"), *arguments]
    process = subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def predictor(folder: Path) -> Callable[[Any], dict[str, torch.Tensor]]:
    """Return `predict` of a traced export, which runs in this process and is faster."""
    program = runpy.run_path(str(folder / "predict.py"))
    model = program["load"]()
    return lambda inputs: program["predict"](inputs, model)


def sample_one(factory: Any, example: Any = (4,)) -> og.Architecture:
    space = og.Space(og.layer(factory, og.one_of(2, 3)), example_input=example)
    return space.sample(np.random.default_rng(0))


def read_about(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "architecture.json").read_text())
    return data


def test_an_exported_model_runs_without_ogive_and_has_the_same_outputs(tmp_path: Path) -> None:
    architecture = og.zoo.chain().sample(np.random.default_rng(4))
    model: nn.Module = architecture.build(seed=1)
    for _ in range(3):  # fill the statistics of the batch norms
        model(torch.randn(16, 1, 8, 8) * 3 + 1)
    model.eval()
    messages: list[str] = []
    folder = tmp_path / "new" / "model"
    written = export_torch(architecture, model.state_dict(), folder, say=messages.append)
    assert sorted(folder.iterdir()) == sorted(written)
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]
    batch = torch.randn(7, 1, 8, 8)
    np.save(tmp_path / "input.npy", batch.numpy())
    predict(folder, str(tmp_path / "input.npy"), "--output", str(tmp_path / "output.npz"))
    with torch.no_grad():
        expected = model(batch)
    torch.testing.assert_close(
        torch.from_numpy(np.load(tmp_path / "output.npz")["output"]), expected, atol=1e-6, rtol=0
    )
    data = read_about(folder)
    assert data["architecture"] == architecture.to_json()
    assert (data["form"], data["inputs"]) == (
        "program",
        [{"name": "x", "shape": ["batch", 1, 8, 8], "dtype": "float32"}],
    )
    result = data["verification"]
    assert result["batch_sizes"] == [1, 3]
    assert 0 <= result["mean_difference"] <= result["largest_difference"] < 1e-5
    assert f"largest difference {result['largest_difference']:.2g}" in messages[-1]
    architecture.build().load_state_dict(load_file(folder / "weights.safetensors"))


@pytest.mark.parametrize(("make", "reason"), [(lambda: sample_one(exportable.Meta), "meta"), (None, "data-dependent")])
def test_a_model_that_cannot_be_traced_is_exported_as_weights_and_source(
    make: Callable[[], og.Architecture] | None, reason: str, tmp_path: Path
) -> None:
    architecture = make() if make else exportable.branch().sample(np.random.default_rng(2))
    model = architecture.build(seed=3).eval()
    messages: list[str] = []
    export_torch(architecture, model.state_dict(), tmp_path, say=messages.append)
    assert "cannot be traced" in messages[0]
    assert reason in messages[0]
    assert "weights (weights.safetensors) and the source of its classes" in messages[0]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "architecture.json",
        "build_model.py",
        "example.npz",
        "predict.py",
        "README.md",
        "source",
        "weights.safetensors",
    }
    inputs = torch.arange(8.0).reshape(2, 4)
    np.save(tmp_path / "mine.npy", inputs.numpy())
    printed = json.loads(predict(tmp_path, str(tmp_path / "mine.npy"), "--json"))
    with torch.no_grad():
        output = model(inputs)
    expected = output if isinstance(output, torch.Tensor) else output["y"]
    np.testing.assert_allclose(printed.get("output", printed.get("y")), expected.numpy(), atol=1e-6)
    assert "Disagrees" not in (tmp_path / "source" / "exportable.py").read_text(), "only what the model uses"


def test_random_values_outside_of_the_state_dict_are_the_same_in_the_export(tmp_path: Path) -> None:
    architecture = sample_one(exportable.Unkept)
    model = architecture.build(seed=11)
    export_torch(architecture, model.state_dict(), tmp_path, seed=11)
    assert read_about(tmp_path)["form"] == "source"
    np.save(tmp_path / "mine.npy", np.eye(4, dtype=np.float32))
    printed = json.loads(predict(tmp_path, str(tmp_path / "mine.npy"), "--json"))
    np.testing.assert_allclose(printed["output"], model.projection.numpy(), atol=1e-6)


def test_an_export_that_disagrees_with_the_model_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    good, disagrees, clock = (
        sample_one(exportable.Fixed),
        sample_one(exportable.Disagrees),
        sample_one(exportable.Clock),
    )
    export_torch(good, good.build(seed=0).state_dict(), folder)
    (folder / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(
        RunError, match=r"does not agree with the model: output differs by up to .* nothing was written"
    ):
        export_torch(disagrees, disagrees.build(seed=0).state_dict(), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(RunError, match=r"called twice with the same inputs"):
        export_torch(clock, clock.build(seed=0).state_dict(), tmp_path / "other" / "place")
    assert list(tmp_path.iterdir()) == [folder]
    meta = sample_one(exportable.Meta)  # a verified export replaces all files of the earlier export, and nothing else
    written = export_torch(meta, meta.build(seed=0).state_dict(), folder)
    assert read_about(folder)["form"] == "source"
    assert sorted(folder.iterdir()) == sorted([*written, folder / "notes.txt"])


def test_inputs_may_be_several_token_ids_or_dicts(tmp_path: Path) -> None:
    tokens = torch.tensor([[3, 1, 49], [0, 7, 8]])
    text = sample_one(exportable.Text, {"tokens": tokens, "features": (3,)})
    model = text.build(seed=0).eval()
    export_torch(text, model.state_dict(), tmp_path / "text")
    features = torch.randn(2, 3)
    np.savez(tmp_path / "mine.npz", tokens=tokens.numpy(), features=features.numpy())
    printed = json.loads(predict(tmp_path / "text", str(tmp_path / "mine.npz"), "--json"))
    with torch.no_grad():
        expected = model(tokens, features)
    np.testing.assert_allclose(printed["scores"], expected["scores"].numpy(), atol=1e-5)
    np.testing.assert_allclose(printed["hidden1"], expected["hidden"][1].numpy(), atol=1e-5)
    with pytest.raises(ValueError, match=r"input 'tokens' holds torch\.float32; it must hold int64"):
        predictor(tmp_path / "text")({"tokens": tokens.float(), "features": features})
    assert [(item["name"], item["shape"], item["dtype"]) for item in read_about(tmp_path / "text")["inputs"]] == [
        ("tokens", ["batch", 3], "int64"),
        ("features", ["batch", 3], "float32"),
    ]
    nested = sample_one(exportable.Nested, lambda: {"x": torch.randn(2, 3), "scale": torch.rand(2, 1)})
    export_torch(nested, nested.build(seed=0).state_dict(), tmp_path / "nested")
    assert [item["name"] for item in read_about(tmp_path / "nested")["inputs"]] == ["x", "scale"]
    assert read_about(tmp_path / "nested")["batch"] == "any"


def test_inputs_may_be_declared_with_the_export(tmp_path: Path) -> None:
    architecture = sample_one(exportable.Text, None)
    state = architecture.build(seed=0).state_dict()
    with pytest.raises(RunError, match=r"--input 1,28,28.*inputs=\(1, 28, 28\).*Space\(\.\.\., example_input"):
        export_torch(architecture, state, tmp_path)
    with pytest.raises(RunError, match=r"the model itself fails on inputs of shapes .*\[1, 4\]"):
        export_torch(architecture, state, tmp_path, inputs=["tokens=3:int64", "features=4"])
    for wrong in ("1,x", "3:int7", "0,3", ""):
        with pytest.raises(RunError, match=r"--input: found .*"):
            export_torch(architecture, state, tmp_path, inputs=[wrong])
    assert list(tmp_path.iterdir()) == []
    export_torch(architecture, state, tmp_path, inputs=["tokens=3:int64", "features=3"])
    assert read_about(tmp_path)["inputs"][0] == {"name": "tokens", "shape": ["batch", 3], "dtype": "int64"}


def test_a_model_with_a_fixed_batch_is_exported_with_a_note_and_runs_once_per_example(tmp_path: Path) -> None:
    architecture = sample_one(exportable.Fixed)
    model = architecture.build(seed=0)
    export_torch(architecture, model.state_dict(), tmp_path)
    data = read_about(tmp_path)
    assert data["inputs"][0]["shape"] == [1, 4]
    assert "batch is fixed to one" in data["note"]
    assert data["note"][1:] in (tmp_path / "README.md").read_text()
    inputs = torch.randn(5, 4)
    torch.testing.assert_close(predictor(tmp_path)(inputs)["output"], model.linear(inputs).detach())


def test_raw_digits_have_the_same_probabilities_as_in_the_evaluation(tmp_path: Path) -> None:
    task = og.task.classification("digits")
    architecture = og.zoo.chain().sample(np.random.default_rng(1))
    model = architecture.build(seed=1).eval()
    export_torch(architecture, model.state_dict(), tmp_path, task=read_task_data(og.estimate.classifier(task)))
    raw = load_digits().images[:5]  # [5, 8, 8], from 0 to 16
    with torch.no_grad():
        expected = model(torch.from_numpy(task.data.x[:5])).softmax(-1)
    np.save(tmp_path / "raw.npy", raw)
    printed = json.loads(predict(tmp_path, str(tmp_path / "raw.npy"), "--json"))
    np.testing.assert_allclose(printed["probabilities"], expected.numpy(), atol=1e-6)
    assert printed["classes"] == [str(c) for c in expected.argmax(-1).tolist()]
    run = predictor(tmp_path)
    for shape in ((5, 64), (5, 1, 8, 8), (5, 8, 8, 1)):
        torch.testing.assert_close(run(raw.reshape(shape))["probabilities"], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(run(raw[0])["probabilities"], expected[:1], atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match=r"one example has the shape \[1, 8, 8\]"):
        run(raw[:, :7])
    Image.fromarray((raw[0] * 255 / 16).round().astype(np.uint8)).save(tmp_path / "digit.png")
    image = runpy.run_path(str(tmp_path / "predict.py"))["read_inputs"](str(tmp_path / "digit.png"))
    np.testing.assert_allclose(image, raw[0], atol=0.05)


def test_an_export_with_another_normalization_than_the_task_fails(tmp_path: Path) -> None:
    task = read_task_data(og.estimate.classifier(og.task.classification("digits")))
    assert task is not None
    architecture = og.zoo.chain().sample(np.random.default_rng(1))

    class HalvedRawValues(TaskData):
        def to_raw(self, features: torch.Tensor) -> torch.Tensor:
            return super().to_raw(features) / 2

    wrong_task = HalvedRawValues(description=task.description, features=task.features)
    with pytest.raises(RunError, match="does not agree"):
        export_torch(architecture, architecture.build(seed=0).state_dict(), tmp_path, task=wrong_task)
    assert list(tmp_path.iterdir()) == []


def test_quotes_and_braces_in_the_description_of_the_data_do_not_break_the_program(tmp_path: Path) -> None:
    description = 'each of """three""" {channels} \\ 255'
    x, y = np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32), np.arange(40) % 2
    normalization = og.task.Normalization(maximum=4.0, mean=(0.5,), std=(0.25,))
    data = og.task.from_arrays(x, y, "mine", description, normalization=normalization, class_names=("cat", "dog's"))
    space = og.zoo.chain(classes=2)
    architecture = space.sample(np.random.default_rng(4))
    task = read_task_data(og.estimate.classifier(og.task.classification(data)))
    export_torch(architecture, architecture.build(seed=0).state_dict(), tmp_path, task=task)
    program = ast.parse((tmp_path / "predict.py").read_text())
    assert description.replace('"', "'") in (ast.get_docstring(program) or "")
    assert description in (tmp_path / "README.md").read_text()
    assert description in read_about(tmp_path)["usage"]
    assert "dog's" in predict(tmp_path)


def test_errors_name_a_remedy(tmp_path: Path) -> None:
    space = og.zoo.chain()
    a = space.architecture({"depth": 2, "channels0": 16, "kernel0": 3, "channels1": 16, "kernel1": 3})
    b = space.architecture({"depth": 2, "channels0": 16, "kernel0": 3, "channels1": 32, "kernel1": 3})
    with pytest.raises(RunError, match=r"do not fit the model of .*channels1=16.*take them from a checkpoint"):
        export_torch(a, b.build().state_dict(), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    without_layers = og.Space.from_json(space.to_json()).architecture(a.to_json())
    with pytest.raises(SpaceError, match="holds no layers"):
        export_torch(without_layers, {}, tmp_path)
    local = sample_one(lambda width: exportable.Meta(width))
    with pytest.raises(RunError, match=r"defined inside a function.*define its classes at the top of a module"):
        export_torch(local, local.build(seed=0).state_dict(), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        export_torch(a, a.build().state_dict(), tmp_path / "file")


def test_only_json_is_printed_and_it_contains_complex_numbers_and_infinities(tmp_path: Path) -> None:
    architecture = sample_one(exportable.Talkative)
    model = architecture.build(seed=0)
    torch.nn.init.ones_(model.linear.weight)
    torch.nn.init.zeros_(model.linear.bias)
    export_torch(architecture, model.state_dict(), tmp_path)
    assert read_about(tmp_path)["form"] == "source"
    np.save(tmp_path / "mine.npy", np.ones(4, dtype=np.float32))

    def unknown(constant: str) -> None:
        raise ValueError(constant)

    printed = json.loads(predict(tmp_path, str(tmp_path / "mine.npy"), "--json"), parse_constant=unknown)
    assert printed["complex"][0][0] == [4.0, -8.0]
    assert printed["bounds"][0][0] == ["inf", 0.0]
    assert "given" not in predict(tmp_path)


REGISTRY_FILES = {
    "nets/__init__.py": "",
    "nets/registry.py": """
        KINDS = {}
        def register(name):
            def keep(cls):
                KINDS[name] = cls
                return cls
            return keep
    """,
    "nets/blocks.py": """
        from torch import nn
        from nets.registry import register
        @register("linear")
        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.inner = nn.Linear(4, width)
            def forward(self, x):
                return self.inner(x) if x.sum() > 0 else -self.inner(x)
    """,
    "nets/models.py": """
        from torch import nn
        from nets import blocks
        from nets.registry import KINDS
        SCALES = {}
        SCALES.update({"half": 0.5})
        class Model(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.block = KINDS["linear"](width)
            def forward(self, x):
                return self.block(x) * SCALES["half"]
    """,
}


def test_side_effects_of_imports_work_in_an_exported_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in REGISTRY_FILES.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path / "project"))
    models = importlib.import_module("nets.models")
    architecture = og.Space(og.layer(models.Model, og.one_of(3)), example_input=(4,)).sample(np.random.default_rng(0))
    model = architecture.build(seed=0).eval()
    export_torch(architecture, model.state_dict(), tmp_path / "model")
    assert {path.name for path in (tmp_path / "model" / "source" / "nets").iterdir()} >= {"registry.py", "blocks.py"}


NAMED_LIKE_A_STANDARD_MODULE = {
    "code.py": """
        from torch import nn
        class Block(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.inner = nn.Linear(4, width)
            def forward(self, x):
                return self.inner(x) if x.sum() > 0 else -self.inner(x)
    """,
    "named_nets.py": """
        import code
        from torch import nn
        class Model(nn.Module):
            def __init__(self, width):
                super().__init__()
                self.block = code.Block(width)
            def forward(self, x):
                return self.block(x)
    """,
}


def test_a_module_with_the_name_of_a_standard_module_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in NAMED_LIKE_A_STANDARD_MODULE.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("code")
    monkeypatch.delitem(sys.modules, "code")  # the standard module; monkeypatch restores it
    named_nets = importlib.import_module("named_nets")
    architecture = og.Space(og.layer(named_nets.Model, og.one_of(3)), example_input=(4,)).sample(
        np.random.default_rng(0)
    )
    export_torch(architecture, architecture.build(seed=0).state_dict(), tmp_path / "model")
    assert {path.name for path in (tmp_path / "model" / "source").iterdir()} == {"code.py", "named_nets.py"}
    program = (
        "import code, predict; print(code.__file__ == code.interact.__code__.co_filename); predict.predict([1.0] * 4)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path / "model", check=True
    )
    assert process.stdout == "True\n", "the standard module is used until the model is built"


def test_a_dict_of_inputs_may_contain_a_dict(tmp_path: Path) -> None:
    example = {"batch": {"a": (4,), "b": (4,)}}
    architecture = og.Space(og.layer(exportable.OfBatch, og.one_of(3)), example_input=example).sample(
        np.random.default_rng(0)
    )
    export_torch(architecture, architecture.build(seed=0).state_dict(), tmp_path)
    assert [item["name"] for item in read_about(tmp_path)["inputs"]] == ["batch.a", "batch.b"]
