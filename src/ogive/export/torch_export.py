"""A trained model as a folder that runs without Ogive: traced, or as weights and the source of its classes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ogive.errors import MissingExtra, RunError
from ogive.export import architecture_source, templating
from ogive.export.class_source import Sources
from ogive.export.export_folder import PROGRAM, SOURCE, draft, move_into
from ogive.export.model_inputs import Call, call_of, described, resolve
from ogive.export.task_record import TaskData
from ogive.export.traced_program import first_lines, traced
from ogive.export.verification import Unloadable, precision, reference, run_model, verify, write_arrays
from ogive.space import Architecture


def export_torch(
    architecture: Architecture,
    state_dict: Mapping[str, torch.Tensor],
    folder: Path,
    *,
    inputs: Any = None,
    description: Mapping[str, Any] | None = None,
    task: TaskData | None = None,
    seed: int = 0,
    say: Callable[[str], object] = lambda message: None,
) -> list[Path]:
    """Write a model with its weights into a folder that runs with PyTorch and without Ogive, and verify that it does.

    `model.pt2` (by `torch.export`, in eval mode, for batches of any size where the model allows that), or, where the model
    cannot be traced, `build_model.py` and `source/` (the calls that build it, and the source of its classes);
    `weights.safetensors` (the state dict), `architecture.json`, `example.npz`, `predict.py` and `README.md`.
    `predict.py` is then run in a fresh process that cannot import Ogive, and its outputs are compared with the model's.

    Args:
        architecture: of a space with layers.
        state_dict: of the built model.
        folder: made where it is missing; an earlier export in it is replaced, once the new one is verified. What else it
            holds stays; a file of yours under the name of one of the export's is an error.
        inputs: example inputs, as for `Space(example_input=...)`; texts such as "16:int64" or "tokens=16:int64" stand for a
            shape and a data type. None for examples of the task, or those of the space.
        description: more about the model for `architecture.json`, such as what `export_json` gives.
        task: what the model was trained on, so that it takes raw values and names classes; None where that is not known.
        seed: the model was built with, for what it draws and does not keep in its state dict.
        say: called with messages: the form of the export, how far its outputs differ, warnings.

    Returns:
        the paths of the files.

    Raises:
        SpaceError: the space holds no layers.
        RunError: the weights do not fit, no inputs are known, the model cannot be exported, or the export does not agree
            with it; the folder is then as it was.
    """
    export = _prepare(architecture, state_dict, inputs, task, seed)
    try:
        with draft(folder) as place:
            about = _written(export, place, dict(description or {}))
            paths = move_into(place, folder)
    except OSError as error:
        raise RunError(f"the export to {folder} cannot be written: {error}; choose another folder with -o") from error
    for message in templating.messages(about):
        say(message)
    return paths


@dataclass(frozen=True, kw_only=True)
class _Export:
    """What is exported: the trained model, made afresh by each `make()`, and how it is called."""

    architecture: Architecture
    make: Callable[[], nn.Module]
    call: Call
    task: TaskData | None
    seed: int

    def raw(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Inputs of the model as the user of the export gives them."""
        return {name: self.task.raw(t) if self.task is not None else t for name, t in tensors.items()}


def _prepare(
    architecture: Architecture, state_dict: Mapping[str, torch.Tensor], inputs: Any, task: TaskData | None, seed: int
) -> _Export:
    def make() -> nn.Module:
        model = architecture.build(seed)
        if not isinstance(model, nn.Module):
            raise RunError(f"the space builds a {type(model).__name__}, and only an nn.Module can be exported")
        try:
            model.load_state_dict(state_dict)
        except (RuntimeError, TypeError) as error:
            raise RunError(
                f"the weights do not fit the model of {architecture!r}: {first_lines(error, 3)}; take them from "
                "a checkpoint of this trial, as model.state_dict() gave them; one that was trained with a width or depth "
                "multiplier is smaller, and is trained in full by `ogive finalize`"
            ) from error
        return model.eval()

    model = make()
    examples = (task.features,) if task is not None and inputs is None else resolve(architecture.space, inputs)
    call = call_of(model, examples)
    run_model(make, call, call.example, {})  # what the model itself cannot do is told before anything else
    return _Export(architecture=architecture, make=make, call=call, task=task, seed=seed)


def _written(export: _Export, place: Path, description: dict[str, Any]) -> Mapping[str, Any]:
    """Write and verify the export in `place`, traced or else as source; return what `architecture.json` says."""
    try:
        program, batch, note = traced(export.make(), export.call)
        torch.export.save(program, place / "model.pt2")
        del program
        return _verified(export, place, {**description, "form": PROGRAM, "batch": batch, "note": note})
    except (OSError, RunError):
        raise
    except Unloadable as error:
        why = f"the traced program does not run: {error}"
    except Exception as error:  # noqa: BLE001 - tracing runs the model's own code, which may raise anything
        why = f"{type(error).__name__}: {first_lines(error)}"
    about = {**description, "form": SOURCE, "not_traced": why}
    try:
        return _as_source(export, place, about, whole=False)
    except architecture_source.UnwritableArgument as error:
        raise RunError(
            f"the model can neither be traced by torch.export ({why}) nor be delivered as weights and source: {error}; "
            "nothing was written"
        ) from error
    except (Unloadable, RunError):  # perhaps it needs what a module does when it is imported
        try:
            return _as_source(export, place, about, whole=True)
        except (Unloadable, RunError) as error:
            raise RunError(
                f"the model can neither be traced by torch.export ({why}) nor be delivered as weights and source ({error}); "
                "nothing was written. Change its forward() so that torch.export can trace it, or define its classes at the "
                "top of a module that does not need Ogive; the weights still fit"
            ) from error


def _as_source(export: _Export, place: Path, about: dict[str, Any], whole: bool) -> Mapping[str, Any]:
    """Write and verify the export as weights and source: the definitions that it needs, or `whole` modules."""
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _write_source(export, place, whole)
    batch, note = _batch(export)
    return _verified(export, place, {**about, "batch": batch, "note": note})


def _write_source(export: _Export, place: Path, whole: bool) -> None:
    """`build_model.py`, which builds the model, and `source/` with its classes."""
    tree = export.architecture.space.tree
    assert tree is not None  # else it could not be built
    sources = Sources(whole)
    built = architecture_source.expression(tree, export.architecture, sources.refer)
    text = templating.builder(built, sources.imports, sources.hiding, export.seed)
    (place / "build_model.py").write_text(text, encoding="utf-8")
    for name, text in sources.files():
        path = place / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _batch(export: _Export) -> tuple[int | str | None, str | None]:
    """The batch that the model itself takes, and why it is not "any"."""
    if export.call.batch is None:
        return None, "the shapes of the inputs are fixed, since their first dimensions differ"
    for size in (1, 3):
        args, kwargs = export.call.arguments(export.call.sized(size))
        try:
            with torch.no_grad():
                export.make()(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the model's own code
            fixed = None if size == 1 else 1
            return fixed, f"the batch is fixed, for with {size}: {type(error).__name__}: {first_lines(error)}"
    return "any", None


def _verified(export: _Export, place: Path, about: dict[str, Any]) -> Mapping[str, Any]:
    """Complete the folder, verify it, and add the result to `architecture.json` and `README.md`."""
    model, call, batch = export.make(), export.call, about["batch"]
    _save_weights(model, place / "weights.safetensors", complete=about["form"] == SOURCE)
    cases = reference(export.make, call, batch, export.raw)
    write_arrays(place / "example.npz", cases[0].raw)
    data = dict(export.task.description) if export.task is not None else None
    about = {
        "architecture": export.architecture.to_json(),
        "id": export.architecture.id,
        **about,
        "inputs": list(described(call, {"any": "batch"}.get(batch, batch))),
        "call": call.layout,
        "outputs": list(cases[0].outputs),
        "data": data,
        "usage": templating.usage(data),
        "torch": torch.__version__,
    }
    (place / "predict.py").write_text(templating.program(about), encoding="utf-8")
    _write_about(place, about)
    about["verification"] = verify(place, cases, precision(model))
    _write_about(place, about)
    (place / "README.md").write_text(templating.readme(about), encoding="utf-8")
    shutil.copymode(place / "README.md", place / "weights.safetensors")  # which safetensors makes private
    return about


def _write_about(place: Path, about: Mapping[str, Any]) -> None:
    (place / "architecture.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _save_weights(model: nn.Module, path: Path, complete: bool) -> None:
    """The state dict as safetensors, each tensor with memory of its own.

    Raises:
        RunError: it must be `complete`, and holds more than tensors.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError:
        raise MissingExtra("safetensors", "torch", "exporting a model") from None
    state = model.state_dict()
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in state.items() if isinstance(t, torch.Tensor)}
    others = sorted(state.keys() - tensors.keys())
    if others and complete:
        raise RunError(f"its state dict holds more than tensors: {', '.join(others)}")
    try:
        save_file(tensors, path, {"format": "pt"})
    except SafetensorError as error:
        raise RunError(f"the weights cannot be written: {error}; check the space on the disk") from error
