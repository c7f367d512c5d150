"""Benchmark problems with a known optimum, and the comparison of strategies and schedules on them (`ogive bench`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.lazy_imports import lazy_names

if TYPE_CHECKING:
    from ogive.bench.benchmark_estimator import estimator as estimator
    from ogive.bench.catalog import load as load
    from ogive.bench.catalog import names as names
    from ogive.bench.catalog import register as register
    from ogive.bench.comparison import Comparison as Comparison
    from ogive.bench.comparison import compare as compare
    from ogive.bench.comparison_page import write_report as write_report
    from ogive.bench.curve_estimator import Curves as Curves
    from ogive.bench.problem import Problem as Problem
    from ogive.bench.protocol import Protocol as Protocol
    from ogive.bench.simulated_search import PluginSpec as PluginSpec
    from ogive.bench.simulated_search import simulate as simulate
    from ogive.bench.table_problem import Table as Table

_MODULES = {
    **dict.fromkeys(("load", "names", "register"), "bench.catalog"),
    **dict.fromkeys(("Comparison", "compare"), "bench.comparison"),
    "Curves": "bench.curve_estimator",
    "estimator": "bench.benchmark_estimator",
    "write_report": "bench.comparison_page",
    "Problem": "bench.problem",
    "Protocol": "bench.protocol",
    **dict.fromkeys(("PluginSpec", "simulate"), "bench.simulated_search"),
    "Table": "bench.table_problem",
}
"""The module of each name that is imported on first use."""

__all__ = [
    "Comparison",
    "Curves",
    "PluginSpec",
    "Problem",
    "Protocol",
    "Table",
    "compare",
    "estimator",
    "load",
    "names",
    "register",
    "simulate",
    "write_report",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES, __all__)
