"""The Python interface: start a search, continue it, and read its results.

`plan` and `search` are imported on first use. Reading a run does not need them, and their imports (strategies, schedules)
would take longer than reading the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ogive.api.funnel import Funnel, Go, Phase, funnel, open_funnel
from ogive.api.run import Run, open_run

if TYPE_CHECKING:
    from ogive.api.planning import plan as plan
    from ogive.api.search_call import search as search

__all__ = ["Funnel", "Go", "Phase", "Run", "funnel", "open_funnel", "open_run", "plan", "search"]


def __getattr__(name: str) -> Any:
    if name == "plan":
        from ogive.api.planning import plan

        return plan
    if name == "search":
        from ogive.api.search_call import search

        return search
    raise AttributeError(f"module 'ogive.api' has no attribute {name!r}; it has {', '.join(__all__)}")
