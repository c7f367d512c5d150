"""The Python interface: start a search, continue it, and read its results.

`plan` and `search` are imported on first use. Reading a run does not need them, and their imports (strategies, schedules)
would take longer than reading the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.api.funnel import Funnel, Go, Phase, funnel, open_funnel
from ogive.api.run import Run, open_run
from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.api.planning import plan as plan
    from ogive.api.search_call import search as search

__all__ = ["Funnel", "Go", "Phase", "Run", "funnel", "open_funnel", "open_run", "plan", "search"]

_MODULES = {"plan": "api.planning", "search": "api.search_call"}
"""The module of each name that is imported on first use."""

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
