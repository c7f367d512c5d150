"""Verify an export: run its `predict.py` in a fresh process without Ogive, and compare the outputs with the model's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ogive.errors import RunError
from ogive.export.model_inputs import ModelCall
from ogive.export.portable import name_outputs
from ogive.export.traced_program import MAX_REASON, get_first_lines

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""For each data type, the allowed difference of an output, as a share of the largest output. If a model has several data
types, the least precise one counts.
"""
SMALLEST_SCALE = 1e-6
"""The lower bound of the largest output in this comparison, so that a difference is also allowed if all outputs are 0."""
SEED = 0
"""The seed of the random inputs."""

_VERIFICATION_PROGRAM = """
import json, runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ogive":
            raise ModuleNotFoundError(f"No module named {name!r}: it is not part of the export", name=name)
paths, program, pairs = json.loads(sys.argv[1])
sys.path += [path for path in paths if path not in sys.path]
sys.meta_path.insert(0, Blocker())
for source, target in pairs:
    sys.argv = [program, source, "--output", target]
    runpy.run_path(program, run_name="__main__")
"""
"""The program of the fresh process. It runs `predict.py` for each pair of files, and blocks imports of Ogive."""


class ExportFails(Exception):
    """The error for an export that does not run in a fresh process. The message gives the reason."""


class ModelFails(RunError):
    """The error for a model that raises an exception on some inputs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs of the model, and its outputs, with which the outputs of the export are compared.

    Attributes:
        batch_size: the number of examples; None if the inputs have no common batch.
        inputs: the inputs of the model, by name.
        raw: the same inputs as the raw values that a user of the export provides, by name.
        outputs: the outputs of the model, by name.
    """

    batch_size: int | None
    inputs: Mapping[str, Tensor]
    raw: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def make_cases(
    make_model: Callable[[], nn.Module],
    call: ModelCall,
    batch: int | str | None,
    to_raw: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
) -> list[Case]:
    """Return the cases to compare an export with. For each case, a new instance of the model computes the outputs.

    Args:
        make_model: a function that returns a new instance of the trained model, in eval mode.
        call: the arguments with which the model is called.
        batch: the batch size that the export accepts: "any", 1, or None for that of the example.
        to_raw: a function that converts inputs of the model to raw values.

    Raises:
        RunError: the model has different outputs for the same inputs, or fails on the example.
    """
    generator = torch.Generator().manual_seed(SEED)
    # Two further cases with random inputs, of different batch sizes if the export allows any.
    sizes = {"any": (1, 3), 1: (1, 1), None: (None, None)}[batch]
    example = call.resize_example(1 if batch == 1 else None)
    cases = [run_model(make_model, call, example, to_raw(example))]
    for size in sizes:
        # Some models fail on random inputs, for example if they need sorted offsets; then the example itself is used.
        for inputs in (call.make_random_inputs(size, generator), call.resize_example(size)):
            try:
                cases.append(run_model(make_model, call, inputs, to_raw(inputs)))
            except ModelFails:
                continue
            break
    return cases


def run_model(
    make_model: Callable[[], nn.Module], call: ModelCall, inputs: Mapping[str, Tensor], raw: Mapping[str, Tensor]
) -> Case:
    """Return the case for `inputs`, with the outputs of a new instance of the model.

    Raises:
        ModelFails: the model raises an exception.
        RunError: the model has different outputs when it is called a second time.
    """
    model = make_model()
    try:
        first, second = (_compute_outputs(model, call, inputs) for _ in range(2))
    except Exception as error:
        shapes = {name: list(tensor.shape) for name, tensor in inputs.items()}
        raise ModelFails(
            f"the model itself fails on inputs of shapes {shapes}: {type(error).__name__}: {get_first_lines(error)}; give "
            "inputs that it accepts: --input, or the example_input of the space as tensors"
        ) from error
    difference = compare(first, second, choose_tolerance(model))
    if difference.message:
        raise RunError(
            "the outputs of the model differ when it is called twice with the same inputs in eval mode "
            f"({difference.message}), so no export can agree with it; forward() must neither draw random numbers "
            "nor keep state"
        )
    sizes = {tensor.shape[0] for tensor in inputs.values() if tensor.ndim}
    batch_size = sizes.pop() if len(sizes) == 1 and call.batch_size else None
    return Case(batch_size=batch_size, inputs=inputs, raw=raw, outputs=first)


def _compute_outputs(model: nn.Module, call: ModelCall, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    args, kwargs = call.make_arguments({name: tensor.clone() for name, tensor in inputs.items()})
    with torch.no_grad():
        outputs = name_outputs(model(*args, **kwargs))
    return {name: tensor.detach().cpu().clone() for name, tensor in outputs.items()}


def choose_tolerance(model: nn.Module) -> float:
    """Return the allowed difference of an output, as a share of the largest output; see `TOLERANCES`."""
    dtypes = {tensor.dtype for tensor in [*model.parameters(), *model.buffers()]} & TOLERANCES.keys()
    return max((TOLERANCES[dtype] for dtype in dtypes), default=TOLERANCES[torch.float32])


@dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """The difference between two sets of outputs.

    Attributes:
        largest: the largest absolute difference. Two NaNs, or two equal infinities, differ by 0.
        total: the sum of the absolute differences.
        count: the number of compared values.
        not_finite: the number of compared values that are NaN or infinite.
        message: a description of the first difference above the tolerance; None if there is none.
    """

    largest: float = 0.0
    total: float = 0.0
    count: int = 0
    not_finite: int = 0
    message: str | None = None


def compare(expected: Mapping[str, Tensor], actual: Mapping[str, Tensor], tolerance: float) -> OutputDifference:
    """Compare outputs by name: shapes and integers exactly, other values up to `tolerance` times the largest output."""
    if list(expected) != list(actual):
        return OutputDifference(message=f"outputs {', '.join(actual)} instead of {', '.join(expected)}")
    parts = [_compare_tensors(name, expected[name], actual[name], tolerance) for name in expected]
    return OutputDifference(
        largest=max((part.largest for part in parts), default=0.0),
        total=sum(part.total for part in parts),
        count=sum(part.count for part in parts),
        not_finite=sum(part.not_finite for part in parts),
        message=next((part.message for part in parts if part.message), None),
    )


def _compare_tensors(name: str, expected: Tensor, actual: Tensor, tolerance: float) -> OutputDifference:
    """Compare one output of both models; the message about a difference calls it `name`."""
    if expected.shape != actual.shape:
        return OutputDifference(message=f"{name} has the shape {list(actual.shape)} instead of {list(expected.shape)}")
    widest_dtype = torch.complex128 if expected.is_complex() else torch.float64
    a, b = expected.to(widest_dtype), actual.to(widest_dtype)
    is_equal = (a == b) | (a.isnan() & b.isnan())
    difference = torch.where(is_equal, torch.zeros_like(a), a - b).abs().nan_to_num(nan=torch.inf).flatten()
    finite = a.abs()[a.isfinite()]
    scale = max(SMALLEST_SCALE, float(finite.max()) if finite.numel() else 0.0)
    is_inexact = expected.is_floating_point() or expected.is_complex()
    largest = float(difference.max()) if difference.numel() else 0.0
    is_too_large = largest > (tolerance * scale if is_inexact else 0.0)
    return OutputDifference(
        largest=largest,
        total=float(difference.sum()),
        count=a.numel(),
        not_finite=a.numel() - finite.numel(),
        message=f"{name} differs by up to {largest:.3g}, where outputs reach {scale:.3g}" if is_too_large else None,
    )


def verify(folder: Path, cases: Sequence[Case], tolerance: float) -> dict[str, Any]:
    """Run the `predict.py` of an export on the cases in a fresh process that cannot import Ogive, and compare outputs.

    Args:
        folder: the folder of the export.
        cases: the result of `make_cases`.
        tolerance: the result of `choose_tolerance`.

    Returns:
        The entry `verification` of `architecture.json`: the batch sizes, the largest and the mean absolute difference, the
        tolerance, the share of outputs that are not finite, and the version of PyTorch.

    Raises:
        ExportFails: the export does not run.
        RunError: the export runs, but its outputs differ from those of the model.
    """
    with tempfile.TemporaryDirectory(prefix="ogive-export-") as name:
        pairs = list(_write_inputs(Path(name), cases))
        _run_program(folder, pairs)
        results = [_read_outputs(target, case.outputs) for (_, target), case in zip(pairs, cases, strict=True)]
    parts = [compare(case.outputs, actual, tolerance) for case, actual in zip(cases, results, strict=True)]
    message = next((part.message for part in parts if part.message), None)
    if message is not None:
        raise RunError(
            f"the exported model does not agree with the model: {message} (allowed: {tolerance:g} of the largest output); "
            "nothing was written. Its forward() depends on something that is not exported, such as the time, a global "
            "variable, or whether it is being traced; change that and export again, the weights still fit"
        )
    count = sum(part.count for part in parts)
    return {
        "batch_sizes": sorted({case.batch_size for case in cases if case.batch_size is not None}),
        "largest_difference": max(part.largest for part in parts),
        "mean_difference": sum(part.total for part in parts) / max(1, count),
        "tolerance": tolerance,
        "not_finite": sum(part.not_finite for part in parts) / max(1, count),
        "torch": torch.__version__,
    }


def _write_inputs(folder: Path, cases: Sequence[Case]) -> Iterator[tuple[str, str]]:
    """Write the raw inputs of each case; yield the paths of its input file and of its output file."""
    for i, case in enumerate(cases):
        write_arrays(folder / f"input{i}.npz", case.raw)
        yield str(folder / f"input{i}.npz"), str(folder / f"output{i}.npz")


def write_arrays(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors, by name, as an `.npz` file. bfloat16, which NumPy does not have, becomes float32."""
    writable = {name: t.float() if t.dtype == torch.bfloat16 else t for name, t in tensors.items()}
    with path.open("wb") as file:
        np.savez(file, **{name: tensor.resolve_conj().numpy() for name, tensor in writable.items()})  # type: ignore[arg-type]


def _run_program(folder: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Run `predict.py` for each pair of files, as `python predict.py INPUT --output OUTPUT`."""
    library_folders = sorted({str(Path(str(module.__file__)).parents[1]) for module in (torch, np)})
    arguments = json.dumps([library_folders, str(folder / "predict.py"), list(pairs)])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-P", "-c", _VERIFICATION_PROGRAM, arguments]
    # The process runs in an empty folder, so that it cannot import the user's modules from the working directory.
    with tempfile.TemporaryDirectory(prefix="ogive-export-") as working_directory:
        process = subprocess.run(
            command,
            cwd=working_directory,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if process.returncode != 0:
        lines = [line.strip() for line in (process.stderr or process.stdout).splitlines() if line.strip()]
        raise ExportFails(lines[-1][:MAX_REASON] if lines else f"its process ended with exit code {process.returncode}")


def _read_outputs(path: str, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Read outputs, by name, without the `probabilities` that `predict.py` has added."""
    with np.load(path) as arrays:
        outputs = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    for name in expected.keys() & outputs.keys():
        if expected[name].dtype == torch.bfloat16:
            outputs[name] = outputs[name].to(torch.bfloat16)
    # The model itself may have an output of this name.
    added = {"probabilities"} - expected.keys()
    return {name: tensor for name, tensor in outputs.items() if name not in added}
