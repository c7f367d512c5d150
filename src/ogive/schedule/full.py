"""Full training of every trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.registry import check_whole_number
from ogive.schedule.base import Action, Job, Schedule, Start
from ogive.trial import EMPTY, Report, Trial


class Full(Schedule):
    """Trains every trial for `epochs` epochs, or at no fidelity if the estimator has no epochs."""

    uses_rng = False

    def __init__(
        self, objectives: Sequence[Objective], constraints: Sequence[Constraint] = (), epochs: int | None = None
    ) -> None:
        self.fidelity = (
            EMPTY if epochs is None else {"epochs": check_whole_number("schedule 'full'", "epochs", epochs, at_least=1)}
        )

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        return Start(self.fidelity)

    def on_report(self, trial: Trial, report: Report) -> Action:
        return Action.CONTINUE
