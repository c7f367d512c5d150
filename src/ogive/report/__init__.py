"""The report of a run, drawings, the live view and JSON exports. Each is imported when it is first used; torch never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.drawing.architecture_drawing import draw_svg as draw_svg
    from ogive.drawing.architecture_drawing import draw_text as draw_text
    from ogive.monitor.live_view import show_live_view as show_live_view
    from ogive.monitor.live_view import show_plain_view as show_plain_view
    from ogive.report.run_page import write_report as write_report
    from ogive.run.results import compute_expected_best as compute_expected_best
    from ogive.stages.baseline_comparison import BaselineComparison as BaselineComparison
    from ogive.stages.baseline_comparison import ComparedNetwork as ComparedNetwork
    from ogive.stages.baseline_comparison import PairedDifference as PairedDifference
    from ogive.stages.baseline_comparison import RandomReference as RandomReference
    from ogive.stages.baseline_comparison import read_comparison as read_comparison
    from ogive.stages.baseline_comparison import write_comparison as write_comparison
    from ogive.stages.trial_json import describe_delivery as describe_delivery
    from ogive.stats.paired import paired_difference as paired_difference

_MODULES = {
    **dict.fromkeys(
        (
            "BaselineComparison",
            "PairedDifference",
            "ComparedNetwork",
            "RandomReference",
            "read_comparison",
            "write_comparison",
        ),
        "stages.baseline_comparison",
    ),
    **dict.fromkeys(("draw_svg", "draw_text"), "drawing.architecture_drawing"),
    "describe_delivery": "stages.trial_json",
    **dict.fromkeys(("show_live_view", "show_plain_view"), "monitor.live_view"),
    "write_report": "report.run_page",
    "compute_expected_best": "run.results",
    "paired_difference": "stats.paired",
}

__all__ = [
    "BaselineComparison",
    "ComparedNetwork",
    "PairedDifference",
    "RandomReference",
    "compute_expected_best",
    "describe_delivery",
    "draw_svg",
    "draw_text",
    "paired_difference",
    "read_comparison",
    "show_live_view",
    "show_plain_view",
    "write_comparison",
    "write_report",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
