"""How to use a number of workers, told before they are paid for: durations measured, every split of the workers simulated.

`ogive.plan` makes a plan of what `ogive.search` is given; `ogive plan JOB` of a job. The steps are here: `Timings` of a few
trials (`measure`, `of_run`, `read`), a `fit` of how they scale, and `make`, which simulates the search under its own
strategy and schedule.
"""

from __future__ import annotations

from ogive.executors.simulated import Weather
from ogive.planner.build_plan import SEEDS, make
from ogive.planner.landscape import Landscape, Shape, bundled, learn, limited
from ogive.planner.machine import Fit, Machine, fit
from ogive.planner.measure_durations import EPOCHS, TRIALS, measure, sizes, start_up
from ogive.planner.plan import Plan, Row
from ogive.planner.simulated_split import Episode, Search, Split, episode, splits
from ogive.planner.timings import Epoch, StartUp, Timings, of_run, read

__all__ = [
    "EPOCHS",
    "SEEDS",
    "TRIALS",
    "Episode",
    "Epoch",
    "Fit",
    "Landscape",
    "Machine",
    "Plan",
    "Row",
    "Search",
    "Shape",
    "Split",
    "StartUp",
    "Timings",
    "Weather",
    "bundled",
    "episode",
    "fit",
    "learn",
    "limited",
    "make",
    "measure",
    "of_run",
    "read",
    "sizes",
    "splits",
    "start_up",
]
