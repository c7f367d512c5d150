"""A model as a program that `torch.export` traces: it runs without the source of its classes."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import nn

from ogive.export.model_inputs import Call

BATCH = 2
"""Examples to trace with: a batch of one would be taken for a constant."""


def traced(model: nn.Module, call: Call) -> tuple[torch.export.ExportedProgram, int | str | None, str | None]:
    """The program of `model` in eval mode, for batches of any size where that can be traced.

    Returns:
        the program; its batch: "any", 1, or None where inputs have no common batch; and why it is not "any".

    Raises:
        Exception: what `torch.export` raises where the model cannot be traced.
    """
    if call.batch is None:
        note = "the shapes of the inputs are fixed, since their first dimensions differ, so that there is no batch"
        return _export(model, call, call.sized(None), {}), None, note
    try:
        dynamic = {0: torch.export.Dim("batch", min=1)}
        return _export(model, call, call.sized(BATCH), dynamic), "any", None
    except Exception as error:  # noqa: BLE001 - tracing runs the model's code; a model that computes with its batch fails here
        note = f"the batch is fixed to one example, for with any other: {type(error).__name__}: {first_lines(error)}"
        return _export(model, call, call.sized(1), {}), 1, note


def _export(
    model: nn.Module, call: Call, tensors: dict[str, torch.Tensor], dynamic: dict[int, Any]
) -> torch.export.ExportedProgram:
    args, kwargs = call.arguments(tensors)
    shapes = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    for tensor in tensors.values():
        if dynamic and tensor.ndim:
            shapes[tensor] = dynamic
    by_input = shapes.dynamic_shapes(model, args, kwargs) if dynamic else None  # type: ignore[no-untyped-call]
    with _quiet():
        return torch.export.export(model, args, kwargs, dynamic_shapes=by_input)


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is logged or printed: PyTorch does both, over hundreds of lines, with what it then raises."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def first_lines(error: BaseException, lines: int = 1) -> str:
    """The first lines of an error's message in one line, cut to what fits."""
    return " ".join(line.strip() for line in str(error).strip().splitlines()[:lines])[:400]
