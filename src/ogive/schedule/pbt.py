"""Population based training: bad members go on from the weights of good ones, with other settings.

Jaderberg et al., "Population Based Training of Neural Networks" (2017), algorithm 1; exploit is truncation selection
(section 4.1), explore is perturbing or resampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective, ranks
from ogive.registry import whole
from ogive.schedule.base import Action, Done, Drop, Job, Resume, Schedule, Start, Wait
from ogive.trial import Proposal, Report, Step, Trial, TrialId, finite

NAME = "schedule 'pbt'"
FACTORS = (0.8, 1.2)
RESAMPLED = 0.25
"""The share of settings that are drawn anew rather than multiplied by one of `FACTORS`."""


@dataclass
class Member:
    """A place in the population.

    Attributes:
        record: the trial that holds the place, its reports behind those of the weights that it inherited: before its first
            report it is ranked by its donor's. Its value is always its last report.
        inherited: how many of these reports are not its own.
        rest: the step of its last comparison, from whose checkpoint others may go on; 0 before the first.
        ready: since when it waits for a worker; 0 where it does not.
        over: whether its trial has ended.
    """

    record: Trial
    inherited: int = 0
    rest: Step = 0
    ready: int = 0
    over: bool = False


class PBT(Schedule):
    """Every member trains `interval` epochs and is then compared with the others. One of the worst `quantile` ends, and a
    new trial of a best one's architecture takes its place: it inherits that one's weights (`trial.inherited()`) and goes
    on with perturbed settings (`trial.settings`). The search is over when every member has been trained for all `epochs`.

    Of n members with a report, k = max(1, floor(quantile n)) are the worst, and k the best. A member is one of the worst if
    n - k others are better, each at the last step that both have reached; those furthest behind are trained first. So the
    share that is replaced hardly depends on the number of workers as long as epochs take about equally long (within 10 %,
    `benchmarks/schedules.py --what pbt`; with quantile 0.5 by up to 26 %); where they take very unequal times, many workers
    replace fewer. The best are those with the best last reports, whether they are trained at the moment or not. Their
    weights are those of their last comparison, which are kept meanwhile.

    Values are last reports, as in the paper, also where a trial's value is its best epoch: weights that have become worse
    since are not handed on for what they were. The place of a member that fails is filled with a new one; a failed trial
    that is repeated takes such a place.

    Options:
        settings: a name and a range [low, high] for each; drawn log-uniformly where low is above 0.
        population: members.
        interval: epochs between two comparisons.
        quantile: the share of the worst, and of the best; above 0, at most 0.5.
        mutate: must be false: an architecture that changes would need weights that fit, and these are only inherited whole.
    """

    hands_on = True

    def __init__(
        self,
        settings: Mapping[str, Sequence[float]],
        objectives: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        population: int = 10,
        interval: int = 1,
        quantile: float = 0.2,
        mutate: bool = False,
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs to know how far a trial can go: give epochs")
        if mutate:
            raise JobError(
                f"{NAME}: mutate=True would change the architecture of a member that inherits weights, and weights fit the "
                "architecture they were trained in only; leave it out, or search with a strategy of evolution"
            )
        self.epochs = whole(NAME, "epochs", epochs, at_least=1)
        self.population = whole(NAME, "population", population, at_least=2)
        self.interval = whole(NAME, "interval", interval, at_least=1)
        if isinstance(quantile, bool) or not isinstance(quantile, (int, float)) or not 0 < quantile <= 0.5:
            raise JobError(f"{NAME}: quantile is {quantile!r}, but must be a number above 0, at most 0.5")
        self.quantile = float(quantile)
        self.ranges = _ranges(settings)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._members: dict[int, Member] = {}
        self._of: dict[TrialId, int] = {}
        self._left: list[TrialId] = []  # to be dropped
        self._clock = 0

    # -- jobs ----------------------------------------------------------------------------------------------------

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        if self._left:
            return Drop(self._left[0], "replaced by a better member of the population")
        free = next((place for place in range(self.population) if place not in self._members), None)
        if free is not None and may_start:
            settings = {name: _draw(rng, *bounds) for name, bounds in self.ranges.items()}
            return Start(self._fidelity(0), {"member": free}, settings=settings)
        ready = [place for place, member in self._members.items() if member.ready]
        if ready:
            place = min(ready, key=lambda place: (self._members[place].rest, self._members[place].ready))
            trial = self._members[place].record
            better = self._replace(place, rng) if may_start else None
            return better or Resume(trial.id, self._fidelity(trial.step, trial.began), trial.began)
        return Wait() if any(not member.over for member in self._members.values()) else Done()

    def _replace(self, place: int, rng: np.random.Generator) -> Start | None:
        """A new trial for a member among the worst, from the weights of one of the best."""
        ranked = {place: member.record for place, member in self._members.items() if member.record.reports}
        count = max(1, int(self.quantile * len(ranked) + 1e-9))
        if len(ranked) < 2 or self._better(place, ranked) < len(ranked) - count:
            return None
        others = [other for other in ranked if other != place and self._hands_on(other)]
        if not others:
            return None
        found = ranks([ranked[other].metrics for other in others], self.objectives, self.constraints)
        best = [other for _, other in sorted(zip(found, others, strict=True))][:count]
        donor = self._members[best[int(rng.integers(len(best)))]]
        kept = donor.record.proposal
        settings = {name: _explore(rng, kept.settings[name], *self.ranges[name]) for name in self.ranges}
        proposal = Proposal(kept.architecture, (donor.record.id, donor.rest), settings)
        return Start(self._fidelity(donor.rest), {"member": place}, donor.rest, proposal=proposal)

    def _hands_on(self, place: int) -> bool:
        """Whether a member has weights to hand on that were of some use."""
        member = self._members[place]
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        return member.rest > 0 and finite(member.record.at(member.rest), names)

    def _better(self, place: int, ranked: Mapping[int, Trial]) -> int:
        """How many of the others are better, each at the last step that both have reached; of equals, the lower place is."""
        steps = {other: min(trial.step, ranked[place].step) for other, trial in ranked.items() if other != place}
        better = 0
        for step in set(steps.values()):
            there = [other for other, trial in ranked.items() if trial.step >= step]
            found = ranks([ranked[other].at(step) for other in there], self.objectives, self.constraints)
            order = dict(zip(there, zip(found, there, strict=True), strict=True))
            better += sum(order[other] < order[place] for other, at in steps.items() if at == step)
        return better

    def _fidelity(self, step: int, began: int | None = None) -> dict[str, int]:
        """Up to the next comparison after `step`, in epochs since `began` (where None: since `step`)."""
        return {"epochs": min(step + self.interval, self.epochs) - (step if began is None else began)}

    # -- events --------------------------------------------------------------------------------------------------

    def handed_on(self) -> Mapping[TrialId, Step]:
        return {member.record.id: member.rest for member in self._members.values() if member.rest}

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            self._members[self._of[trial.id]].ready = 0
            return
        place = int(job.note["member"])
        former = self._inherited(trial)
        if place in self._members:
            self._left.append(self._members[place].record.id)
        self._members[place] = Member(_ranked(trial, former), len(former))
        self._of[trial.id] = place

    def _inherited(self, trial: Trial) -> tuple[Report, ...]:
        """The reports of the weights that a new trial goes on from. What starts again with others' weights has none."""
        number, step = trial.proposal.inherit or (-1, 0)
        donor = self._members.get(self._of.get(number, -1))
        if donor is None or donor.record.id != number or not trial.goes_on:
            return ()
        return tuple(report for report in donor.record.reports if report.step <= step)

    def on_report(self, trial: Trial, report: Report) -> Action:
        member = self._members[self._of[trial.id]]
        member.record = _ranked(trial, member.record.reports[: member.inherited])
        if report.step < trial.until or report.step >= self.epochs:
            return Action.CONTINUE
        self._clock += 1
        member.rest, member.ready = report.step, self._clock
        return Action.PAUSE

    def on_end(self, trial: Trial) -> None:
        if trial.id in self._left:
            self._left.remove(trial.id)
            return
        place = self._of[trial.id]
        if trial.status.failed:
            del self._members[place]
        else:
            self._members[place].ready, self._members[place].over = 0, True


def _ranked(trial: Trial, former: tuple[Report, ...]) -> Trial:
    """`trial` behind the reports of the weights that it inherited, whose metrics hold until it has reported its own."""
    known = former[-1].metrics if former else {}
    own = [replace(report, metrics={**known, **report.metrics}) for report in trial.reports] if known else trial.reports
    return trial.changed(reports=(*former, *own), best_epoch_of=None)


def _ranges(settings: Any) -> dict[str, tuple[float, float]]:
    if not isinstance(settings, Mapping) or not settings:
        raise JobError(f"{NAME}: settings is {settings!r}, but must be such as {{'learning_rate': [0.001, 0.1]}}")
    ranges = {}
    for name, bounds in settings.items():
        numbers = isinstance(bounds, (list, tuple)) and all(isinstance(b, (int, float)) for b in bounds)
        if not numbers or len(bounds) != 2 or not -np.inf < bounds[0] < bounds[1] < np.inf:
            raise JobError(f"{NAME}: settings has {name!r}: {bounds!r}, but a range is [low, high] with low below high")
        ranges[name] = (float(bounds[0]), float(bounds[1]))
    return ranges


def _draw(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) if low > 0 else float(rng.uniform(low, high))


def _explore(rng: np.random.Generator, value: float, low: float, high: float) -> float:
    if rng.random() < RESAMPLED:
        return _draw(rng, low, high)
    return float(np.clip(value * FACTORS[int(rng.integers(2))], low, high))
