"""The texts of an export: `predict.py`, `build_model.py`, `README.md`, and what is told of it."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ogive.export import portable

_LOAD = '''def load():
    """The model as a function of its inputs; the batch is their first dimension."""
    return torch.export.load(HERE / "model.pt2").module()'''

_LOAD_SOURCE = '''def load():
    """The model as a function of its inputs; the batch is their first dimension."""
    from safetensors.torch import load_file

    sys.path.insert(0, str(HERE))
    from build_model import build

    model = build()
    model.load_state_dict(load_file(HERE / "weights.safetensors"))
    return model.eval()'''

_BUILDER = '''"""Builds the exported model, with untrained weights; `predict.py` loads the trained ones."""

import random
import sys
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parent / "source"))
{hiding}
{imports}


def build():
    """The model."""
    states = random.getstate(), numpy.random.get_state()  # layers may draw numbers while they are built
    random.seed({seed})
    numpy.random.seed({seed} % 2**32)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed({seed})
            return {built}
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
'''

_HIDING = """
for _name in {names}:  # in `source/`, and named as one of Python's, which may be loaded already
    for _loaded in [name for name in sys.modules if f"{{name}}.".startswith(f"{{_name}}.")]:
        del sys.modules[_loaded]
"""

_PROGRAM_FILES = """- `model.pt2`: the model with its weights, for inference: `torch.export.load("model.pt2").module()`
- `weights.safetensors`: the weights alone: `safetensors.torch.load_file("weights.safetensors")`
- `predict.py`: a program that loads the model and runs it"""

_SOURCE_FILES = """- `weights.safetensors`: the weights: `safetensors.torch.load_file("weights.safetensors")`
- `build_model.py`: `build()` makes the model; the source of its classes is in `source/`
- `predict.py`: a program that builds the model, loads the weights and runs it

It is delivered as weights and source, because `torch.export` cannot trace it: {why}."""


def usage(data: Mapping[str, Any] | None) -> str:
    """What the inputs must be, and what the outputs are."""
    if data is None:
        return "Inputs must be prepared exactly as the train function prepared them in training."
    shape = ", ".join(map(str, ("batch", *data["shape"])))
    examples = f"raw examples of the data set {data['data']!r}, [{shape}]"
    parts = data["normalization"]
    if parts["maximum"] is not None or parts["mean"] or parts["std"]:
        prepared = (
            f"`predict.py` prepares them as the training did ({data['preparation'] or '(raw / maximum - mean) / std'})"
        )
    else:
        prepared = data["preparation"] or "prepared exactly as the data that the search was given"
    names = f": {', '.join(data['class_names'])}" if data["class_names"] else ""
    scores = f"one score (logit) for each of the classes 0 to {data['classes'] - 1}{names}"
    return f"Inputs: {examples}: {prepared}. Output: [batch, {data['classes']}], {scores}; and the probabilities."


def program(about: Mapping[str, Any]) -> str:
    """The text of `predict.py`."""
    data = about["data"]
    images = data is not None and data["normalization"]["maximum"] is not None and len(data["shape"]) == 3
    helpers = (portable.fill, portable.named, *((portable.arranged, portable.normalized) if data else ()))
    return (
        _template("predict.py.txt")
        .replace("@images@", "\n    python predict.py image.png               # with Pillow" if images else "")
        .replace("@load@", _LOAD if about["form"] == "program" else _LOAD_SOURCE)
        .replace("@helpers@", "\n\n".join(inspect.getsource(helper) for helper in helpers).rstrip())
        .replace("@usage@", about["usage"].replace("\\", "\\\\").replace('"', "'"))  # between triple quotes
    )


def builder(built: str, imports: Collection[str], hiding: Sequence[str], seed: int) -> str:
    """The text of `build_model.py`: `built` is the expression that makes the model, `hiding` names of `Sources.hiding`."""
    lines = "\n".join(f"import {name}" for name in sorted(imports))
    forget = _HIDING.format(names=list(hiding)) if hiding else ""
    return _BUILDER.format(hiding=forget, imports=lines, seed=seed, built=built.replace("\n", "\n            "))


def readme(about: Mapping[str, Any]) -> str:
    """The text of `README.md`."""
    traced = about["form"] == "program"
    inputs = (f"- `{item['name']}`: {item['dtype']} {item['shape']}" for item in about["inputs"])
    return _template("export.md").format(
        id=about["id"],
        torch=about["torch"],
        needs="; NumPy is" if traced else "; NumPy, safetensors and the packages that `source/` imports are",
        contents=_PROGRAM_FILES if traced else _SOURCE_FILES.format(why=about["not_traced"]),
        usage=about["usage"],
        inputs="\n".join(inputs),
        note="".join(f"\n{_sentence(note)}\n" for note in _notes(about)),
        verification=_sentence(_verification(about["verification"])),
    )


def _notes(about: Mapping[str, Any]) -> Iterator[str]:
    if about["note"]:
        yield about["note"]
    for change in about.get("code", ()):
        yield f"{change} since the network was trained: the metrics in `architecture.json` are of the former code"


def messages(about: Mapping[str, Any]) -> Iterator[str]:
    """What the user is told of an export."""
    if about["form"] == "source":
        yield (
            f"the model cannot be traced by torch.export ({about['not_traced']}), so it is delivered as weights "
            "(weights.safetensors) and the source of its classes (build_model.py, source/)"
        )
    if about["note"]:
        yield f"note: {about['note']}"
    yield _verification(about["verification"])
    share = about["verification"]["not_finite"]
    if share:
        yield f"warning: {share:.1%} of the model's outputs were NaN or infinite, in the model and in the export alike"


def _verification(result: Mapping[str, Any]) -> str:
    sizes = ", ".join(map(str, result["batch_sizes"]))
    on = f"batches of {sizes}" if sizes else "inputs of the example's shapes"
    return (
        f"verified in a fresh process without Ogive, on {on}: largest difference "
        f"{result['largest_difference']:.2g}, mean difference {result['mean_difference']:.2g} (allowed: "
        f"{result['tolerance']:g} of the largest output)"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _template(name: str) -> str:
    return (files("ogive.export") / "templates" / name).read_text(encoding="utf-8")
