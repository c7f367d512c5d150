"""The check of an export: its `predict.py` runs in a fresh process without Ogive and must agree with the model."""

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
from ogive.export.model_inputs import Call
from ogive.export.portable import named
from ogive.export.traced_program import first_lines

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far outputs may differ, as a share of the largest output: by the least precise data type of the model."""
SMALLEST = 1e-6
"""The largest output counts as at least this."""
SEED = 0

_RUN = """
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


class Unloadable(Exception):
    """The export does not run by itself; the message says why."""


class ModelFails(RunError):
    """The model raises on inputs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs to compare with: as the model takes them, and as the user of the export gives them; outputs by name."""

    batch: int | None
    inputs: Mapping[str, Tensor]
    raw: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]


def reference(
    make: Callable[[], nn.Module],
    call: Call,
    batch: int | str | None,
    raw: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
) -> list[Case]:
    """The cases to compare with, and what the model gives for them, each in a model of its own.

    Args:
        make: makes the trained model in eval mode.
        call: how it is called.
        batch: "any", 1 or None, as `traced` gives it.
        raw: the raw values of inputs.

    Raises:
        RunError: the model gives other outputs for the same inputs, or fails on the example.
    """
    generator = torch.Generator().manual_seed(SEED)
    sizes = {"any": (1, 3), 1: (1, 1), None: (None, None)}[batch]
    example = call.sized(1 if batch == 1 else None)
    cases = [run_model(make, call, example, raw(example))]
    for size in sizes:
        for inputs in (call.random(size, generator), call.sized(size)):
            try:
                cases.append(run_model(make, call, inputs, raw(inputs)))
            except ModelFails:  # not every tensor of its shape and values is an input, such as sorted offsets
                continue
            break
    return cases


def run_model(
    make: Callable[[], nn.Module], call: Call, inputs: Mapping[str, Tensor], raw: Mapping[str, Tensor]
) -> Case:
    """What the model gives for `inputs`, as a case to compare with.

    Raises:
        ModelFails: it raises.
        RunError: it gives other outputs when it is called again.
    """
    model = make()
    try:
        first, second = (_outputs(model, call, inputs) for _ in range(2))
    except Exception as error:
        shapes = {name: list(tensor.shape) for name, tensor in inputs.items()}
        raise ModelFails(
            f"the model itself fails on inputs of shapes {shapes}: {type(error).__name__}: {first_lines(error)}; give "
            "inputs that it takes: --input, or the space's example_input as tensors"
        ) from error
    difference = compare(first, second, precision(model))
    if difference.message:
        raise RunError(
            "the model gives other outputs when it is called twice with the same inputs in eval mode "
            f"({difference.message}), so no export can agree with it; let forward() neither draw random numbers "
            "nor keep state"
        )
    sizes = {tensor.shape[0] for tensor in inputs.values() if tensor.ndim}
    return Case(batch=sizes.pop() if len(sizes) == 1 and call.batch else None, inputs=inputs, raw=raw, outputs=first)


def _outputs(model: nn.Module, call: Call, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    args, kwargs = call.arguments({name: tensor.clone() for name, tensor in inputs.items()})
    with torch.no_grad():
        output = named(model(*args, **kwargs))
    return {name: tensor.detach().cpu().clone() for name, tensor in output.items()}


def precision(model: nn.Module) -> float:
    """How far outputs of `model` may differ, as a share of the largest."""
    dtypes = {tensor.dtype for tensor in [*model.parameters(), *model.buffers()]} & TOLERANCES.keys()
    return max((TOLERANCES[dtype] for dtype in dtypes), default=TOLERANCES[torch.float32])


@dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """How far two sets of outputs differ.

    Attributes:
        largest: absolute difference; that of positions where both are NaN, or equal infinities, is 0.
        total: sum of absolute differences.
        count: outputs compared.
        not_finite: those of them that are NaN or infinite.
        message: what is not within the tolerance; None where all is.
    """

    largest: float = 0.0
    total: float = 0.0
    count: int = 0
    not_finite: int = 0
    message: str | None = None


def compare(expected: Mapping[str, Tensor], actual: Mapping[str, Tensor], tolerance: float) -> OutputDifference:
    """Compare outputs by name: data types and shapes, integers exactly, others within `tolerance` of the largest."""
    if list(expected) != list(actual):
        return OutputDifference(message=f"outputs {', '.join(actual)} instead of {', '.join(expected)}")
    parts = [_compare(name, expected[name], actual[name], tolerance) for name in expected]
    return OutputDifference(
        largest=max((part.largest for part in parts), default=0.0),
        total=sum(part.total for part in parts),
        count=sum(part.count for part in parts),
        not_finite=sum(part.not_finite for part in parts),
        message=next((part.message for part in parts if part.message), None),
    )


def _compare(name: str, expected: Tensor, actual: Tensor, tolerance: float) -> OutputDifference:
    if expected.shape != actual.shape:
        return OutputDifference(message=f"{name} has the shape {list(actual.shape)} instead of {list(expected.shape)}")
    wide = torch.complex128 if expected.is_complex() else torch.float64
    a, b = expected.to(wide), actual.to(wide)
    same = (a == b) | (a.isnan() & b.isnan())
    difference = torch.where(same, torch.zeros_like(a), a - b).abs().nan_to_num(nan=torch.inf).flatten()
    finite = a.abs()[a.isfinite()]
    scale = max(SMALLEST, float(finite.max()) if finite.numel() else 0.0)
    floating = expected.is_floating_point() or expected.is_complex()
    largest = float(difference.max()) if difference.numel() else 0.0
    wrong = largest > (tolerance * scale if floating else 0.0)
    return OutputDifference(
        largest=largest,
        total=float(difference.sum()),
        count=a.numel(),
        not_finite=a.numel() - finite.numel(),
        message=f"{name} differs by up to {largest:.3g}, where outputs reach {scale:.3g}" if wrong else None,
    )


def verify(folder: Path, cases: Sequence[Case], tolerance: float) -> dict[str, Any]:
    """Run `folder`'s `predict.py` on the cases in a fresh process that cannot import Ogive, and compare.

    Args:
        folder: an export.
        cases: as `reference` makes them.
        tolerance: as `precision` gives it.

    Returns:
        the result for `architecture.json`: batch sizes, largest and mean absolute difference, tolerance, version.

    Raises:
        Unloadable: the export does not run.
        RunError: it runs, and its outputs are not those of the model.
    """
    with tempfile.TemporaryDirectory(prefix="ogive-export-") as name:
        pairs = list(_written(Path(name), cases))
        _run(folder, pairs)
        found = [_read(target, case.outputs) for (_, target), case in zip(pairs, cases, strict=True)]
    parts = [compare(case.outputs, actual, tolerance) for case, actual in zip(cases, found, strict=True)]
    wrong = next((part.message for part in parts if part.message), None)
    if wrong is not None:
        raise RunError(
            f"the exported model does not agree with the model: {wrong} (allowed: {tolerance:g} of the largest output); "
            "nothing was written. Its forward() depends on something that an export does not keep, such as the time, a "
            "global or whether it is being traced; change that, and the weights still fit"
        )
    count = sum(part.count for part in parts)
    return {
        "batch_sizes": sorted({case.batch for case in cases if case.batch is not None}),
        "largest_difference": max(part.largest for part in parts),
        "mean_difference": sum(part.total for part in parts) / max(1, count),
        "tolerance": tolerance,
        "not_finite": sum(part.not_finite for part in parts) / max(1, count),
        "torch": torch.__version__,
    }


def _written(folder: Path, cases: Sequence[Case]) -> Iterator[tuple[str, str]]:
    for i, case in enumerate(cases):
        write_arrays(folder / f"input{i}.npz", case.raw)
        yield str(folder / f"input{i}.npz"), str(folder / f"output{i}.npz")


def write_arrays(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Tensors by name as NumPy's `.npz`; bfloat16, which NumPy does not have, as float32."""
    plain = {name: t.float() if t.dtype == torch.bfloat16 else t for name, t in tensors.items()}
    with path.open("wb") as file:
        np.savez(file, **{name: tensor.resolve_conj().numpy() for name, tensor in plain.items()})  # type: ignore[arg-type]


def _run(folder: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Run `predict.py` for each pair of files, as `python predict.py INPUT --output OUTPUT`."""
    homes = sorted({str(Path(str(module.__file__)).parents[1]) for module in (torch, np)})
    arguments = json.dumps([homes, str(folder / "predict.py"), list(pairs)])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-P", "-c", _RUN, arguments]
    with tempfile.TemporaryDirectory(prefix="ogive-export-") as elsewhere:
        done = subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Unloadable(said[-1][:400] if said else f"its process ended with {done.returncode}")


def _read(path: str, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    with np.load(path) as arrays:
        found = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    for name in expected.keys() & found.keys():
        if expected[name].dtype == torch.bfloat16:
            found[name] = found[name].to(torch.bfloat16)
    probabilities = {"probabilities"} - expected.keys()
    return {name: tensor for name, tensor in found.items() if name not in probabilities}
