"""Asynchronous successive halving (ASHA), in two variants: one promotes paused trials, the other stops running trials.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), section 3.2 and algorithm 2. Symbols of the
paper: r minimum resource, R maximum resource, eta reduction factor, s early-stopping rate. Here resources are epochs, and
s is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import check_whole_number
from ogive.schedule.base import Action, Job, Resume, Schedule, Start
from ogive.schedule.ladder import Ladder
from ogive.schedule.rung import Rung
from ogive.trial import EMPTY, Report, Trial, TrialId

VARIANTS = ("promotion", "stopping")


class ASHA(Schedule):
    """Promotes a paused trial as soon as it is among the best 1/eta of its rung; otherwise starts a new trial.

    Options:
        min_epochs: r, the number of epochs of the bottom rung, where trials are compared for the first time.
        max_epochs: R, the number of epochs of a trial on the top rung. Default: `epochs`, the epochs of full training.
        eta: one of `eta` trials is promoted from each rung; at least 2.
        variant: "promotion" pauses every trial at its rung. "stopping" does not need checkpoints: at each rung a trial
            continues if it is among the best 1/eta of the trials that have reached the rung, and is stopped otherwise.
        capped: whether at most 1/eta of the trials that have reached a rung are promoted. Without this limit, as in the
            paper, every new trial that is the best so far is promoted. With a strategy that keeps finding better
            architectures, this would be nearly every trial.
        grace: the number of trials that a rung needs in addition to `eta` before its first promotion. If `capped`, at most
            1/eta of the number of its trials less `grace` are promoted in total. With `grace` equal to `eta`, the first
            promoted trial is the best of 2 `eta` trials, not of `eta`. This helps because the first trials of a search are
            mostly random, and better trials soon follow. (In other implementations, the grace period is the smallest number
            of epochs, which is `min_epochs` here.)
        fidelities: other fidelities that grow from rung to rung, with their lowest values; see `Ladder.from_options`.

    Trials are ordered as in `ogive.objective.rank_costs`; the older of equally good trials comes first. A failed trial is
    removed from all rungs, so it does not count for the size of a rung. Trials are not paused on the top rung, but finish
    there. When no more trials may be started, the best trial of each rung is promoted if it is still paused there. So the
    best trial of the search is trained in full.
    """

    name = "schedule 'asha'"
    uses_rng = False

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        variant: str = "promotion",
        capped: bool = True,
        fidelities: Mapping[str, float] = EMPTY,
        grace: int = 0,
    ) -> None:
        self.ladder = Ladder.from_options(
            self.name, epochs, min_epochs=min_epochs, max_epochs=max_epochs, eta=eta, fidelities=fidelities
        )
        self.fidelities = self.ladder.other_fidelities
        if variant not in VARIANTS:
            raise JobError(f"{self.name}: variant is {variant!r}, but must be one of {', '.join(VARIANTS)}")
        if not isinstance(capped, bool):
            raise JobError(f"{self.name}: capped is {capped!r}, but must be true or false")
        self.grace = check_whole_number(self.name, "grace", grace, at_least=0)
        if variant == "stopping" and self.grace:
            raise JobError(f"{self.name}: grace is {grace}, but variant 'stopping' promotes nothing; leave out grace")
        if variant == "stopping" and self.ladder.restarts:
            raise JobError(
                f"{self.name}: variant 'stopping' continues trials, but with fidelities trials start again on each rung; "
                "use variant 'promotion', or leave fidelities out"
            )
        self.eta, self.is_stopping, self.capped = int(eta), variant == "stopping", capped
        self.rungs = tuple(Rung(tuple(objectives), tuple(constraints)) for _ in self.ladder.steps[:-1])

    @property
    def top_rung(self) -> int:
        """The index of the rung on which trials are trained for R epochs. `rungs` does not contain it: trials end there."""
        return len(self.rungs)

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        """Return the job of `get_job` in algorithm 2."""
        # The stopping variant promotes nothing: each trial is started for all epochs, and `on_report` stops it.
        if self.is_stopping:
            return Start(self.ladder.fidelities[-1])
        # Algorithm 2, get_job: promote the best candidate of the highest rung that has one.
        for k in reversed(range(self.top_rung)):
            promotable = self.rungs[k].find_promotable(self.eta, self.capped, self.grace)
            if promotable is not None:
                return self._make_resume(promotable, k + 1)
        # Otherwise start a trial on the bottom rung. If no trial may be started any more, promote the best trial of a rung
        # instead (not in the paper, where a search does not end). If no such trial is paused, return a Start, which the
        # controller ignores.
        final_promotion = None if may_start else self._find_leader_promotion()
        return final_promotion or Start(self.ladder.fidelities[0])

    def _find_leader_promotion(self) -> Job | None:
        """Return the job that promotes the best trial of the highest rung whose best trial is still paused, or None."""
        for k in reversed(range(self.top_rung)):
            best = self.rungs[k].find_waiting_leader()
            if best is not None:
                return self._make_resume(best, k + 1)
        return None

    def _make_resume(self, trial: TrialId, rung: int) -> Resume:
        return Resume(trial, self.ladder.fidelities[rung], self.ladder.get_step_offset(rung))

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            for rung in self.rungs[: self.ladder.find_rung(job.until)]:
                rung.promote(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        """Return PAUSE when the trial reaches a new rung below the top rung, otherwise CONTINUE.

        In the stopping variant, return STOP in place of PAUSE if the trial is not among the best 1/eta of the rung, and
        CONTINUE if it is.
        """
        # The number of rungs below the top rung that the trial has reached.
        reached = sum(step <= report.step for step in self.ladder.steps[:-1])
        if reached == 0 or trial.id in self.rungs[reached - 1]:
            return Action.CONTINUE
        rung = self.rungs[reached - 1]
        rung.add(trial.id, trial.metrics_at(report.step))
        if report.step >= self.ladder.steps[-1]:
            return Action.CONTINUE
        if not self.is_stopping:
            return Action.PAUSE
        return Action.CONTINUE if rung.is_in_top(trial.id, self.eta) else Action.STOP

    def on_end(self, trial: Trial) -> None:
        # A trial whose train function returned before the last step of its job has its final value already. It
        # counts with this value on the rungs between its last step and the last step of the job as well.
        if trial.ended_by_itself:
            for step, rung in zip(self.ladder.steps[:-1], self.rungs, strict=True):
                if trial.step < step <= trial.target_step:
                    rung.add(trial.id, trial.metrics)
        # A trial that has ended with a value keeps its position in the order, but cannot be promoted.
        for rung in self.rungs:
            if trial.status.failed:
                rung.remove(trial.id)
            else:
                rung.retire(trial.id)
