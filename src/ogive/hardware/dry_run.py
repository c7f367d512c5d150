"""Building and running one architecture without training it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ogive.errors import Infeasible
from ogive.hardware.example_inputs import example_inputs
from ogive.hardware.locate import Running, calls, explain
from ogive.hardware.model_cost import Cost, measure, parameters
from ogive.hardware.preflight_result import Failure
from ogive.space import Architecture
from ogive.space.tree import realise
from ogive.user_code import RAISED

CPU_PARAMETERS = 250_000_000
"""Parameters of the largest model that is built on the CPU: a gigabyte in float32."""


@dataclass(frozen=True)
class Outcome:
    """What became of an architecture: a cost, a failure, or the reason why it is infeasible.

    `meta` says why the meta device could not be used, empty where it was.
    """

    cost: Cost | None = None
    failure: Failure | None = None
    infeasible: str = ""
    meta: str = ""


def attempt(architecture: Architecture, seed: int) -> Outcome:
    """Build and run `architecture` on the meta device; what fails there is judged on the CPU, with zeros.

    The meta device has shapes and no values, so that a factory which reads a value or names a device fails there
    without being wrong. A model too large for `CPU_PARAMETERS` is judged by the meta device alone. Random state is put
    back.
    """
    outcome = _attempt_on("meta", architecture, seed)
    if outcome.failure is None or outcome.failure.parameters > CPU_PARAMETERS:
        return outcome
    again = _attempt_on("cpu", architecture, seed)
    if again.failure is not None:
        return again
    return Outcome(again.cost, infeasible=again.infeasible, meta=outcome.failure.message)


def _attempt_on(device: str, architecture: Architecture, seed: int) -> Outcome:
    tree = architecture.space.tree
    assert tree is not None  # preflight refuses a space without layers
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        try:
            # Lazy layers are left as they are: they take their shapes when the model runs, where a failure is located.
            model = realise(tree, architecture)
        except Infeasible as error:
            return Outcome(infeasible=str(error) or "Infeasible")
        except RAISED as error:  # whatever a user's factory raises is what we are here to report
            return Outcome(failure=_not_built(architecture, error))
        if not isinstance(model, nn.Module):
            wrong = TypeError(f"the space builds {type(model).__name__}, and only an nn.Module can be run")
            return Outcome(failure=_not_built(architecture, wrong))
        return _run(architecture, model, device)


def _run(architecture: Architecture, model: nn.Module, device: str) -> Outcome:
    inputs = example_inputs(architecture.space, device)
    with calls(model) as running:
        try:
            return Outcome(measure(model, inputs))
        except Infeasible as error:
            return Outcome(infeasible=str(error) or "Infeasible")
        except RAISED as error:  # as above
            return Outcome(failure=_not_run(architecture, model, running, error))


def _not_run(architecture: Architecture, model: nn.Module, running: list[Running], error: BaseException) -> Failure:
    name, module, shapes = running[-1] if running else ("", model, ())
    plain = explain(module, shapes)
    message = f"it {plain} ({_said(error)})" if plain else _said(error)
    kind = type(error).__name__
    return Failure(architecture, "run", name, type(module).__name__, shapes, kind, message, parameters(model))


def _not_built(architecture: Architecture, error: BaseException) -> Failure:
    place = next(iter(getattr(error, "__notes__", ())), "")
    message = f"{_said(error)}, {place}" if place else _said(error)
    return Failure(architecture, "build", place, "", (), type(error).__name__, message)


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
