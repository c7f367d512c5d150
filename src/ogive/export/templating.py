"""The texts of an export: `predict.py`, `build_model.py`, `README.md`, and the messages about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ogive.export import portable
from ogive.export.export_folder import PROGRAM, SOURCE

_LOAD_PROGRAM = '''def load():
    """Return the model as a function of its inputs; the batch is their first dimension."""
    return torch.export.load(HERE / "model.pt2").module()'''

_LOAD_SOURCE = '''def load():
    """Return the model as a function of its inputs; the batch is their first dimension."""
    from safetensors.torch import load_file

    sys.path.insert(0, str(HERE))
    from build_model import build

    model = build()
    model.load_state_dict(load_file(HERE / "weights.safetensors"))
    return model.eval()'''

_BUILDER = '''"""Builds the exported model with untrained weights; `predict.py` loads the trained ones."""

import random
import sys
from pathlib import Path

import numpy

sys.path.insert(0, str(Path(__file__).resolve().parent / "source"))
{forget_modules}
{imports}


def build():
    """Return the model, with untrained weights."""
    states = random.getstate(), numpy.random.get_state()  # layers may draw random numbers while they are built
    random.seed({seed})
    numpy.random.seed({seed}% 2**32)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed({seed})
            return {expression}
    finally:
        random.setstate(states[0])
        numpy.random.set_state(states[1])
'''

_FORGET_MODULES = """
for _name in {names}:  # modules in `source/` with the name of a standard module, which may be loaded already
    for _loaded in [name for name in sys.modules if f"{{name}}.".startswith(f"{{_name}}.")]:
        del sys.modules[_loaded]
"""

_PROGRAM_FILES = """- `model.pt2`: the model with its weights, for inference: `torch.export.load("model.pt2").module()`
- `weights.safetensors`: the weights alone: `safetensors.torch.load_file("weights.safetensors")`
- `predict.py`: a program that loads the model and runs it"""

_SOURCE_FILES = """- `weights.safetensors`: the weights: `safetensors.torch.load_file("weights.safetensors")`
- `build_model.py`: `build()` returns the model; the source of its classes is in `source/`
- `predict.py`: a program that builds the model, loads the weights and runs it

The model is delivered as weights and source, because `torch.export` cannot trace it: {reason}."""


def format_usage(data: Mapping[str, Any] | None) -> str:
    """Return the description of inputs and outputs, from the `data` entry of `architecture.json`."""
    if data is None:
        return "Inputs must be prepared exactly as the train function prepared them in training."
    shape = ", ".join(map(str, ("batch", *data["shape"])))
    examples = f"raw examples of the data set {data['data']!r}, [{shape}]"
    parts = data["normalization"]
    if parts["maximum"] is not None or parts["mean"] or parts["std"]:
        preparation = data["preparation"] or "(raw / maximum - mean) / std"
        preparation = f"`predict.py` prepares them as in training ({preparation})"
    else:
        preparation = data["preparation"] or "prepared exactly as the data that the search used"
    names = f": {', '.join(data['class_names'])}" if data["class_names"] else ""
    scores = f"one score (logit) for each of the classes 0 to {data['classes'] - 1}{names}"
    return f"Inputs: {examples}: {preparation}. Output: [batch, {data['classes']}], {scores}; and the probabilities."


def format_program(about: Mapping[str, Any]) -> str:
    """Return the text of `predict.py`, from the content of `architecture.json`."""
    data = about["data"]
    accepts_images = data is not None and data["normalization"]["maximum"] is not None and len(data["shape"]) == 3
    helpers: list[Callable[..., Any]] = [portable.fill_layout, portable.name_outputs]
    if data:
        helpers += [portable.arrange_examples, portable.normalize]
    return (
        _read_template("predict.py.txt")
        .replace("@images@", "\n    python predict.py image.png               # needs Pillow" if accepts_images else "")
        .replace("@load@", _LOAD_PROGRAM if about["form"] == PROGRAM else _LOAD_SOURCE)
        .replace("@helpers@", "\n\n".join(inspect.getsource(helper) for helper in helpers).rstrip())
        .replace("@usage@", about["usage"].replace("\\", "\\\\").replace('"', "'"))  # inside a docstring
    )


def format_builder(expression: str, imports: Collection[str], stdlib_names: Sequence[str], seed: int) -> str:
    """Return the text of `build_model.py`.

    Args:
        expression: the source of the expression that builds the model.
        imports: the modules to import.
        stdlib_names: the modules of the export that have the name of a standard module.
        seed: the seed for the random values that layers draw.
    """
    return _BUILDER.format(
        forget_modules=_FORGET_MODULES.format(names=list(stdlib_names)) if stdlib_names else "",
        imports="\n".join(f"import {name}" for name in sorted(imports)),
        seed=seed,
        expression=expression.replace("\n", "\n            "),
    )


def format_readme(about: Mapping[str, Any]) -> str:
    """Return the text of `README.md`, from the content of `architecture.json`."""
    is_traced = about["form"] == PROGRAM
    inputs = (f"- `{item['name']}`: {item['dtype']} {item['shape']}" for item in about["inputs"])
    return _read_template("export.md").format(
        id=about["id"],
        torch=about["torch"],
        needs="NumPy" if is_traced else "NumPy, safetensors and the packages that `source/` imports",
        contents=_PROGRAM_FILES if is_traced else _SOURCE_FILES.format(reason=about["not_traced"]),
        usage=about["usage"],
        inputs="\n".join(inputs),
        note="".join(f"\n{_capitalize(note)}\n" for note in _list_notes(about)),
        verification=_capitalize(_format_verification(about["verification"])),
    )


def _list_notes(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reason for a fixed batch size, if it is fixed, and a note for each change of the code since the training."""
    if about["note"]:
        yield about["note"]
    for change in about.get("code", ()):
        yield f"{change} since the network was trained: the metrics in `architecture.json` are those of the earlier code"


def format_messages(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the messages about an export for its user, from the content of `architecture.json`."""
    if about["form"] == SOURCE:
        yield (
            f"the model cannot be traced by torch.export ({about['not_traced']}), so it is delivered as weights "
            "(weights.safetensors) and the source of its classes (build_model.py, source/)"
        )
    if about["note"]:
        yield f"note: {about['note']}"
    yield _format_verification(about["verification"])
    share = about["verification"]["not_finite"]
    if share:
        yield f"warning: {share:.1%} of the outputs were NaN or infinite, both in the model and in the export"


def _format_verification(result: Mapping[str, Any]) -> str:
    """Return a sentence about the result of `verify`."""
    sizes = ", ".join(map(str, result["batch_sizes"]))
    inputs = f"batches of {sizes}" if sizes else "inputs of the example's shapes"
    return (
        f"verified in a fresh process without Ogive, on {inputs}: largest difference "
        f"{result['largest_difference']:.2g}, mean difference {result['mean_difference']:.2g} (allowed: "
        f"{result['tolerance']:g} of the largest output)"
    )


def _capitalize(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _read_template(name: str) -> str:
    return (files("ogive.export") / "templates" / name).read_text(encoding="utf-8")
