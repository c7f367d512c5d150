"""Weight sharing: a supernet contains all architectures of a space. Importing this package does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.supernet.mixture import Mixture as Mixture
    from ogive.supernet.relaxation import Supernet as Supernet
    from ogive.supernet.relaxation import relax as relax

_MODULES = {
    "Mixture": "supernet.mixture",
    **dict.fromkeys(("Supernet", "relax"), "supernet.relaxation"),
}
"""The module of each name that is imported on first use."""

__all__ = ["Mixture", "Supernet", "relax"]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
