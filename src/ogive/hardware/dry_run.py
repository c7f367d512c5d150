"""Building and running the model of one architecture without training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ogive.errors import Infeasible
from ogive.hardware.example_inputs import make_example_inputs
from ogive.hardware.locate import OpenCall, explain_mismatch, track_calls
from ogive.hardware.model_cost import ModelCost, measure, parameters
from ogive.hardware.preflight_result import Failure
from ogive.space import Architecture
from ogive.space.tree import build_value
from ogive.user_code import USER_EXCEPTIONS

MAX_CPU_PARAMETERS = 250_000_000
"""Models with more parameters are not built on the CPU, because they need more than a gigabyte in float32."""


@dataclass(frozen=True)
class DryRunResult:
    """The result of building and running one architecture: its cost, a failure, or the reason why it is infeasible.

    Attributes:
        cost: the parameters, FLOPs and activation memory of the model; None if the model cannot be run.
        failure: the failure; None if the model can be built and run, or is infeasible.
        infeasible_reason: the message of `Infeasible`; None if the user's code did not raise it.
        meta_error: the error on the meta device, if only the run on the CPU succeeded; otherwise None.
    """

    cost: ModelCost | None = None
    failure: Failure | None = None
    infeasible_reason: str | None = None
    meta_error: str | None = None


def dry_run(architecture: Architecture, seed: int) -> DryRunResult:
    """Build and run `architecture` on the meta device; if that fails, on the CPU with zeros as inputs.

    The meta device computes shapes, but no values. A correct model fails there if it reads the value of a tensor, or creates
    tensors on a device that it names. A model with more than `MAX_CPU_PARAMETERS` parameters is tried only on the meta
    device. The random state is restored.
    """
    meta_result = _dry_run_on("meta", architecture, seed)
    if meta_result.failure is None or meta_result.failure.parameters > MAX_CPU_PARAMETERS:
        return meta_result
    cpu_result = _dry_run_on("cpu", architecture, seed)
    if cpu_result.failure is not None:
        return cpu_result
    return DryRunResult(
        cpu_result.cost, infeasible_reason=cpu_result.infeasible_reason, meta_error=meta_result.failure.message
    )


def _dry_run_on(device: str, architecture: Architecture, seed: int) -> DryRunResult:
    tree = architecture.space.tree
    assert tree is not None  # preflight raises an error for a space without layers
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        try:
            # Not `architecture.build()`: it would also run the model to initialize lazy layers, and an error in this run
            # would not name the layer. `_run_model` initializes lazy layers too, and names the layer that fails.
            model = build_value(tree, architecture)
        except Infeasible as error:
            return DryRunResult(infeasible_reason=str(error) or "Infeasible")
        except USER_EXCEPTIONS as error:  # the user's code may raise anything; the preflight reports it
            return DryRunResult(failure=_make_build_failure(architecture, error))
        if not isinstance(model, nn.Module):
            type_error = TypeError(f"the space builds a {type(model).__name__}, but only an nn.Module can be run")
            return DryRunResult(failure=_make_build_failure(architecture, type_error))
        return _run_model(architecture, model, device)


def _run_model(architecture: Architecture, model: nn.Module, device: str) -> DryRunResult:
    inputs = make_example_inputs(architecture.space, device)
    with track_calls(model) as open_calls:
        try:
            return DryRunResult(measure(model, inputs))
        except Infeasible as error:
            return DryRunResult(infeasible_reason=str(error) or "Infeasible")
        except USER_EXCEPTIONS as error:
            return DryRunResult(failure=_make_run_failure(architecture, model, open_calls, error))


def _make_run_failure(
    architecture: Architecture, model: nn.Module, open_calls: list[OpenCall], error: BaseException
) -> Failure:
    """Return the failure of a forward pass, located in the innermost module that was running."""
    name, module, shapes = open_calls[-1] if open_calls else ("", model, ())
    explanation = explain_mismatch(module, shapes)
    message = _summarize_error(error) if explanation is None else f"the layer {explanation} ({_summarize_error(error)})"
    return Failure(
        architecture=architecture,
        phase="run",
        layer=name,
        layer_class=type(module).__name__,
        input_shapes=shapes,
        error=type(error).__name__,
        message=message,
        parameters=parameters(model),
    )


def _make_build_failure(architecture: Architecture, error: BaseException) -> Failure:
    """Return the failure of building a model, with the position of the layer."""
    note = next(iter(getattr(error, "__notes__", ())), "")  # the space adds the position of the layer as a note
    message = f"{_summarize_error(error)}, {note}" if note else _summarize_error(error)
    return Failure(
        architecture=architecture,
        phase="build",
        layer=note,
        layer_class="",
        input_shapes=(),
        error=type(error).__name__,
        message=message,
    )


def _summarize_error(error: BaseException) -> str:
    """Return the class of an exception and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
