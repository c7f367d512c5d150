"""The cost of models (parameters, FLOPs, activation memory), and the preflight. Importing it does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.hardware.model_cost import FLOP_CONVENTION as FLOP_CONVENTION
    from ogive.hardware.model_cost import ModelCost as ModelCost
    from ogive.hardware.model_cost import activation_memory as activation_memory
    from ogive.hardware.model_cost import flops as flops
    from ogive.hardware.model_cost import measure as measure
    from ogive.hardware.model_cost import parameters as parameters
    from ogive.hardware.preflight_checks import preflight as preflight
    from ogive.hardware.preflight_result import Failure as Failure
    from ogive.hardware.preflight_result import Preflight as Preflight
    from ogive.hardware.preflight_result import Spread as Spread

_MODULES = {
    **dict.fromkeys(
        ("ModelCost", "FLOP_CONVENTION", "activation_memory", "flops", "measure", "parameters"), "hardware.model_cost"
    ),
    **dict.fromkeys(("Failure", "Preflight", "Spread"), "hardware.preflight_result"),
    "preflight": "hardware.preflight_checks",
}
"""The module of each name that is imported on first use."""

__all__ = [
    "FLOP_CONVENTION",
    "Failure",
    "ModelCost",
    "Preflight",
    "Spread",
    "activation_memory",
    "flops",
    "measure",
    "parameters",
    "preflight",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
