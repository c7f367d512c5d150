"""The planner: it forecasts a search for every split of the workers, and recommends one.

`ogive.plan` makes a plan for the arguments of `ogive.search`, and `ogive plan JOB` for a job. The steps are:

1. Collect the durations of a few trials, as `Timings` (`measure_durations`, `read_run_timings` or `read_timings`).
2. Fit a model of how the durations depend on the number of workers (`fit_machine`).
3. Simulate the search for each split, with its strategy and schedule, and recommend a split (`build_plan`).
"""

from __future__ import annotations

from ogive.executors.simulated import FaultModel
from ogive.planner.compare_splits import SIMULATED_SEEDS, build_plan
from ogive.planner.landscape import Landscape, Shape, find_bundled_table, fit_shape, limit_epochs
from ogive.planner.machine import Machine, MachineFit, fit_machine
from ogive.planner.measure_durations import (
    MEASURED_EPOCHS,
    MEASURED_TRIALS,
    list_sizes,
    measure_durations,
    measure_start_up,
)
from ogive.planner.plan import Plan, SplitForecast
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit, list_splits, simulate_split
from ogive.planner.timings import MeasuredEpoch, MeasuredStartUp, Timings, read_run_timings, read_timings

__all__ = [
    "MEASURED_EPOCHS",
    "MEASURED_TRIALS",
    "SIMULATED_SEEDS",
    "FaultModel",
    "Landscape",
    "Machine",
    "MachineFit",
    "MeasuredEpoch",
    "MeasuredStartUp",
    "Plan",
    "PlannedSearch",
    "Shape",
    "SimulatedSearch",
    "SplitForecast",
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
