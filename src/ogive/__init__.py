"""Ogive: neural architecture search with journalled runs that survive crashes and can be continued.

Names are imported when they are first used, so `import ogive` is fast and loads neither NumPy nor PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULE_OF_NAME = {
    **dict.fromkeys(
        ("layer", "one_of", "some_of", "integer", "real", "repeat", "scaled", "wiring", "Space", "Architecture"),
        "ogive.space",
    ),
    **dict.fromkeys(("Objective", "Constraint"), "ogive.objective"),
    **dict.fromkeys(("Proposal", "Trial"), "ogive.trial"),
    **dict.fromkeys(("search", "plan", "open_run", "Run", "funnel", "Phase", "Go"), "ogive.api"),
    **dict.fromkeys(("OgiveError", "Infeasible"), "ogive.errors"),
    "relax": "ogive.supernet",
}
"""The module that each name is imported from."""
_PACKAGES = (
    "zoo",
    "strategy",
    "schedule",
    "estimate",
    "hardware",
    "task",
    "supernet",
    "bench",
    "testing",
    "report",
    "export",
)
"""The packages that are imported when they are first used as attributes of `ogive`."""

__all__ = [
    "Architecture",
    "Constraint",
    "Go",
    "Infeasible",
    "Objective",
    "OgiveError",
    "Phase",
    "Proposal",
    "Run",
    "Space",
    "Trial",
    "bench",
    "estimate",
    "export",
    "funnel",
    "hardware",
    "integer",
    "layer",
    "one_of",
    "open_run",
    "plan",
    "real",
    "relax",
    "repeat",
    "report",
    "scaled",
    "schedule",
    "search",
    "some_of",
    "strategy",
    "supernet",
    "task",
    "testing",
    "wiring",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF_NAME:
        value = getattr(import_module(_MODULE_OF_NAME[name]), name)
    elif name in _PACKAGES:
        value = import_module(f"ogive.{name}")
    else:
        raise AttributeError(f"module 'ogive' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from ogive import bench, estimate, export, hardware, report, schedule, strategy, supernet, task, testing, zoo
    from ogive.api import Run, open_run, plan, search
    from ogive.api.funnel import Go, Phase, funnel
    from ogive.errors import Infeasible, OgiveError
    from ogive.objective import Constraint, Objective
    from ogive.space import Architecture, Space, integer, layer, one_of, real, repeat, scaled, some_of, wiring
    from ogive.supernet import relax
    from ogive.trial import Proposal, Trial
