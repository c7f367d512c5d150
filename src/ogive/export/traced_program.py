"""Trace a model with `torch.export` into a program that runs without the source of its classes."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import nn

from ogive.export.model_inputs import ModelCall

TRACED_BATCH_SIZE = 2
"""The number of examples to trace with. `torch.export` would treat a batch of one as a constant."""
MAX_REASON = 400
"""The reason of a failure has at most this many characters in a message."""


def trace(model: nn.Module, call: ModelCall) -> tuple[torch.export.ExportedProgram, int | str | None, str | None]:
    """Trace a model in eval mode, for batches of any size if that is possible.

    Returns:
        The program; its batch size ("any", 1, or None if the inputs have no common batch); and the reason for a size other
        than "any".

    Raises:
        Exception: the model cannot be traced. This may be any exception of `torch.export` or of the model.
    """
    if call.batch_size is None:
        note = "the shapes of the inputs are fixed, because their first dimensions differ, so there is no batch"
        return _export(model, call, call.resize_example(None), {}), None, note
    try:
        dynamic = {0: torch.export.Dim("batch", min=1)}
        return _export(model, call, call.resize_example(TRACED_BATCH_SIZE), dynamic), "any", None
    except Exception as error:  # noqa: BLE001 - tracing runs the model's code; a model that computes with its batch fails here
        note = f"the batch is fixed to one example; with any other: {type(error).__name__}: {get_first_lines(error)}"
        return _export(model, call, call.resize_example(1), {}), 1, note


def _export(
    model: nn.Module, call: ModelCall, tensors: dict[str, torch.Tensor], dynamic: dict[int, Any]
) -> torch.export.ExportedProgram:
    """Run `torch.export`. `dynamic`: the dynamic dimensions of every input; empty for fixed shapes."""
    args, kwargs = call.make_arguments(tensors)
    shapes = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    for tensor in tensors.values():
        if dynamic and tensor.ndim:
            shapes[tensor] = dynamic
    dynamic_shapes = shapes.dynamic_shapes(model, args, kwargs) if dynamic else None  # type: ignore[no-untyped-call]
    with _suppress_output():
        return torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes)


@contextmanager
def _suppress_output() -> Iterator[None]:
    """Suppress logging and printing, since PyTorch logs hundreds of lines about errors that it also raises."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def get_first_lines(error: BaseException, lines: int = 1) -> str:
    """Return the first lines of an error's message as one line of at most `MAX_REASON` characters."""
    return " ".join(line.strip() for line in str(error).strip().splitlines()[:lines])[:MAX_REASON]
