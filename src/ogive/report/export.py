"""What leaves Ogive: an architecture as JSON, and a model that runs with PyTorch alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import MissingExtra, RunError
from ogive.report.delivery import Delivery
from ogive.space import Architecture
from ogive.space.build import example_inputs as inputs_of

if TYPE_CHECKING:
    import torch

BATCH = 2
"""Examples to export with: a batch of one would be taken for a constant."""


def export_json(delivery: Delivery) -> dict[str, Any]:
    """A network as JSON: architecture, the metrics of its weights, and how the stage that left them trained it."""
    trial, training = delivery.trial, delivery.training
    searched, created = delivery.search.created, delivery.state.created
    return {
        "architecture": trial.architecture.to_json(),
        "id": trial.architecture.id,
        "metrics": dict(delivery.metrics),
        "test_metrics": dict(delivery.test),
        "trial": trial.id,
        "stage": delivery.stage,
        "winner": delivery.is_winner,
        "status": training.status.value,
        "step": delivery.step,
        "fidelity": dict(training.fidelity),
        "seed": delivery.seed,
        "seeds": list(delivery.seeds),
        "mean_metrics": dict(delivery.mean),
        "settings": dict(delivery.settings),
        "seconds": training.seconds,
        "provenance": {
            "space": delivery.search.space.fingerprint,
            "fingerprints": dict(created["fingerprints"]),
            "recipe": created["recipe"],
            "estimator": searched["estimator"],
            "strategy": searched["strategy"],
            "schedule": searched["schedule"],
            "epochs": created["epochs"],
            "run_seed": searched["seed"],
            "objectives": [objective.to_json() for objective in delivery.search.objectives],
            "constraints": [asdict(constraint) for constraint in delivery.search.constraints],
            "session": dict(delivery.session),
            "search": {"metrics": dict(trial.metrics), "step": trial.step, "seed": trial.seed},
        },
    }


def export_torch(
    architecture: Architecture,
    state_dict: Mapping[str, torch.Tensor],
    example_inputs: Sequence[torch.Tensor] | None,
    folder: Path,
    description: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a model with its weights and a program that runs it with PyTorch alone, without Ogive.

    `model.pt2` (by `torch.export`, in eval mode, for batches of any size where the model allows that), `weights.pt` (the
    state dict), `architecture.json`, `predict.py` and `README.md`.

    Args:
        architecture: of a space with layers.
        state_dict: of the built model.
        example_inputs: positional inputs, each [batch, ...]; None for those of the space.
        folder: made where it is missing; files of these names are replaced.
        description: more about the model for `architecture.json`, such as what `export_json` gives.
        data: what the model was trained on: `data` (its name), `preparation` (how raw values became features),
            `shape` of an example, `classes`; None where that is not known. All files say what the inputs must be.

    Returns:
        the paths of the files.

    Raises:
        SpaceError: the space holds no layers, or no example input where none is given.
        RunError: the weights do not fit the architecture, or the model cannot be exported.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", "torch", "exporting a model") from None
    model = architecture.build()
    try:
        model.load_state_dict(state_dict)
    except (RuntimeError, TypeError) as error:
        raise RunError(
            f"the weights do not fit the model of {architecture!r}: {_first_lines(error, 3)}; take them from "
            "a checkpoint of this trial, as model.state_dict() gave them; one that was trained with a width or depth "
            "multiplier is smaller, and is trained in full by `ogive finalize`"
        ) from error
    model.eval()
    given = inputs_of(architecture.space.example_input) if example_inputs is None else tuple(example_inputs)
    program, note = _exported(model, tuple(_batch_of(tensor, BATCH) for tensor in given))
    about = {"architecture": architecture.to_json(), "id": architecture.id, **(description or {})}
    shapes = [[1 if note else "batch", *tensor.shape[1:]] for tensor in given]
    dtypes = [str(tensor.dtype).removeprefix("torch.") for tensor in given]
    about["inputs"] = [{"shape": shape, "dtype": dtype} for shape, dtype in zip(shapes, dtypes, strict=True)]
    usage = _usage(data)
    about |= {"data": dict(data) if data else None, "usage": usage, "note": note, "torch": torch.__version__}
    texts = {
        "architecture.json": json.dumps(about, indent=1) + "\n",
        "predict.py": _template("predict.py.txt").replace("@usage@", _in_docstring(usage)),
        "README.md": _template("export.md").format(
            id=architecture.id, torch=torch.__version__, shapes=shapes, usage=usage, note=note
        ),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.export.save(program, folder / "model.pt2")
        torch.save({name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}, folder / "weights.pt")
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"the export to {folder} cannot be written: {error}") from error
    return [folder / name for name in ("model.pt2", "weights.pt", *texts)]


def _usage(data: Mapping[str, Any] | None) -> str:
    """What the inputs must be, and what the outputs are."""
    if data is None:
        return "Inputs must be prepared exactly as the train function prepared them in training."
    shape = ", ".join(map(str, ("batch", *data["shape"])))
    examples = f"of the data set {data['data']!r}, float32 [{shape}]"
    prepared = data["preparation"] or "prepared exactly as the data that the search was given"
    scores = f"one score (logit) for each of the classes 0 to {data['classes'] - 1}"
    return f"Inputs: examples {examples}: {prepared}. Output: [batch, {data['classes']}], {scores}."


def _in_docstring(text: str) -> str:
    """`text` as it may stand between triple quotes."""
    return text.replace("\\", "\\\\").replace('"', "'")


def _template(name: str) -> str:
    return (files("ogive.report") / "templates" / name).read_text(encoding="utf-8")


def _exported(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.export.ExportedProgram, str]:
    """The exported program, and why its batch is fixed to one; "" where it may have any size."""
    import torch

    batch = torch.export.Dim("batch", min=1)
    try:
        return torch.export.export(model, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs)), ""
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:  # such as: it computes with the batch size
        why = f"the batch is fixed to one example, for with any other: {type(error).__name__}: {_first_lines(error)}"
    try:
        return torch.export.export(model, tuple(_batch_of(tensor, 1) for tensor in inputs)), why
    except Exception as error:
        raise RunError(
            f"the model cannot be exported by torch.export: {type(error).__name__}: {_first_lines(error)}; mend its "
            "forward(), or take the weights from the trial's checkpoint"
        ) from error


def _batch_of(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """The first example [1, ...] repeated: [size, ...]."""
    return tensor[:1].repeat_interleave(size, dim=0)


def _first_lines(error: Exception, lines: int = 1) -> str:
    return " ".join(line.strip() for line in str(error).strip().splitlines()[:lines])[:400]
