"""Benchmark problems with a known optimum, and the comparison of strategies and schedules on them (`ogive bench`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_DEFINED_IN = {
    "load": "catalog:load",
    "names": "catalog:names",
    "register": "catalog:register",
    "Comparison": "comparison:Comparison",
    "compare": "comparison:compare",
    "Curves": "curve_estimator:Curves",
    "estimator": "benchmark_estimator:estimator",
    "write_report": "comparison_page:write_report",
    "Problem": "problem:Problem",
    "Protocol": "protocol:Protocol",
    "PluginSpec": "simulated_search:PluginSpec",
    "simulate": "simulated_search:simulate",
    "Table": "table_problem:Table",
}
"""The module and the name that defines each public name; modules are imported on first use."""

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


def __getattr__(name: str) -> Any:
    if name in _DEFINED_IN:
        module, _, attribute = _DEFINED_IN[name].partition(":")
        globals()[name] = value = getattr(import_module(f"ogive.bench.{module}"), attribute)
        return value
    raise AttributeError(f"module 'ogive.bench' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
