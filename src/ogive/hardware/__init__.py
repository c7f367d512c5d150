"""What an architecture costs: preflight, parameters, FLOPs, activation memory. `import ogive.hardware` loads no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.hardware.checks import preflight as preflight
    from ogive.hardware.cost import FLOP_CONVENTION as FLOP_CONVENTION
    from ogive.hardware.cost import Cost as Cost
    from ogive.hardware.cost import activation_memory as activation_memory
    from ogive.hardware.cost import flops as flops
    from ogive.hardware.cost import measure as measure
    from ogive.hardware.cost import parameters as parameters
    from ogive.hardware.result import Failure as Failure
    from ogive.hardware.result import Preflight as Preflight
    from ogive.hardware.result import Spread as Spread

_HOME = {
    "Cost": "cost",
    "FLOP_CONVENTION": "cost",
    "Failure": "result",
    "Preflight": "result",
    "Spread": "result",
    "activation_memory": "cost",
    "flops": "cost",
    "measure": "cost",
    "parameters": "cost",
    "preflight": "checks",
}

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
    if name in _HOME:
        return getattr(importlib.import_module(f"ogive.hardware.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ogive.hardware' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
