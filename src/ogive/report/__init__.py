"""Figures, drawings, the report, the live view, exports and sinks. Importing it loads none of them, nor torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ogive.report.comparison import Comparison as Comparison
    from ogive.report.comparison import Difference as Difference
    from ogive.report.comparison import Network as Network
    from ogive.report.comparison import RandomReference as RandomReference
    from ogive.report.comparison import paired_difference as paired_difference
    from ogive.report.comparison import read_comparison as read_comparison
    from ogive.report.comparison import write_comparison as write_comparison
    from ogive.report.drawing import draw_svg as draw_svg
    from ogive.report.drawing import draw_text as draw_text
    from ogive.report.export import export_json as export_json
    from ogive.report.live import live_view as live_view
    from ogive.report.live import plain_view as plain_view
    from ogive.report.page import write_report as write_report
    from ogive.report.results import expected_best as expected_best

_HOME = {
    **dict.fromkeys(
        (
            "Comparison",
            "Difference",
            "Network",
            "RandomReference",
            "paired_difference",
            "read_comparison",
            "write_comparison",
        ),
        "comparison",
    ),
    **dict.fromkeys(("draw_svg", "draw_text"), "drawing"),
    "export_json": "export",
    **dict.fromkeys(("live_view", "plain_view"), "live"),
    "write_report": "page",
    "expected_best": "results",
}

__all__ = [
    "Comparison",
    "Difference",
    "Network",
    "RandomReference",
    "draw_svg",
    "draw_text",
    "expected_best",
    "export_json",
    "live_view",
    "paired_difference",
    "plain_view",
    "read_comparison",
    "write_comparison",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ogive.report.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ogive.report' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
