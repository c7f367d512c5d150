"""Asynchronous successive halving, the variant that promotes.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), section 3.2 and algorithm 2. Symbols
of the paper: r minimum resource, R maximum resource, eta reduction factor; here in epochs, and without s (it is 0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.schedule.base import Action, Job, Resume, Schedule, Start
from ogive.schedule.rung import Rung
from ogive.trial import Report, Trial

NAME = "schedule 'asha'"


def levels(min_epochs: int, max_epochs: int, eta: int) -> tuple[int, ...]:
    """Epochs at which rungs stand: min, min eta, min eta^2 ... and max, which need not be a power."""
    ladder = [min_epochs]
    while ladder[-1] < max_epochs:
        ladder.append(min(ladder[-1] * eta, max_epochs))
    return tuple(ladder)


class ASHA(Schedule):
    """Promote a paused trial as soon as it is in the top 1/eta of its rung; else start a new one.

    Options:
        min_epochs: r, epochs before the first decision.
        max_epochs: R, epochs of a trial that is promoted to the top; `epochs` where left out.
        eta: one of `eta` trials goes on from rung to rung; at least 2.

    Trials are ordered as by `ogive.objective.rank`; of equals the one that was started first goes first. A trial that
    fails leaves all rungs: it neither holds a place in the top nor counts in the size. The top rung pauses nothing: a
    trial that gets there finishes by itself.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
    ) -> None:
        lowest = whole(NAME, "min_epochs", min_epochs, at_least=1)
        if max_epochs is None and epochs is None:
            raise JobError(f"{NAME} needs to know how far a trial can go: give epochs, or its option max_epochs")
        top = whole(NAME, "max_epochs", epochs if max_epochs is None else max_epochs, at_least=1)
        if lowest > top:
            raise JobError(f"{NAME}: min_epochs is {lowest}, but must be at most max_epochs, which is {top}")
        if epochs is not None and epochs < top:
            raise JobError(f"{NAME}: max_epochs is {top}, but must be at most the {epochs} epochs of a trial")
        self.eta = whole(NAME, "eta", eta, at_least=2)
        self.levels = levels(lowest, top, self.eta)
        self.rungs = tuple(Rung(tuple(objectives), tuple(constraints)) for _ in self.levels[:-1])

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        """`get_job` of the paper: the highest rung that has one to promote, else grow the bottom rung."""
        for k in reversed(range(len(self.rungs))):
            promotable = self.rungs[k].promotable(self.eta)
            if promotable is not None:
                return Resume(promotable, {"epochs": self.levels[k + 1]})
        return Start({"epochs": self.levels[0]})

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            for rung in self.rungs[: self.levels.index(int(job.until["epochs"]))]:
                rung.promote(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        """PAUSE on reaching a rung that the trial is not in yet."""
        reached = sum(level <= report.step for level in self.levels[:-1])
        if reached == 0 or trial.id in self.rungs[reached - 1]:
            return Action.CONTINUE
        self.rungs[reached - 1].add(trial.id, trial.at(report.step))
        return Action.CONTINUE if report.step >= self.levels[-1] else Action.PAUSE

    def on_end(self, trial: Trial) -> None:
        for rung in self.rungs:
            if trial.status.failed:
                rung.remove(trial.id)
            else:
                rung.promote(trial.id)  # finished early, by itself: there is nothing to resume
