"""The brackets of DEHB: those of Hyperband, except that after the first round each rung starts new trials.

Awad, Mallik and Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization"
(IJCAI 2021), section 4.1. As in the authors' code, the first round of brackets is that of Hyperband, which promotes the best
trials of a rung. In later rounds, the strategy evolves new architectures from these trials instead.
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
    """Hyperband, except that after the first round, rungs start new trials instead of promoting trials.

    Options: those of `hyperband`.

    The strategy `dehb` reads these keys from the note of each trial:

    - `bracket`: the number of the bracket.
    - `step`: the last step of the trial's rung.
    - `from`: the last step of the rung whose trials are the parents.
    - `best`: the number of trials on that rung that are parents: the best ones.
    - `populations`: for each rung, its last step and the size of its subpopulation.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        overlap: bool = True,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> None:
        super().__init__(
            objectives,
            constraints,
            epochs,
            min_epochs=min_epochs,
            max_epochs=max_epochs,
            eta=eta,
            overlap=overlap,
            fidelities=fidelities,
        )
        # Section 4: each fidelity has its own subpopulation. Its size is the largest number of trials that a bracket has on
        # the rung of this fidelity.
        self._population_sizes = [0] * len(self.ladder)
        for number in range(len(self.ladder)):
            first_rung, sizes = self.plan_bracket(number)
            for rung, size in enumerate(sizes, start=first_rung):
                self._population_sizes[rung] = max(self._population_sizes[rung], size)

    def _create_bracket(self, number: int) -> Bracket:
        first_rung, sizes = self.plan_bracket(number)
        # The first round (one bracket for each rung) promotes trials; later rounds evolve.
        bracket_class = _PromotingBracket if number < len(self.ladder) else _EvolvingBracket
        return bracket_class(
            number=number,
            first_rung=first_rung,
            sizes=sizes,
            ladder=self.ladder,
            rungs=self._create_rungs(len(sizes)),
            population_sizes=self._population_sizes,
        )


class _PromotingBracket(Bracket):
    """A bracket of Hyperband whose trials have the note of `DEHBBrackets`."""

    def __init__(
        self,
        *,
        number: int,
        first_rung: int,
        sizes: Sequence[int],
        ladder: Ladder,
        rungs: Sequence[Rung],
        population_sizes: Sequence[int],
    ) -> None:
        super().__init__(number=number, first_rung=first_rung, sizes=sizes, ladder=ladder, rungs=rungs)
        self._population_sizes = population_sizes

    def next_job(self, may_start: bool) -> Start | Resume | Drop | None:
        job = super().next_job(may_start)
        return self._start_job(0) if isinstance(job, Start) else job

    def _start_job(self, level: int) -> Start:
        """Return the Start for a trial on the rung at `level` of the bracket, with the note for the strategy."""
        rung = self.first_rung + level
        # Section 4: the parents are the best trials of the next lower fidelity, or of the same one on the first rung.
        parent_rung = rung - 1 if level else rung
        note: Mapping[str, Any] = {
            "bracket": self.number,
            "step": self.ladder.steps[rung],
            "from": self.ladder.steps[parent_rung],
            "best": self.sizes[level],
            "populations": [list(pair) for pair in zip(self.ladder.steps, self._population_sizes, strict=True)],
        }
        return Start(self.ladder.fidelities[rung], note, self.ladder.get_step_offset(rung))


class _EvolvingBracket(_PromotingBracket):
    """A bracket that starts new trials on each rung, once all trials on the rung below were trained, ended or failed.

    Here `started_count` and `is_filling` describe the current rung only, and `rungs` is not used.
    """

    def next_job(self, may_start: bool) -> Start | None:
        return self._start_job(self.level) if self.is_filling and may_start else None

    def on_start(self, trial: TrialId) -> None:
        self.started_count += 1
        self.expected.add(trial)
        self.is_filling = self.started_count < self.sizes[self.level]

    def on_report(self, trial: Trial) -> Action:
        rung = self.first_rung + self.level
        if trial.step < self.ladder.steps[rung]:
            return Action.CONTINUE
        self._mark_done(trial.id)
        # Stop trials below the top rung, because no trial is promoted. Trials on the top rung finish by themselves.
        return Action.CONTINUE if rung == len(self.ladder) - 1 else Action.STOP

    def on_end(self, trial: Trial) -> None:
        self._mark_done(trial.id)

    def _mark_done(self, trial: TrialId) -> None:
        """Record that a trial has reached its rung or has ended; after the last trial, begin the next rung."""
        self.expected.discard(trial)
        if not self.is_filling and not self.expected and self.level < len(self.sizes) - 1:
            self.level, self.started_count, self.is_filling = self.level + 1, 0, True
