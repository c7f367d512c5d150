"""Asynchronous successive halving: the variant that promotes, and the one that stops.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), section 3.2 and algorithm 2. Symbols
of the paper: r minimum resource, R maximum resource, eta reduction factor; here in epochs, and without s (it is 0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import whole
from ogive.schedule.base import Action, Job, Resume, Schedule, Start
from ogive.schedule.ladder import Ladder
from ogive.schedule.rung import Rung
from ogive.trial import EMPTY, Report, Trial, TrialId

VARIANTS = ("promotion", "stopping")


class ASHA(Schedule):
    """Promote a paused trial as soon as it is in the top 1/eta of its rung; else start a new one.

    Options:
        min_epochs: r, epochs before the first decision.
        max_epochs: R, epochs of a trial that is promoted to the top; `epochs` where left out.
        eta: one of `eta` trials goes on from rung to rung; at least 2.
        variant: "promotion" pauses every trial at its rung; "stopping" lets a trial go on at once where it is in the top
            1/eta of those that have been there, and else stops it for good, so that no checkpoint is needed.
        capped: promote at most 1/eta of those that have come to a rung. As published (False), every newcomer that is the
            best so far is promoted, which is nearly every one under a strategy that improves.
        grace: so many trials come to a rung before any is promoted, and earn no promotion: with `eta`, the first of all is
            the best of twice as many. The first trials of a search are mostly random, and soon surpassed.
        fidelities: further ones that grow from rung to rung, by their lowest values: see `Ladder.of`.

    Trials are ordered as by `ogive.objective.rank`; of equals the one that was started first goes first. A trial that
    fails leaves all rungs: it neither holds a place in the top nor counts in the size. The top rung pauses nothing: a
    trial that gets there finishes by itself. Once nothing may be started any more, the best of each rung goes on, if
    it still waits: a search ends with its best trial trained in full.
    """

    name = "schedule 'asha'"
    draws = False

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        variant: str = "promotion",
        capped: bool = True,
        fidelities: Mapping[str, float] = EMPTY,
        grace: int = 0,
    ) -> None:
        self.ladder = Ladder.of(self.name, epochs, min_epochs, max_epochs, eta, fidelities)
        self.fidelities = self.ladder.others
        if variant not in VARIANTS:
            raise JobError(f"{self.name}: variant is {variant!r}, but must be one of {', '.join(VARIANTS)}")
        if not isinstance(capped, bool):
            raise JobError(f"{self.name}: capped is {capped!r}, but must be true or false")
        self.grace = whole(self.name, "grace", grace, at_least=0)
        if variant == "stopping" and self.grace:
            raise JobError(f"{self.name}: grace is {grace}, but variant 'stopping' promotes nothing; leave it out")
        if variant == "stopping" and self.ladder.again:
            raise JobError(
                f"{self.name}: variant 'stopping' goes on, but with fidelities trials start again on each rung"
            )
        self.eta, self.stops, self.capped = int(eta), variant == "stopping", capped
        self.rungs = tuple(Rung(tuple(objectives), tuple(constraints)) for _ in self.ladder.steps[:-1])

    @property
    def top(self) -> int:
        """The number of the highest rung, from 0, that trials go to."""
        return len(self.rungs)

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        """`get_job` of the paper: the highest rung that has one to promote, else grow the bottom rung."""
        if self.stops:
            return Start(self.ladder.fidelities[-1])
        for k in reversed(range(self.top)):
            promotable = self.rungs[k].promotable(self.eta, self.capped, self.grace)
            if promotable is not None:
                return self._resume(promotable, k + 1)
        last = None if may_start else self._last_job()
        return last or Start(self.ladder.fidelities[0])

    def _last_job(self) -> Job | None:
        """Once nothing may be started: the best of a rung goes on, if it still waits."""
        for k in reversed(range(self.top)):
            best = self.rungs[k].leader()
            if best is not None:
                return self._resume(best, k + 1)
        return None

    def _resume(self, trial: TrialId, rung: int) -> Resume:
        return Resume(trial, self.ladder.fidelities[rung], self.ladder.began(rung))

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            for rung in self.rungs[: self.ladder.rung(job.until)]:
                rung.promote(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        """PAUSE, or STOP, on reaching a rung that the trial is not in yet."""
        reached = sum(step <= report.step for step in self.ladder.steps[:-1])
        if reached == 0 or trial.id in self.rungs[reached - 1]:
            return Action.CONTINUE
        rung = self.rungs[reached - 1]
        rung.add(trial.id, trial.at(report.step))
        if report.step >= self.ladder.steps[-1]:
            return Action.CONTINUE
        if not self.stops:
            return Action.PAUSE
        return Action.CONTINUE if rung.leads(trial.id, self.eta) else Action.STOP

    def on_end(self, trial: Trial) -> None:
        if trial.ended_by_itself:  # it has its value on the rungs that it was on its way to, too
            for step, rung in zip(self.ladder.steps[:-1], self.rungs, strict=True):
                if trial.step < step <= trial.until:
                    rung.add(trial.id, trial.metrics)
        for rung in self.rungs:
            if trial.status.failed:
                rung.remove(trial.id)
            else:
                rung.retire(trial.id)  # finished early by itself, or stopped: there is nothing to resume
