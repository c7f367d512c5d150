"""Population based training (PBT): poor members are replaced by copies of good members with other settings.

Jaderberg et al., "Population Based Training of Neural Networks" (2017), algorithm 1. Exploit is truncation selection
(section 4.1); explore perturbs or resamples each setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective, rank_metrics
from ogive.registry import check_whole_number
from ogive.schedule.base import Action, Done, Drop, Job, Resume, Schedule, Start, Wait
from ogive.trial import Proposal, Report, Step, Trial, TrialId, are_finite

NAME = "schedule 'pbt'"
FACTORS = (0.8, 1.2)
"""A setting is perturbed by one of these factors."""
RESAMPLING_PROBABILITY = 0.25
"""The probability that a setting is resampled rather than multiplied by one of `FACTORS`."""


@dataclass(kw_only=True)
class Member:
    """A member of the population.

    Attributes:
        record: the current trial of the member. If the trial inherited weights, the donor's reports come before its own, so
            that the member is ranked by the donor's values until it has reported. The value of `record` is always its last
            report.
        inherited_count: the number of reports of `record` that are the donor's.
        compared_at: the step of the last comparison, whose checkpoint others may inherit; 0 before the first comparison.
        ready_since: the number of the comparison after which the member began to wait for a worker, from 1; 0 if it does
            not wait.
        has_ended: whether the trial has ended.
    """

    record: Trial
    inherited_count: int = 0
    compared_at: Step = 0
    ready_since: int = 0
    has_ended: bool = False


class PBT(Schedule):
    """Trains a population, and compares each member with the others after every `interval` epochs.

    If the member is one of the worst `quantile`, its trial ends, and a new trial takes its place. The new trial has the
    architecture of one of the best members, inherits its weights (`trial.inherited()`) and continues with perturbed settings
    (`trial.settings`). The search is done when every member has been trained for all `epochs`.

    Of n members with a report, k = max(1, floor(quantile n)) are the worst, and k are the best. A member is one of the worst
    if n - k other members are better; two members are compared at the last step that both have reached. The members that
    were trained least are trained first. The share of members that is replaced therefore hardly depends on the number of
    workers, if all epochs take about the same time: the share differs by at most 10%, with quantile 0.5 by up to 26%
    (`benchmarks/schedules.py --what pbt`). If epochs take very different times, fewer members are replaced with many
    workers. The best members are those with the best last reports, even while they are being trained. A new trial inherits
    the weights that a best member had at its last comparison; the checkpoint of this comparison is kept.

    As in the paper, the value of a member is its last report, even with `Objective(epoch="best")`: weights that have become
    worse are not inherited because of an earlier value. A member that fails is replaced by a new member. With
    `retry_failed`, its trial may be repeated instead.

    Options:
        settings: the range [low, high] of each setting by name; sampled log-uniformly if low is above 0.
        population: the number of members.
        interval: the number of epochs between two comparisons.
        quantile: the share of the worst members, and of the best; above 0, at most 0.5.
        mutate: must be False, since inherited weights fit only the architecture in which they were trained.
    """

    inherits_weights = True

    def __init__(
        self,
        settings: Mapping[str, Sequence[float]],
        objectives: Sequence[Objective] = (),
        constraints: Sequence[Constraint] = (),
        epochs: int | None = None,
        *,
        population: int = 10,
        interval: int = 1,
        quantile: float = 0.2,
        mutate: bool = False,
    ) -> None:
        if epochs is None:
            raise JobError(f"{NAME} needs the number of epochs of full training; give epochs")
        if mutate:
            raise JobError(
                f"{NAME}: mutate=True would change the architecture of a member that inherits weights, but weights fit only "
                "the architecture that they were trained in; leave out mutate, or search with a strategy of evolution"
            )
        self.epochs = check_whole_number(NAME, "epochs", epochs, at_least=1)
        self.population = check_whole_number(NAME, "population", population, at_least=2)
        self.interval = check_whole_number(NAME, "interval", interval, at_least=1)
        if isinstance(quantile, bool) or not isinstance(quantile, (int, float)) or not 0 < quantile <= 0.5:
            raise JobError(f"{NAME}: quantile is {quantile!r}, but must be a number above 0 and at most 0.5")
        self.quantile = float(quantile)
        self.ranges = _parse_ranges(settings)
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        self._members: dict[int, Member] = {}
        self._member_of: dict[TrialId, int] = {}
        self._replaced: list[TrialId] = []  # the trials that were replaced and must be dropped
        self._comparisons = 0

    # -- jobs ----------------------------------------------------------------------------------------------------

    def next_job(self, rng: np.random.Generator, may_start: bool = True) -> Job:
        if self._replaced:
            return Drop(self._replaced[0], "replaced by a better member of the population")
        # Algorithm 1, initialization: start members with random settings. A member that has failed is replaced in this way.
        missing = next((number for number in range(self.population) if number not in self._members), None)
        if missing is not None and may_start:
            settings = {name: _sample(rng, *bounds) for name, bounds in self.ranges.items()}
            return Start(self._next_fidelity(0), {"member": missing}, settings=settings)
        # Algorithm 1 trains all members at once. With fewer workers, train the member that was trained least first:
        # otherwise some members would be compared much later than others.
        waiting = [number for number, member in self._members.items() if member.ready_since]
        if waiting:
            number = min(waiting, key=lambda n: (self._members[n].compared_at, self._members[n].ready_since))
            trial = self._members[number].record
            replacement = self._exploit_and_explore(number, rng) if may_start else None
            return replacement or Resume(
                trial.id, self._next_fidelity(trial.step, trial.step_offset), trial.step_offset
            )
        return Wait() if any(not member.has_ended for member in self._members.values()) else Done()

    def _exploit_and_explore(self, number: int, rng: np.random.Generator) -> Start | None:
        """Return the job that replaces a member by a copy of a donor; None if it is not one of the worst or has no donor."""
        # Section 4.1, truncation selection: the member must be one of the worst k of those that have reported.
        trials = {n: member.record for n, member in self._members.items() if member.record.reports}
        k = max(1, int(self.quantile * len(trials) + 1e-9))  # 1e-9 is for rounding errors: 0.29 * 100 is below 29
        if len(trials) < 2 or self._count_better(number, trials) < len(trials) - k:
            return None
        # Exploit: copy the weights and settings of a random one of the best k.
        donors = [n for n in trials if n != number and self._can_be_inherited(n)]
        if not donors:
            return None
        donor_ranks = rank_metrics([trials[n].metrics for n in donors], self.objectives, self.constraints)
        best = [n for _, n in sorted(zip(donor_ranks, donors, strict=True))][:k]
        donor = self._members[best[int(rng.integers(len(best)))]]
        original = donor.record.proposal
        # Explore: perturb or resample the settings.
        settings = {name: _perturb(rng, original.settings[name], *self.ranges[name]) for name in self.ranges}
        proposal = Proposal(original.architecture, (donor.record.id, donor.compared_at), settings)
        return Start(self._next_fidelity(donor.compared_at), {"member": number}, donor.compared_at, proposal=proposal)

    def _can_be_inherited(self, number: int) -> bool:
        """Return whether a member has a checkpoint whose metrics are finite."""
        member = self._members[number]
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        return member.compared_at > 0 and are_finite(member.record.metrics_at(member.compared_at), names)

    def _count_better(self, number: int, trials: Mapping[int, Trial]) -> int:
        """Return the number of members that are better than member `number`.

        Two members are compared at the last step that both have reached. Of equally good members, the one with the lower
        number is better.
        """
        steps = {n: min(trial.step, trials[number].step) for n, trial in trials.items() if n != number}
        better = 0
        for step in set(steps.values()):
            members = [n for n, trial in trials.items() if trial.step >= step]
            ranks_at_step = rank_metrics(
                [trials[n].metrics_at(step) for n in members], self.objectives, self.constraints
            )
            keys = dict(zip(members, zip(ranks_at_step, members, strict=True), strict=True))
            better += sum(keys[n] < keys[number] for n, common_step in steps.items() if common_step == step)
        return better

    def _next_fidelity(self, step: int, step_offset: int | None = None) -> dict[str, int]:
        """Return the fidelity that ends at the next comparison after `step`; `step_offset` is `step` by default."""
        return {"epochs": min(step + self.interval, self.epochs) - (step if step_offset is None else step_offset)}

    # -- events --------------------------------------------------------------------------------------------------

    def inheritable_checkpoints(self) -> Mapping[TrialId, Step]:
        return {member.record.id: member.compared_at for member in self._members.values() if member.compared_at}

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        if isinstance(job, Resume):
            self._members[self._member_of[trial.id]].ready_since = 0
            return
        number = int(job.note["member"])
        donor_reports = self._collect_donor_reports(trial)
        if number in self._members:
            self._replaced.append(self._members[number].record.id)
        self._members[number] = Member(
            record=_with_donor_reports(trial, donor_reports), inherited_count=len(donor_reports)
        )
        self._member_of[trial.id] = number

    def _collect_donor_reports(self, trial: Trial) -> tuple[Report, ...]:
        """Return the donor's reports up to the step from which a new trial continues; none if it continues no training."""
        donor_id, step = trial.proposal.inherit or (-1, 0)  # -1 is the id of no trial, and the number of no member
        donor = self._members.get(self._member_of.get(donor_id, -1))
        if donor is None or donor.record.id != donor_id or not trial.continues_training:
            return ()
        return tuple(report for report in donor.record.reports if report.step <= step)

    def on_report(self, trial: Trial, report: Report) -> Action:
        member = self._members[self._member_of[trial.id]]
        member.record = _with_donor_reports(trial, member.record.reports[: member.inherited_count])
        if report.step < trial.target_step or report.step >= self.epochs:
            return Action.CONTINUE
        self._comparisons += 1
        member.compared_at, member.ready_since = report.step, self._comparisons
        return Action.PAUSE

    def on_end(self, trial: Trial) -> None:
        if trial.id in self._replaced:
            self._replaced.remove(trial.id)
            return
        number = self._member_of[trial.id]
        if trial.status.failed:
            del self._members[number]
        else:
            self._members[number].ready_since, self._members[number].has_ended = 0, True


def _with_donor_reports(trial: Trial, donor_reports: tuple[Report, ...]) -> Trial:
    """Return `trial` with the donor's reports before its own; metrics not reported yet have the donor's last values."""
    inherited = donor_reports[-1].metrics if donor_reports else {}
    reports = trial.reports
    if inherited:
        reports = tuple(replace(report, metrics={**inherited, **report.metrics}) for report in reports)
    return trial.with_changes(reports=(*donor_reports, *reports), best_epoch_rule=None)


def _parse_ranges(settings: Any) -> dict[str, tuple[float, float]]:
    """Return (low, high) of each setting.

    Raises:
        JobError: there are no settings, or a range is invalid.
    """
    if not isinstance(settings, Mapping) or not settings:
        raise JobError(
            f"{NAME}: settings is {settings!r}, but must be a mapping such as {{'learning_rate': [0.001, 0.1]}}"
        )
    ranges = {}
    for name, bounds in settings.items():
        are_numbers = isinstance(bounds, (list, tuple)) and all(isinstance(b, (int, float)) for b in bounds)
        if not are_numbers or len(bounds) != 2 or not -np.inf < bounds[0] < bounds[1] < np.inf:
            raise JobError(f"{NAME}: settings has {name!r}: {bounds!r}, but a range is [low, high] with low below high")
        ranges[name] = (float(bounds[0]), float(bounds[1]))
    return ranges


def _sample(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a random value of a setting."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) if low > 0 else float(rng.uniform(low, high))


def _perturb(rng: np.random.Generator, value: float, low: float, high: float) -> float:
    """Return a new value of a setting: a random value, or the value multiplied by one of `FACTORS`."""
    if rng.random() < RESAMPLING_PROBABILITY:
        return _sample(rng, low, high)
    return float(np.clip(value * FACTORS[int(rng.integers(2))], low, high))
