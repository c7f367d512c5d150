"""Ready-made search spaces and their layers. Importing this package does not import torch; calling its functions does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.zoo import baselines as baselines
    from ogive.zoo.chains import chain as chain
    from ogive.zoo.nasbench import nasbench201 as nasbench201
    from ogive.zoo.nasbench import nasbench201_choices as nasbench201_choices
    from ogive.zoo.nasbench import nasbench201_string as nasbench201_string

_DEFINED_IN = {
    "chain": "chains",
    "nasbench201": "nasbench",
    "nasbench201_choices": "nasbench",
    "nasbench201_string": "nasbench",
}
"""The module that defines each public name; modules are imported on first use."""

__all__ = ["baselines", "chain", "nasbench201", "nasbench201_choices", "nasbench201_string"]


def __getattr__(name: str) -> Any:
    if name == "baselines":
        return importlib.import_module("ogive.zoo.baselines")
    if name in _DEFINED_IN:
        return getattr(importlib.import_module(f"ogive.zoo.{_DEFINED_IN[name]}"), name)
    raise AttributeError(f"module 'ogive.zoo' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
