"""Weight sharing: a supernet contains all architectures of a space. Importing this package does not import torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.supernet.mixture import Mixture as Mixture
    from ogive.supernet.relaxation import Supernet as Supernet
    from ogive.supernet.relaxation import relax as relax

_DEFINED_IN = {"Mixture": "mixture", "Supernet": "relaxation", "relax": "relaxation"}
"""The module that defines each public name; modules are imported on first use."""

__all__ = ["Mixture", "Supernet", "relax"]


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        return getattr(importlib.import_module(f"ogive.supernet.{_DEFINED_IN[name]}"), name)
    raise AttributeError(f"module 'ogive.supernet' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
