"""Ready-made search spaces and their layers. Importing this package does not import torch; calling its functions does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.zoo import baselines as baselines
    from ogive.zoo.chains import chain as chain
    from ogive.zoo.nasbench import nasbench201 as nasbench201
    from ogive.zoo.nasbench import nasbench201_choices as nasbench201_choices
    from ogive.zoo.nasbench import nasbench201_string as nasbench201_string

_MODULES = {
    "baselines": "zoo.baselines:",
    "chain": "zoo.chains",
    **dict.fromkeys(("nasbench201", "nasbench201_choices", "nasbench201_string"), "zoo.nasbench"),
}
"""The module of each name that is imported on first use."""

__all__ = ["baselines", "chain", "nasbench201", "nasbench201_choices", "nasbench201_string"]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
