"""Weight sharing: a space relaxed into one module. `import ogive.supernet` loads no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.supernet.mixture import Mixture as Mixture
    from ogive.supernet.relaxation import Supernet as Supernet
    from ogive.supernet.relaxation import relax as relax

_HOME = {"Mixture": "mixture", "Supernet": "relaxation", "relax": "relaxation"}

__all__ = ["Mixture", "Supernet", "relax"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"ogive.supernet.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ogive.supernet' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
