"""Brackets of synchronous successive halving: a fixed number of trials, of which a fixed number goes on from each rung.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (AISTATS 2016), figure 3.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from ogive.objective import Constraint, Objective
from ogive.schedule.base import Action, Drop, Job, Resume, Schedule, Start, Wait
from ogive.schedule.ladder import Ladder
from ogive.schedule.rung import Rung
from ogive.trial import Report, Trial, TrialId


class Bracket:
    """Trials that start together on the `first` rung of `ladder`; `sizes[i]` of them are trained on rung `first + i`.

    A rung is over when all that were sent there have come, ended or failed. Then the best go on, and the others are
    dropped. A bracket that is not filled any more goes on with fewer, in proportion.
    """

    def __init__(self, number: int, first: int, sizes: Sequence[int], ladder: Ladder, rungs: Sequence[Rung]) -> None:
        self.number, self.first, self.sizes, self.ladder, self.rungs = number, first, tuple(sizes), ladder, rungs
        self.started = 0
        self.filling = True  # whether further trials may join
        self.level = 0  # the rung, counted from `first`, that trials are on their way to
        self.expected: set[TrialId] = set()  # who has not come there yet
        self.next: list[TrialId] = []  # who is to be sent there, the best first
        self.left: list[TrialId] = []  # who is to be dropped
        self.ended: dict[TrialId, Trial] = {}  # those that ended by themselves: they have a value on every further rung

    @property
    def over(self) -> bool:
        """Nothing will happen in it any more."""
        return not (self.filling or self.expected or self.next or self.left)

    def job(self, may_start: bool) -> Start | Resume | Drop | None:
        """What an idle worker can do for this bracket now."""
        if self.left:
            return Drop(self.left[0], f"not among the best {self._places(self.level)} of its rung")
        if self.next:
            return self._resume(self.next[0], self.level)
        if self.filling and may_start:
            return Start(self.ladder.fidelities[self.first], {"bracket": self.number}, self.ladder.began(self.first))
        if self.filling and not self.expected and len(self.sizes) > 1:
            return next(
                (self._resume(trial, 1) for trial in self._ranking(0)[: self._places(1)] if trial not in self.ended),
                None,
            )
        return None

    def _resume(self, trial: TrialId, level: int) -> Resume:
        rung = self.first + level
        return Resume(trial, self.ladder.fidelities[rung], self.ladder.began(rung))

    def _places(self, level: int) -> int:
        full = self.started == self.sizes[0]
        return self.sizes[level] if full else max(1, self.sizes[level] * self.started // self.sizes[0])

    def join(self, trial: TrialId) -> None:
        """`trial` was started."""
        self.started += 1
        self.expected.add(trial)
        self.filling = self.started < self.sizes[0]

    def send_on(self, trial: TrialId) -> None:
        """`trial` was resumed."""
        if self.filling:  # nothing more is started
            self.filling = False
            self._advance()
        self.next.remove(trial)
        self.rungs[self.level - 1].promote(trial)
        self.expected.add(trial)

    def report(self, trial: Trial) -> Action:
        if trial.id not in self.expected or trial.step < self.ladder.steps[self.first + self.level]:
            return Action.CONTINUE
        self.rungs[self.level].add(trial.id, trial.metrics)
        self.expected.discard(trial.id)
        last = self.level == len(self.sizes) - 1
        self._advance()
        return Action.CONTINUE if last else Action.PAUSE

    def end(self, trial: Trial) -> None:
        if trial.ended_by_itself and trial.id in self.expected:
            self.ended[trial.id] = trial
            self.rungs[self.level].add(trial.id, trial.metrics)
        self.expected.discard(trial.id)
        for waiting in (self.next, self.left):
            if trial.id in waiting:
                waiting.remove(trial.id)
        for rung in self.rungs:
            rung.remove(trial.id) if trial.status.failed else rung.retire(trial.id)
        self._advance()

    def _advance(self) -> None:
        """Once all that were expected have come, the best are to go on; those that ended by themselves are there already."""
        while not (self.filling or self.expected or self.next or self.level == len(self.sizes) - 1):
            ranking = self._ranking(self.level)
            self.level += 1
            chosen = ranking[: self._places(self.level)]
            for trial in chosen:
                if trial in self.ended:
                    self.rungs[self.level].add(trial, self.ended[trial].metrics)
                    self.rungs[self.level].retire(trial)
            self.next = [trial for trial in chosen if trial not in self.ended]
            self.left += [trial for trial in ranking[len(chosen) :] if trial not in self.ended]

    def _ranking(self, level: int) -> list[TrialId]:
        """Who may go on from a rung, the best first."""
        rung = self.rungs[level]
        return [trial for trial in rung.ranking() if trial in self.ended or rung.waits(trial)]


class Brackets(Schedule):
    """One bracket after another, without end.

    Args:
        overlap: begin the next bracket where no running one has work for an idle worker (Falkner et al. 2018, section 4.2);
            else the worker waits until the bracket is over.
    """

    draws = False

    def __init__(
        self, ladder: Ladder, overlap: bool, objectives: Sequence[Objective], constraints: Sequence[Constraint]
    ) -> None:
        self.ladder, self.overlap, self.fidelities = ladder, overlap, ladder.others
        self._sought = tuple(objectives), tuple(constraints)
        self._brackets: dict[int, Bracket] = {}  # those that are not over
        self._begun = 0
        self._of: dict[TrialId, Bracket] = {}

    @abstractmethod
    def plan(self, number: int) -> tuple[int, tuple[int, ...]]:
        """The first rung of bracket `number`, from 0, and how many trials are trained on that rung and on each above it."""

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        for bracket in self._open():
            job = bracket.job(may_start)
            if job is not None:
                return job
            if not self.overlap and not bracket.over:
                return Wait()
        new = self._bracket(self._begun).job(may_start=True)
        return new or Wait()

    def _open(self) -> Iterator[Bracket]:
        return iter(self._brackets.values())

    def _bracket(self, number: int) -> Bracket:
        first, sizes = self.plan(number)
        return Bracket(number, first, sizes, self.ladder, [Rung(*self._sought) for _ in sizes])

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            self._of[trial.id].send_on(trial.id)
            return
        number = int(job.note["bracket"])
        if number == self._begun:
            self._brackets[number] = self._bracket(number)
            self._begun += 1
        self._of[trial.id] = self._brackets[number]
        self._of[trial.id].join(trial.id)

    def on_report(self, trial: Trial, report: Report) -> Action:
        return self._of[trial.id].report(trial)

    def on_end(self, trial: Trial) -> None:
        bracket = self._of.pop(trial.id)
        bracket.end(trial)
        if bracket.over:
            self._brackets.pop(bracket.number, None)
