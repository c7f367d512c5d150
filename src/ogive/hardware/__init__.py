"""The cost of models (parameters, FLOPs, activation memory), and the preflight. Importing it does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.hardware.model_cost import FLOP_CONVENTION as FLOP_CONVENTION
    from ogive.hardware.model_cost import Cost as Cost
    from ogive.hardware.model_cost import activation_memory as activation_memory
    from ogive.hardware.model_cost import flops as flops
    from ogive.hardware.model_cost import measure as measure
    from ogive.hardware.model_cost import parameters as parameters
    from ogive.hardware.preflight_checks import preflight as preflight
    from ogive.hardware.preflight_result import Failure as Failure
    from ogive.hardware.preflight_result import Preflight as Preflight
    from ogive.hardware.preflight_result import Spread as Spread

_DEFINED_IN = {
    "Cost": "model_cost",
    "FLOP_CONVENTION": "model_cost",
    "Failure": "preflight_result",
    "Preflight": "preflight_result",
    "Spread": "preflight_result",
    "activation_memory": "model_cost",
    "flops": "model_cost",
    "measure": "model_cost",
    "parameters": "model_cost",
    "preflight": "preflight_checks",
}
"""The module that defines each public name; modules are imported on first use."""

__all__ = [
    "FLOP_CONVENTION",
    "Cost",
    "Failure",
    "Preflight",
    "Spread",
    "activation_memory",
    "flops",
    "measure",
    "parameters",
    "preflight",
]


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        return getattr(importlib.import_module(f"ogive.hardware.{_DEFINED_IN[name]}"), name)
    raise AttributeError(f"module 'ogive.hardware' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
