"""An estimator whose epochs take a known time: it sleeps, and shorter with more threads."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.space import Space, layer, one_of

SPACE = Space(layer(dict, width=one_of(*range(40), name="width")))
START, SERIAL, PARALLEL = 0.2, 0.03, 0.2
WRONG = 29  # the width of the second architecture that a plan draws


class Sleeper(Estimator):
    """An epoch takes `SERIAL + PARALLEL / threads` seconds, whatever other processes do, and `prepare` takes `START`
    seconds. The width `WRONG` fails.
    """

    epochs = 4
    continuable = True

    def prepare(self) -> None:
        time.sleep(START)

    def evaluate(self, evaluation: Evaluation) -> None:
        threads = int(os.environ.get("OMP_NUM_THREADS", 1))  # set for each worker
        width = evaluation.architecture["width"]
        if width == WRONG:
            raise ValueError("wrong width")
        for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
            time.sleep(SERIAL + PARALLEL / threads)
            accuracy = 0.9 - abs(width - 11) / 100 - 0.3 / step
            if evaluation.report(step, {"accuracy": accuracy, "threads": threads}) is not Action.CONTINUE:
                return

    def screen(self, architecture: Any) -> Mapping[str, float]:
        return {"width": architecture["width"]}


SLEEPER = Sleeper()
"""The estimator, for job files."""
