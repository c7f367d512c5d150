"""Median stopping, progressive hurdles, PASHA, ASHA's variants and PBT, each compared with its rule written out."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from populations import population, replaced

from ogive import schedule as schedules
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.schedule.asha import ASHA
from ogive.schedule.base import Action, Drop, Resume, Schedule, Start
from ogive.schedule.median import Median
from ogive.schedule.pasha import PASHA
from ogive.schedule.pbt import PBT
from ogive.schedule.progressive_dynamic_hurdles import ProgressiveDynamicHurdles
from ogive.testing.spaces import tiny
from ogive.testing.workers import ControllerLog, Scenario, SimulatedController, TrialBehavior
from ogive.trial import Proposal, Report, Status, Trial

ACCURACY = (Objective("accuracy"),)


def run(schedule: Schedule, world: Scenario, trials: int, workers: int = 1) -> ControllerLog:
    return SimulatedController(schedule, world, tiny(), trials, workers).run()


def trial(number: int, values: list[float], status: Status = Status.RUNNING) -> Trial:
    reports = tuple(Report(step + 1, {"accuracy": value}) for step, value in enumerate(values))
    return Trial(number, None, {"epochs": 4}, status=status, reports=reports)  # type: ignore[arg-type]


def test_the_median_rule_is_that_of_vizier() -> None:
    rng = np.random.default_rng(0)
    curves = rng.random((7, 4))
    schedule = Median(ACCURACY, epochs=4, min_trials=3)
    for number, curve in enumerate(curves):
        schedule.on_end(trial(number, curve.tolist(), Status.FINISHED))
    for number in range(200):
        values = rng.random(1 + number % 3).tolist()
        median = np.median([curve[: len(values)].mean() for curve in curves])
        expected = Action.STOP if max(values) < median else Action.CONTINUE
        running = trial(100 + number, values)
        assert schedule.on_report(running, running.reports[-1]) is expected


def test_a_trial_without_a_finite_value_is_not_among_those_that_others_are_compared_with() -> None:
    schedule = Median(ACCURACY, epochs=4, min_trials=1)
    ended = trial(0, [math.nan], Status.FINISHED)
    assert ended.ended_by_itself
    schedule.on_end(ended)
    running = trial(1, [0.5, 0.4])
    assert schedule.on_report(running, running.reports[-1]) is Action.CONTINUE


def test_hurdles_are_the_means_of_earlier_trials() -> None:
    """Trials 0 to 3 end after 1 epoch; their mean, 0.15, is the hurdle of trials 4 to 7; and so on."""
    log = run(
        ProgressiveDynamicHurdles(ACCURACY, epochs=9, models=4), lambda i: TrialBehavior(lambda epoch: i / 10), 12
    )
    assert [log.trials[i].step for i in range(12)] == [1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9]
    falling = run(
        ProgressiveDynamicHurdles(ACCURACY, epochs=9, models=4), lambda i: TrialBehavior(lambda epoch: -i / 10), 12
    )
    assert {falling.trials[i].step for i in range(4, 12)} == {1}


def test_a_hurdle_between_two_reports_is_compared_with_the_later_one() -> None:
    """Trials report every second epoch, so the hurdle at epoch 3, which is 0.5, is compared after epoch 4."""
    schedule = ProgressiveDynamicHurdles(ACCURACY, epochs=9, models=4, min_epochs=3)
    for number in range(4):
        schedule.on_end(trial(number, [0.5] * 3, Status.FINISHED))
    for value, expected in ((0.6, Action.CONTINUE), (0.4, Action.STOP)):
        reports = tuple(Report(step, {"accuracy": value}) for step in (2, 4, 6))
        trials = [Trial(9, None, {"epochs": 9}, reports=reports[: n + 1]) for n in range(3)]  # type: ignore[arg-type]
        actions = [schedule.on_report(t, t.reports[-1]) for t in trials]
        assert actions == [Action.CONTINUE, expected, Action.CONTINUE]


def test_capped_promotions_are_at_most_a_share_of_the_rung() -> None:
    """Each trial is better than all earlier ones, as under a strategy that improves."""

    def reached(**options: Any) -> int:
        log = run(ASHA(ACCURACY, epochs=3, **options), lambda i: TrialBehavior(lambda epoch: i / 100), 60)
        return sum(trial.step == 3 for trial in log.trials.values())

    assert (reached(capped=False), reached()) == (58, 20)


def test_the_first_trials_of_a_rung_earn_no_promotion() -> None:
    """With eta 3 and grace 3 the first promoted trial is the best of 6, and of 60 trials (60 - 3) / 3 are promoted."""
    log = run(ASHA(ACCURACY, epochs=3, grace=3), lambda i: TrialBehavior(lambda epoch: i / 100), 60)
    resumed = [job.trial for _, job in log.jobs if isinstance(job, Resume)]
    assert (resumed[0], len(resumed)) == (5, 19)


def test_the_best_of_a_short_search_is_trained_in_full() -> None:
    log = run(ASHA(ACCURACY, epochs=27), lambda i: TrialBehavior(lambda epoch: i / 100), 10)
    assert log.trials[9].step == 27
    assert log.trials[9].status is Status.FINISHED


def test_the_stopping_variant_needs_no_checkpoint() -> None:
    log = run(ASHA(ACCURACY, epochs=9, variant="stopping"), lambda i: TrialBehavior(lambda epoch: i % 7 / 7), 70)
    assert not any(isinstance(job, Resume) for _, job in log.jobs)
    assert {t.status for t in log.trials.values()} == {Status.FINISHED, Status.STOPPED}
    assert all(t.step == 1 for t in log.trials.values() if t.id > 20 and t.id % 7 < 4)
    assert all(t.step >= 3 for t in log.trials.values() if t.id % 7 == 6)


def test_pasha_adds_rungs_only_while_the_ranking_changes() -> None:
    steady = run(PASHA(ACCURACY, epochs=81), lambda i: TrialBehavior(lambda epoch: (i * 37 % 100 + epoch) / 200), 100)
    assert max(trial.step for trial in steady.trials.values()) == 3
    ends = np.random.default_rng(0).random((200, 2))  # the first and the last value of each curve

    def turning(i: int) -> TrialBehavior:
        return TrialBehavior(lambda epoch: float(np.interp(np.log(epoch) / np.log(81), [0, 1], ends[i])))

    log = run(PASHA(ACCURACY, epochs=81), turning, 200)
    assert max(trial.step for trial in log.trials.values()) > 9


def test_pasha_estimates_the_noise_from_curves_that_cross_twice() -> None:
    schedule = PASHA(ACCURACY, epochs=81)
    wavy = [[0.5 + 0.02 * (-1) ** (i + step) for step in range(4)] for i in range(2)]
    trials = [trial(i, values) for i, values in enumerate([*wavy, [0.1] * 4])]
    assert schedule._estimate_epsilon(trials) == pytest.approx(0.04)
    assert schedule._estimate_epsilon(trials[1:]) == 0, "curves that do not cross say nothing about the noise"


def test_pasha_compares_two_rankings_like_the_paper() -> None:
    """Sections 4.2 and 4.3 written out with sets: the soft rank of a trial holds all trials within epsilon of it."""
    rng, cases = np.random.default_rng(0), set()
    for _ in range(400):
        # There are rungs after epochs 1 and 3.
        curves = {i: rng.random(3).round(1).tolist() for i in range(int(rng.integers(2, 5)))}
        noise = []
        for i, j in combinations(curves, 2):
            signs = [np.sign(a - b) for a, b in zip(curves[i], curves[j], strict=True) if a != b]
            if sum(a != b for a, b in pairwise(signs)) >= 2:
                noise.append(abs(curves[i][2] - curves[j][2]))
        epsilon = np.percentile(noise, 90) if noise else 0.0
        lower, upper = (sorted(curves, key=lambda i, k=k: (-curves[i][k], i)) for k in (0, 2))
        soft_ranks = [{i for i in curves if abs(curves[i][0] - curves[other][0]) <= epsilon} for other in lower]
        expected = all(i in soft_rank for i, soft_rank in zip(upper, soft_ranks, strict=True))
        schedule = PASHA(ACCURACY, epochs=81)
        schedule._trials_at_top = {i: trial(i, curve) for i, curve in curves.items()}
        assert schedule._is_ranking_stable() == expected, curves
        cases.add((expected, bool(noise)))
    assert len(cases) == 4, "equal or different rankings, with and without noise"


def test_pbt_copies_members_with_better_weights() -> None:
    """A member that inherits weights continues at the donor's step, with the donor's architecture."""
    schedule = PBT({"learning_rate": [0.01, 1.0]}, ACCURACY, epochs=20, population=8, interval=2, quantile=0.25)
    log = run(schedule, lambda i: TrialBehavior(lambda epoch: epoch / (i + 1)), 60, workers=3)
    children = [t for t in log.trials.values() if t.proposal.inherit is not None]
    assert children
    for child in children:
        donor, step = child.proposal.inherit  # type: ignore[misc]
        parent = log.trials[donor].proposal
        assert child.step_offset == step
        assert child.architecture == parent.architecture
        factor = child.proposal.settings["learning_rate"] / parent.settings["learning_rate"]
        assert 0.01 <= child.proposal.settings["learning_rate"] <= 1.0
        assert factor > 0
    dropped = {job.trial for _, job in log.jobs if isinstance(job, Drop)}
    assert len(dropped) == len(children)
    finished = [t for t in log.trials.values() if t.status is Status.FINISHED]
    assert len(finished) == 8
    assert {t.step for t in finished} == {20}


def add_member(
    schedule: PBT, trial_id: int, number: int, values: list[float], inherit: tuple[int, int] | None = None
) -> Trial:
    """Start a trial as member `number` of the population, and report these accuracies, one after each epoch."""
    began = inherit[1] if inherit else 0
    proposal = Proposal(tiny().sample(np.random.default_rng(0)), inherit, {"lr": 0.5})
    new = Trial(trial_id, proposal, {"epochs": 1}, step_offset=began)
    schedule.on_job(new, Start({"epochs": 1}, {"member": number}, began))
    return report(schedule, new, values)


def report(schedule: PBT, member: Trial, values: list[float]) -> Trial:
    """Report these accuracies of a member, one after each epoch."""
    for value in values:
        step = max(member.step, member.step_offset) + 1
        if member.reports:
            schedule.on_job(member, Resume(member.id, {"epochs": step - member.step_offset}, member.step_offset))
        reports = (*member.reports, Report(step, {"accuracy": value}))
        member = member.with_changes(reports=reports, fidelity={"epochs": step - member.step_offset})
        assert schedule.on_report(member, reports[-1]) is Action.PAUSE
    return member


def test_pbt_copies_the_last_checkpoint_of_a_member_that_is_being_trained() -> None:
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=2, interval=1, quantile=0.5)
    add_member(schedule, 0, 0, [0.1])
    best = add_member(schedule, 1, 1, [0.2])
    schedule.on_job(best, Resume(1, {"epochs": 2}))
    job = schedule.next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.proposal is not None
    assert job.proposal.inherit == (1, 1)
    assert schedule.inheritable_checkpoints() == {0: 1, 1: 1}


def test_pbt_ranks_a_new_member_by_its_donor_until_it_reports() -> None:
    """Of 0.1, 0.2, 0.3 and 0.4 the first is replaced by a copy of the best. Then 0.2 is the worst, and not the copy."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=4, interval=1, quantile=0.25)
    for number in range(4):
        add_member(schedule, number, number, [0.1 + number / 10])
    child = add_member(schedule, 4, 0, [], inherit=(3, 1))
    schedule.on_end(trial(0, [0.1], Status.STOPPED))
    job = schedule.next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.note == {"member": 1}
    report(schedule, child, [0.05])
    schedule.on_job(Trial(1, child.proposal), Resume(1, {"epochs": 2}))
    schedule.on_job(Trial(2, child.proposal), Resume(2, {"epochs": 2}))
    schedule.on_job(Trial(3, child.proposal), Resume(3, {"epochs": 2}))
    report(schedule, trial(1, [0.2]).with_changes(proposal=child.proposal), [0.01])
    job = schedule.next_job(np.random.default_rng(0))
    assert job == Resume(4, {"epochs": 2}, 1), "of the two members that are compared at step 2 the new one is better"


def test_pbt_ranks_a_new_member_by_its_donor_at_steps_without_a_value_of_its_own() -> None:
    """At step 2 the child has only a training loss: by its donor's accuracy, 0.4, it is not the worst."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=4, interval=1, quantile=0.25)
    for number in range(4):
        add_member(schedule, number, number, [0.1 + number / 10])
    child = add_member(schedule, 4, 0, [], inherit=(3, 1))
    schedule.on_end(trial(0, [0.1], Status.STOPPED))
    child_reports = (Report(2, {"loss": 1.0}), Report(3, {"loss": 0.9, "accuracy": 0.5}))
    assert schedule.on_report(child.with_changes(reports=child_reports), child_reports[-1]) is Action.PAUSE
    for number in (1, 2):
        schedule.on_job(Trial(number, child.proposal), Resume(number, {"epochs": 2}))
    report(schedule, trial(1, [0.2]).with_changes(proposal=child.proposal), [0.3])
    schedule.on_job(Trial(3, child.proposal), Resume(3, {"epochs": 2}))
    assert schedule.next_job(np.random.default_rng(0)) != Resume(1, {"epochs": 3}), "0.3 is the worst at step 2"


@pytest.mark.parametrize(("inherit", "began"), [((0, 1), 0), ((0, 1), 1), ((9, 1), 1)])
def test_pbt_reads_journals_in_which_a_repeated_member_inherits_from_a_replaced_one(
    inherit: tuple[int, int], began: int
) -> None:
    """Earlier versions wrote such journals: the donor was replaced, or the member counted its steps from 0."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=3, interval=1, quantile=0.5)
    for number in range(2):
        add_member(schedule, number, number, [0.1 + number / 10])
    child = add_member(schedule, 2, 0, [0.3], inherit=(1, 1))
    schedule.on_end(trial(0, [0.1], Status.STOPPED))
    late = Trial(3, Proposal(child.architecture, inherit, {"lr": 0.5}), {"epochs": 1}, step_offset=began)
    schedule.on_job(late, Start({"epochs": 1}, {"member": 2}, began))
    assert report(schedule, late, [0.4, 0.5]).step == began + 2


def test_pbt_replaces_a_share_of_the_members_that_have_reported() -> None:
    """Five of 10 members have reported; a fifth of these is one."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=10, interval=1, quantile=0.2)
    for number in range(5):
        add_member(schedule, number, number, [number / 10])
    for number in range(5, 10):
        add_member(schedule, number, number, [])
    job = schedule.next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.note == {"member": 0}
    schedule.on_job(Trial(0, Proposal(tiny().sample(np.random.default_rng(0)))), Resume(0, {"epochs": 2}))
    assert schedule.next_job(np.random.default_rng(0)) == Resume(1, {"epochs": 2}), "the second worst is not replaced"


def test_the_share_that_pbt_replaces_does_not_depend_on_the_number_of_workers() -> None:
    shares = [np.mean([replaced(population(workers, seed)) for seed in range(5)]) for workers in (1, 2, 5, 10, 12)]
    assert min(shares) > 0.8 * max(shares), shares


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("asha", {"grace": -1}, "grace is -1, but must be a whole number of at least 0"),
        ("asha", {"grace": 3, "variant": "stopping"}, "promotes nothing"),
        ("asha", {"variant": "both"}, "variant is 'both', but must be one of promotion, stopping"),
        ("asha", {"variant": "stopping", "fidelities": {"resolution": 0.5}}, "trials start again"),
        ("asha", {"fidelities": {"epochs": 0.5}}, "for epochs use min_epochs and max_epochs"),
        ("hyperband", {"fidelities": {"resolution": 2}}, "above 0 and below 1"),
        ("hyperband", {"eta": 1}, "eta is 1, but must be a whole number of at least 2"),
        ("successive_halving", {"min_epochs": 30}, "min_epochs is 30, but must be at most max_epochs, which is 9"),
        ("successive_halving", {"min_epochs": 9}, "with one rung, every trial is trained in full"),
        ("pasha", {"min_epochs": 9}, "schedule 'pasha': min_epochs and max_epochs are both 9"),
        ("hyperband", {"min_epochs": 9}, "give min_epochs below 9, further fidelities, or use schedule 'full'"),
        ("median", {"min_epochs": 30}, "min_epochs is 30"),
        ("pasha", {"percentile": 101}, "a number from 0 to 100"),
        ("pbt", {}, "needs the option 'settings'"),
        ("pbt", {"settings": {"lr": [1, 0.1]}}, "low below high"),
        (
            "pbt",
            {"settings": {"lr": [0.1, 1]}, "mutate": True},
            "weights fit only the architecture that they were trained in",
        ),
    ],
)
def test_errors_name_the_invalid_option(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(JobError, match=text):
        schedules.create(name, objectives="accuracy", epochs=9, **options)
