"""How to use a number of workers, told before they are paid for: durations measured, every split of the workers simulated.

`ogive.plan` makes a plan of what `ogive.search` is given; `ogive plan JOB` of a job. The steps are here: `Timings` of a few
trials (`measure`, `of_run`, `read`), a `fit` of how they scale, and `make`, which simulates the search under its own
strategy and schedule.
"""

from __future__ import annotations

from ogive.executors.simulated import FaultModel
from ogive.planner.compare_splits import SEEDS, build_plan
from ogive.planner.landscape import Landscape, Shape, bundled, learn, limited
from ogive.planner.machine import Fit, Machine, fit
from ogive.planner.measure_durations import EPOCHS, TRIALS, measure_durations, sizes, start_up
from ogive.planner.plan import Plan, Row
from ogive.planner.simulated_split import PlannedSearch, SimulatedSearch, WorkerSplit, simulate_split, splits
from ogive.planner.timings import Epoch, StartUp, Timings, read_timings, timings_of_run

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
    "Row",
    "Shape",
    "SimulatedSearch",
    "StartUp",
    "Timings",
    "WorkerSplit",
    "build_plan",
    "bundled",
    "fit",
    "learn",
    "limited",
    "measure_durations",
    "read_timings",
    "simulate_split",
    "sizes",
    "splits",
    "start_up",
    "timings_of_run",
]
