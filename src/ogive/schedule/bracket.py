"""Brackets of synchronous successive halving.

A bracket starts a fixed number of trials. At each of its rungs, a fixed number of them continues.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (AISTATS 2016), figure 3.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.schedule.base import Action, Drop, Job, Resume, Schedule, Start, Wait
from ogive.schedule.ladder import Ladder
from ogive.schedule.rung import Rung
from ogive.trial import Report, Trial, TrialId


class Bracket:
    """Trials that start together on one rung and pass through the rungs above it.

    A rung is complete when each of its trials has reached it, ended or failed. Then the best trials continue, and the others
    are dropped. If fewer trials can be started than planned, the number of trials on each rung is reduced in proportion.

    Args:
        number: the number of the bracket, from 0.
        first_rung: the index of the rung of `ladder` on which the trials start.
        sizes: the planned number of trials on each rung, beginning with `first_rung`.
        ladder: all rungs of the schedule.
        rungs: an empty rung for each of `sizes`.

    Attributes:
        started_count: the number of trials that were started.
        is_filling: whether trials are still to be started.
        level: the current rung, as an index into `sizes` and `rungs`.
        expected: the trials that are being trained for the current rung and have not reached it.
        promotions: the trials that are still to be resumed for the current rung, best first.
        drops: the trials that are still to be dropped.
        complete_trials: the trials that ended by themselves. They have a value on every further rung.
    """

    def __init__(
        self, *, number: int, first_rung: int, sizes: Sequence[int], ladder: Ladder, rungs: Sequence[Rung]
    ) -> None:
        self.number, self.first_rung, self.sizes = number, first_rung, tuple(sizes)
        self.ladder, self.rungs = ladder, rungs
        self.started_count = 0
        self.is_filling = True
        self.level = 0
        self.expected: set[TrialId] = set()
        self.promotions: list[TrialId] = []
        self.drops: list[TrialId] = []
        self.complete_trials: dict[TrialId, Trial] = {}

    @property
    def is_over(self) -> bool:
        """Whether the bracket has no more jobs and expects no more reports."""
        return not (self.is_filling or self.expected or self.promotions or self.drops)

    def next_job(self, may_start: bool) -> Start | Resume | Drop | None:
        """Return the next job of this bracket; None if there is none at the moment."""
        if self.drops:
            return Drop(self.drops[0], f"not among the best {self._target_size(self.level)} of its rung")
        if self.promotions:
            return self._make_resume(self.promotions[0], self.level)
        if self.is_filling and may_start:
            return Start(
                self.ladder.fidelities[self.first_rung],
                {"bracket": self.number},
                self.ladder.get_step_offset(self.first_rung),
            )
        # No more trials may be started, so the bracket cannot be filled. Once all of its trials have reached the first rung,
        # promote the best of them. `on_resume` then sets `is_filling` to False.
        if self.is_filling and not self.expected and len(self.sizes) > 1:
            best = self._rank_survivors(0)[: self._target_size(1)]
            return next((self._make_resume(trial, 1) for trial in best if trial not in self.complete_trials), None)
        return None

    def _make_resume(self, trial: TrialId, level: int) -> Resume:
        rung = self.first_rung + level
        return Resume(trial, self.ladder.fidelities[rung], self.ladder.get_step_offset(rung))

    def _target_size(self, level: int) -> int:
        """Return the number of trials to train on a rung: as planned, or fewer if the bracket could not be filled."""
        is_full = self.started_count == self.sizes[0]
        return self.sizes[level] if is_full else max(1, self.sizes[level] * self.started_count // self.sizes[0])

    def on_start(self, trial: TrialId) -> None:
        """Record that a trial was started."""
        self.started_count += 1
        self.expected.add(trial)
        self.is_filling = self.started_count < self.sizes[0]

    def on_resume(self, trial: TrialId) -> None:
        """Record that a trial was resumed."""
        # This is the first promotion of a bracket that could not be filled.
        if self.is_filling:
            self.is_filling = False
            self._advance()
        self.promotions.remove(trial)
        self.rungs[self.level - 1].promote(trial)
        self.expected.add(trial)

    def on_report(self, trial: Trial) -> Action:
        """Record a report; pause the trial if it has reached its rung."""
        if trial.id not in self.expected or trial.step < self.ladder.steps[self.first_rung + self.level]:
            return Action.CONTINUE
        self.rungs[self.level].add(trial.id, trial.metrics)
        self.expected.discard(trial.id)
        is_last = self.level == len(self.sizes) - 1
        self._advance()
        return Action.CONTINUE if is_last else Action.PAUSE

    def on_end(self, trial: Trial) -> None:
        """Record that a trial has ended."""
        if trial.ended_by_itself and trial.id in self.expected:
            self.complete_trials[trial.id] = trial
            self.rungs[self.level].add(trial.id, trial.metrics)
        self.expected.discard(trial.id)
        for trial_ids in (self.promotions, self.drops):
            if trial.id in trial_ids:
                trial_ids.remove(trial.id)
        for rung in self.rungs:
            if trial.status.failed:
                rung.remove(trial.id)
            else:
                rung.retire(trial.id)
        self._advance()

    def _advance(self) -> None:
        """Move to the next rung if the current one is complete.

        The loop is repeated if all promoted trials have ended by themselves, because then the next rung is also complete.
        """
        while not (self.is_filling or self.expected or self.promotions or self.level == len(self.sizes) - 1):
            # Figure 3: keep the best trials of the rung, and train them further.
            ranking = self._rank_survivors(self.level)
            self.level += 1
            best = ranking[: self._target_size(self.level)]
            for trial in best:
                if trial in self.complete_trials:
                    self.rungs[self.level].add(trial, self.complete_trials[trial].metrics)
                    self.rungs[self.level].retire(trial)
            self.promotions = [trial for trial in best if trial not in self.complete_trials]
            self.drops += [trial for trial in ranking[len(best) :] if trial not in self.complete_trials]

    def _rank_survivors(self, level: int) -> list[TrialId]:
        """Return the trials on the rung at `level` that have a value and have not failed or been promoted, best first."""
        rung = self.rungs[level]
        return [trial for trial in rung.sort_best_first() if trial in self.complete_trials or rung.is_waiting(trial)]


class Brackets(Schedule):
    """Base class of schedules that run one bracket after another until the search ends.

    Args:
        ladder: the fidelities of all rungs.
        overlap: whether the next bracket begins when the open brackets have no job for an idle worker (Falkner et al.,
            "BOHB", 2018, section 4.2). Otherwise the worker waits until the bracket is over.
        objectives, constraints: the objectives and the constraints of the search.
    """

    uses_rng = False

    def __init__(
        self, ladder: Ladder, overlap: bool, objectives: Sequence[Objective], constraints: Sequence[Constraint]
    ) -> None:
        self.ladder, self.overlap, self.fidelities = ladder, overlap, ladder.other_fidelities
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._open_brackets: dict[int, Bracket] = {}  # by number, without the brackets that are over
        self._created_count = 0
        self._bracket_of: dict[TrialId, Bracket] = {}

    @abstractmethod
    def plan_bracket(self, number: int) -> tuple[int, tuple[int, ...]]:
        """Return the first rung of bracket `number` (from 0), and the numbers of trials on this rung and on those above."""

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        for bracket in self._open_brackets.values():
            job = bracket.next_job(may_start)
            if job is not None:
                return job
            if not self.overlap and not bracket.is_over:
                return Wait()
        # Return a Start for the next bracket. The bracket is stored only in `on_job`, since a job must not change the state.
        # A new bracket always has a Start; the Wait is for the type checker.
        return self._create_bracket(self._created_count).next_job(may_start=True) or Wait()

    def _create_bracket(self, number: int) -> Bracket:
        """Return a new bracket with this number, without trials."""
        first_rung, sizes = self.plan_bracket(number)
        return Bracket(
            number=number, first_rung=first_rung, sizes=sizes, ladder=self.ladder, rungs=self._create_rungs(len(sizes))
        )

    def _create_rungs(self, count: int) -> list[Rung]:
        return [Rung(self.objectives, self.constraints) for _ in range(count)]

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            self._bracket_of[trial.id].on_resume(trial.id)
            return
        number = int(job.note["bracket"])
        if number == self._created_count:
            self._open_brackets[number] = self._create_bracket(number)
            self._created_count += 1
        self._bracket_of[trial.id] = self._open_brackets[number]
        self._bracket_of[trial.id].on_start(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        return self._bracket_of[trial.id].on_report(trial)

    def on_end(self, trial: Trial) -> None:
        bracket = self._bracket_of.pop(trial.id)
        bracket.on_end(trial)
        if bracket.is_over:
            self._open_brackets.pop(bracket.number, None)
