"""How to use a number of workers: measure durations, simulate every split of the workers, and recommend one.

`ogive.plan` makes a plan for the arguments of `ogive.search`, and `ogive plan JOB` for a job. This package holds the steps:
`Timings` of a few trials (`measure_durations`, `read_run_timings`, `read_timings`), a model of how they scale
(`fit_machine`), and `build_plan`, which simulates the search with its own strategy and schedule.
"""

from __future__ import annotations

from ogive.executors.simulated import FaultModel
from ogive.planner.compare_splits import SEEDS, build_plan
from ogive.planner.landscape import Landscape, Shape, find_bundled_table, fit_shape, limit_epochs
from ogive.planner.machine import Fit, Machine, fit_machine
from ogive.planner.measure_durations import EPOCHS, TRIALS, list_sizes, measure_durations, measure_start_up
from ogive.planner.plan import Plan, SplitForecast
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit, list_splits, simulate_split
from ogive.planner.timings import Epoch, StartUp, Timings, read_run_timings, read_timings

__all__ = [
    "EPOCHS",
    "SEEDS",
    "TRIALS",
    "Epoch",
    "FaultModel",
    "Fit",
    "Landscape",
    "Machine",
    "Plan",
    "PlannedSearch",
    "Shape",
    "SimulatedSearch",
    "SplitForecast",
    "StartUp",
    "Timings",
    "WorkerSplit",
    "build_plan",
    "find_bundled_table",
    "fit_machine",
    "fit_shape",
    "limit_epochs",
    "list_sizes",
    "list_splits",
    "measure_durations",
    "measure_start_up",
    "read_run_timings",
    "read_timings",
    "simulate_split",
]
