"""Population based training: bad members go on from the weights of good ones, with other settings.

Jaderberg et al., "Population Based Training of Neural Networks" (2017), algorithm 1; exploit is truncation selection
(section 4.1), explore is perturbing or resampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective, ranks
from ogive.registry import whole
from ogive.schedule.base import Action, Done, Drop, Job, Resume, Schedule, Start, Wait
from ogive.trial import Proposal, Report, Trial, TrialId

NAME = "schedule 'pbt'"
FACTORS = (0.8, 1.2)
RESAMPLED = 0.25
"""The share of settings that are drawn anew rather than multiplied by one of `FACTORS`."""


@dataclass
class Member:
    """A place in the population: the trial that holds it, and since when it waits for a worker (0: it runs)."""

    trial: Trial
    ready: int = 0
    over: bool = False


class PBT(Schedule):
    """Every member trains `interval` epochs and is then compared with the others. One of the worst `quantile` ends, and a
    new trial of a best one's architecture takes its place: it inherits that one's weights (`trial.inherited()`) and goes
    on with perturbed settings (`trial.settings`). The search is over when every member has been trained for all `epochs`.

    A member's weights are those of its last interval: whoever is to give them waits until the new trial has reported.
    So a result does not depend on how fast the workers are otherwise.

    Options:
        settings: a name and a range [low, high] for each; drawn log-uniformly where low is above 0.
        population: members.
        interval: epochs between two comparisons.
        quantile: the share that is replaced, and that replaces; above 0, at most 0.5.
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
        self.count = max(1, int(quantile * self.population))
        self.ranges = _ranges(settings)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._members: dict[int, Member] = {}
        self._of: dict[TrialId, int] = {}
        self._left: list[TrialId] = []  # to be dropped
        self._gives: dict[TrialId, TrialId] = {}  # by a new trial that has not reported yet: whose weights it reads
        self._clock = 0

    # -- jobs ----------------------------------------------------------------------------------------------------

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        if self._left:
            return Drop(self._left[0], "replaced by a better member of the population")
        free = next((place for place in range(self.population) if place not in self._members), None)
        if free is not None and may_start:
            settings = {name: _draw(rng, *bounds) for name, bounds in self.ranges.items()}
            return Start(self._fidelity(0), {"member": free}, settings=settings)
        order = self._order()
        for place in sorted((p for p, m in self._members.items() if m.ready), key=lambda p: self._members[p].ready):
            trial = self._members[place].trial
            if trial.id not in self._gives.values():  # else a new trial has yet to take its weights
                better = self._replace(place, order, rng) if may_start else None
                return better or Resume(trial.id, self._fidelity(trial.step, trial.began), trial.began)
        return Wait() if any(not member.over for member in self._members.values()) else Done()

    def _order(self) -> list[int]:
        """The places of the population, the best first."""
        places = [place for place, member in self._members.items() if member.trial.reports]
        found = ranks([self._members[p].trial.metrics for p in places], self.objectives, self.constraints)
        return [place for _, place in sorted(zip(found, places, strict=True))]

    def _replace(self, place: int, order: list[int], rng: np.random.Generator) -> Start | None:
        """A new trial for a place among the worst, from one of the best that is at rest now."""
        if len(order) < 2 * self.count or place not in order[-self.count :]:
            return None
        donors = [self._members[p].trial for p in order[: self.count] if self._members[p].ready]
        if not donors:
            return None
        donor = donors[int(rng.integers(len(donors)))]
        settings = {name: _explore(rng, donor.proposal.settings[name], *self.ranges[name]) for name in self.ranges}
        proposal = Proposal(donor.architecture, (donor.id, donor.step), settings)
        return Start(self._fidelity(donor.step), {"member": place}, donor.step, proposal=proposal)

    def _fidelity(self, step: int, began: int | None = None) -> dict[str, int]:
        """Up to the next comparison after `step`, in epochs since `began` (where None: since `step`)."""
        return {"epochs": min(step + self.interval, self.epochs) - (step if began is None else began)}

    # -- events --------------------------------------------------------------------------------------------------

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Start):
            place = int(job.note["member"])
            if place in self._members:
                self._left.append(self._members[place].trial.id)
            self._members[place] = Member(trial)
            self._of[trial.id] = place
            if trial.proposal.inherit is not None:
                self._gives[trial.id] = trial.proposal.inherit[0]
        else:
            self._members[self._of[trial.id]].ready = 0

    def on_report(self, trial: Trial, report: Report) -> Action:
        self._gives.pop(trial.id, None)
        member = self._members[self._of[trial.id]]
        member.trial = trial
        if report.step < trial.until or report.step >= self.epochs:
            return Action.CONTINUE
        self._clock += 1
        member.ready = self._clock
        return Action.PAUSE

    def on_end(self, trial: Trial) -> None:
        self._gives.pop(trial.id, None)
        if trial.id in self._left:
            self._left.remove(trial.id)
            return
        place = self._of[trial.id]
        if trial.status.failed:
            del self._members[place]
        else:
            self._members[place] = Member(trial, over=True)


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
