"""Export a trained model into a folder that runs without Ogive: as a traced program, or as weights and source code."""

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
from ogive.export.class_source import SourceCollector
from ogive.export.export_folder import ABOUT, PROGRAM, SOURCE, create_draft, move_into
from ogive.export.model_inputs import ModelCall, describe_inputs, make_call, resolve_inputs
from ogive.export.task_record import TaskData
from ogive.export.traced_program import get_first_lines, trace
from ogive.export.verification import ExportFails, choose_tolerance, make_cases, run_model, verify, write_arrays
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
    """Write a model with its weights into a folder that can be used with PyTorch and without Ogive, and verify it.

    The model is written as `model.pt2` (by `torch.export`, in eval mode, for batches of any size if the model allows it).
    If it cannot be traced, it is written as `build_model.py` and `source/`: the calls that build it, and the source of its
    classes. The folder also contains `weights.safetensors` (the state dict), `architecture.json`, `example.npz`,
    `predict.py` and `README.md`. For the verification, `predict.py` is run in a fresh process that cannot import Ogive, and
    its outputs are compared with those of the model.

    Args:
        architecture: the architecture; its space must have layers.
        state_dict: the state dict of the built model.
        folder: the folder, which is created if it does not exist. An earlier export in it is replaced once the new one is
            verified. Other files stay. A file of the user with the name of an exported file is an error.
        inputs: example inputs in the form of `Space(example_input=...)`. A text such as "16:int64" or "tokens=16:int64"
            gives a shape and a data type. None for examples of the task, or the example input of the space.
        description: further entries of `architecture.json`, such as the result of `describe_delivery`.
        task: the data that the model was trained on, so that the export accepts raw values and names the classes; None if
            it is unknown.
        seed: the seed with which the model was built. Layers may draw values with it that are not in the state dict.
        say: a function that is called with each message: the form of the export, the difference of its outputs, warnings.

    Returns:
        The paths of the exported files.

    Raises:
        SpaceError: the space has no layers.
        RunError: the weights do not fit, the inputs are unknown, the model cannot be exported, or the export does not agree
            with the model. The folder is then unchanged.
    """
    export = _prepare_export(architecture, state_dict, inputs, task=task, seed=seed)
    try:
        with create_draft(folder) as draft_folder:
            about = _write_export(export, draft_folder, dict(description or {}))
            paths = move_into(draft_folder, folder)
    except OSError as error:
        raise RunError(f"the export to {folder} cannot be written: {error}; choose another folder with -o") from error
    for message in templating.format_messages(about):
        say(message)
    return paths


@dataclass(frozen=True, kw_only=True)
class _Export:
    """A model to export.

    Attributes:
        architecture: the architecture of the model.
        make_model: a function that returns a new instance of the trained model, in eval mode.
        call: the arguments with which the model is called.
        task: the data that the model was trained on; None if it is unknown.
        seed: the seed with which the model was built.
    """

    architecture: Architecture
    make_model: Callable[[], nn.Module]
    call: ModelCall
    task: TaskData | None
    seed: int

    def to_raw(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Convert inputs of the model to the raw values that a user of the export provides; unchanged without a task."""
        return {name: self.task.to_raw(t) if self.task is not None else t for name, t in tensors.items()}


def _prepare_export(
    architecture: Architecture,
    state_dict: Mapping[str, torch.Tensor],
    inputs: Any,
    *,
    task: TaskData | None,
    seed: int,
) -> _Export:
    """Check that the weights fit and that the model runs on its inputs, and return the model to export.

    Raises:
        RunError: the weights do not fit, the inputs are unknown, or the model fails on them.
    """

    def make_model() -> nn.Module:
        model = architecture.build(seed)
        if not isinstance(model, nn.Module):
            raise RunError(f"the space builds a {type(model).__name__}, and only an nn.Module can be exported")
        try:
            model.load_state_dict(state_dict)
        except (RuntimeError, TypeError) as error:
            raise RunError(
                f"the weights do not fit the model of {architecture!r}: {get_first_lines(error, 3)}; take them from "
                "a checkpoint of this trial, as model.state_dict() returned them. A model that was trained with a factor "
                "for width or depth is smaller; `ogive finalize` trains it in full"
            ) from error
        return model.eval()

    model = make_model()
    examples = (task.features,) if task is not None and inputs is None else resolve_inputs(architecture.space, inputs)
    call = make_call(model, examples)
    # The result is not needed: errors of the model itself are reported before those of the export.
    run_model(make_model, call, call.example, {})
    return _Export(architecture=architecture, make_model=make_model, call=call, task=task, seed=seed)


def _write_export(export: _Export, draft_folder: Path, description: dict[str, Any]) -> Mapping[str, Any]:
    """Write and verify the export: as a traced program if possible, else as source. Return its `architecture.json`."""
    try:
        program, batch, note = trace(export.make_model(), export.call)
        torch.export.save(program, draft_folder / "model.pt2")
        del program  # to free memory before the verification
        return _complete_and_verify(
            export, draft_folder, {**description, "form": PROGRAM, "batch": batch, "note": note}
        )
    except (OSError, RunError):
        raise
    except ExportFails as error:
        reason = f"the traced program does not run: {error}"
    except Exception as error:  # noqa: BLE001 - tracing runs the model's own code, which may raise anything
        reason = f"{type(error).__name__}: {get_first_lines(error)}"
    about = {**description, "form": SOURCE, "not_traced": reason}
    problem = f"the model can neither be traced by torch.export ({reason}) nor be delivered as weights and source"
    try:
        return _write_as_source(export, draft_folder, about, whole_modules=False)
    except architecture_source.UnwritableArgument as error:
        raise RunError(f"{problem}: {error}; nothing was written") from error
    except (ExportFails, RunError):
        pass  # the next attempt follows
    # The model may depend on side effects of importing a module, so try again with whole modules.
    try:
        return _write_as_source(export, draft_folder, about, whole_modules=True)
    except (ExportFails, RunError) as error:
        raise RunError(
            f"{problem} ({error}); nothing was written. Change its forward() so that torch.export can trace it, or define "
            "its classes at the top of a module that does not need Ogive; the weights still fit"
        ) from error


def _write_as_source(
    export: _Export, draft_folder: Path, about: dict[str, Any], whole_modules: bool
) -> Mapping[str, Any]:
    """Write and verify the export as weights and source: whole modules, or only the definitions that the model needs."""
    for path in draft_folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _write_source(export, draft_folder, whole_modules)
    batch, note = _find_accepted_batch(export)
    return _complete_and_verify(export, draft_folder, {**about, "batch": batch, "note": note})


def _write_source(export: _Export, draft_folder: Path, whole_modules: bool) -> None:
    """Write `build_model.py`, which builds the model, and `source/` with its classes."""
    tree = export.architecture.space.tree
    assert tree is not None  # the model has been built
    sources = SourceCollector(whole_modules)
    expression = architecture_source.format_expression(tree, export.architecture, sources.refer)
    builder = templating.format_builder(expression, sources.imports, sources.stdlib_names, export.seed)
    (draft_folder / "build_model.py").write_text(builder, encoding="utf-8")
    for name, text in sources.iterate_files():
        path = draft_folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _find_accepted_batch(export: _Export) -> tuple[int | str | None, str | None]:
    """Return the batch size that the untraced model accepts, and the reason if it is not "any".

    The size is "any", 1, or None for that of the example: there is no common batch, or the model accepts no batch of 1.
    """
    if export.call.batch_size is None:
        return None, "the shapes of the inputs are fixed, because their first dimensions differ"
    for size in (1, 3):
        args, kwargs = export.call.make_arguments(export.call.resize_example(size))
        try:
            with torch.no_grad():
                export.make_model()(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the model's own code
            fixed_batch = None if size == 1 else 1
            return fixed_batch, f"the batch is fixed; with {size}: {type(error).__name__}: {get_first_lines(error)}"
    return "any", None


def _complete_and_verify(export: _Export, draft_folder: Path, about: dict[str, Any]) -> Mapping[str, Any]:
    """Write all other files, verify the export, and return its `architecture.json` with the result."""
    model, call, batch = export.make_model(), export.call, about["batch"]
    _save_weights(model, draft_folder / "weights.safetensors", must_be_complete=about["form"] == SOURCE)
    cases = make_cases(export.make_model, call, batch, export.to_raw)
    write_arrays(draft_folder / "example.npz", cases[0].raw)
    data = dict(export.task.description) if export.task is not None else None
    about = {
        "architecture": export.architecture.to_json(),
        "id": export.architecture.id,
        **about,
        "inputs": list(describe_inputs(call, "batch" if batch == "any" else batch)),
        "call": call.layout,
        "outputs": list(cases[0].outputs),
        "data": data,
        "usage": templating.format_usage(data),
        "torch": torch.__version__,
    }
    (draft_folder / "predict.py").write_text(templating.format_program(about), encoding="utf-8")
    _write_about(draft_folder, about)  # `predict.py` reads it during the verification
    about["verification"] = verify(draft_folder, cases, choose_tolerance(model))
    _write_about(draft_folder, about)
    (draft_folder / "README.md").write_text(templating.format_readme(about), encoding="utf-8")
    # safetensors creates a file that only its owner can read; give it the usual permissions.
    shutil.copymode(draft_folder / "README.md", draft_folder / "weights.safetensors")
    return about


def _write_about(draft_folder: Path, about: Mapping[str, Any]) -> None:
    (draft_folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _save_weights(model: nn.Module, path: Path, must_be_complete: bool) -> None:
    """Write the tensors of the state dict as safetensors. Tensors that share memory are written separately.

    Raises:
        RunError: the file cannot be written, or the state dict has other entries than tensors and `must_be_complete`.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError:
        raise MissingExtra("safetensors", "torch", "exporting a model") from None
    state = model.state_dict()
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in state.items() if isinstance(t, torch.Tensor)}
    other_entries = sorted(state.keys() - tensors.keys())
    if other_entries and must_be_complete:
        raise RunError(f"the state dict of the model contains entries that are not tensors: {', '.join(other_entries)}")
    try:
        save_file(tensors, path, {"format": "pt"})
    except SafetensorError as error:
        raise RunError(f"the weights cannot be written: {error}; check the free space on the disk") from error
