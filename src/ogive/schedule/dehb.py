"""The brackets of DEHB: Hyperband's numbers, but after the first round every rung starts trials of its own.

Awad, Mallik and Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization"
(IJCAI 2021), section 4.1. Like the authors' program, the first round of brackets is that of Hyperband, in which the best of
a rung go on; from then on the strategy evolves them into new architectures instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ogive.objective import Constraint, Objective
from ogive.schedule.base import Action, Drop, Resume, Start
from ogive.schedule.bracket import Bracket
from ogive.schedule.hyperband import Hyperband
from ogive.schedule.ladder import Ladder
from ogive.schedule.rung import Rung
from ogive.trial import EMPTY, Trial, TrialId


class DEHBBrackets(Hyperband):
    """Hyperband's brackets and rungs, in which later rungs start trials rather than let some go on.

    Options: as `hyperband`.

    What is noted of a trial says at which `step` its rung stands, `from` which step, and how many of the `best` there, it is
    to descend, and, as `populations`, for how many trials the rungs at all steps are at most. The strategy `dehb` reads it.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        overlap: bool = True,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        super().__init__(objectives, constraints, epochs, min_epochs, max_epochs, eta, overlap, fidelities)
        self._populations = [0] * len(self.ladder)
        for number in range(len(self.ladder)):
            first, sizes = self.plan(number)
            for rung, size in enumerate(sizes, start=first):
                self._populations[rung] = max(self._populations[rung], size)

    def _bracket(self, number: int) -> Bracket:
        first, sizes = self.plan(number)
        kind = _Promoting if number < len(self.ladder) else _Evolving
        rungs = [Rung(*self._sought) for _ in sizes]
        return kind(number, first, sizes, self.ladder, rungs, self._populations)


class _Promoting(Bracket):
    """A bracket of Hyperband that says what its trials are for."""

    def __init__(
        self,
        number: int,
        first: int,
        sizes: Sequence[int],
        ladder: Ladder,
        rungs: Sequence[Rung],
        populations: Sequence[int],
    ) -> None:
        super().__init__(number, first, sizes, ladder, rungs)
        self._populations = populations

    def job(self, may_start: bool) -> Start | Resume | Drop | None:
        job = super().job(may_start)
        return self._start(0) if isinstance(job, Start) else job

    def _start(self, level: int) -> Start:
        rung = self.first + level
        lower = rung - 1 if level else rung
        note: Mapping[str, Any] = {
            "bracket": self.number,
            "step": self.ladder.steps[rung],
            "from": self.ladder.steps[lower],
            "best": self.sizes[level],
            "populations": [list(pair) for pair in zip(self.ladder.steps, self._populations, strict=True)],
        }
        return Start(self.ladder.fidelities[rung], note, self.ladder.began(rung))


class _Evolving(_Promoting):
    """A bracket whose every rung starts trials, once all of the rung below have come, ended or failed."""

    def job(self, may_start: bool) -> Start | None:
        return self._start(self.level) if self.filling and may_start else None

    def join(self, trial: TrialId) -> None:
        self.started += 1
        self.expected.add(trial)
        self.filling = self.started < self.sizes[self.level]

    def report(self, trial: Trial) -> Action:
        rung = self.first + self.level
        if trial.step < self.ladder.steps[rung]:
            return Action.CONTINUE
        self._arrived(trial.id)
        return Action.CONTINUE if rung == len(self.ladder) - 1 else Action.STOP  # nothing goes on from a lower rung

    def end(self, trial: Trial) -> None:
        self._arrived(trial.id)

    def _arrived(self, trial: TrialId) -> None:
        self.expected.discard(trial)
        if not self.filling and not self.expected and self.level < len(self.sizes) - 1:
            self.level, self.started, self.filling = self.level + 1, 0, True
