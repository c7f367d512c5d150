"""Median stopping, progressive hurdles, PASHA, ASHA's variants and PBT, each against its rule done by hand."""

from __future__ import annotations

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
from ogive.testing.workers import Fate, Log, Workers, World
from ogive.trial import Proposal, Report, Status, Trial

ACCURACY = (Objective("accuracy"),)


def run(schedule: Schedule, world: World, trials: int, workers: int = 1) -> Log:
    return Workers(schedule, world, tiny(), trials, workers).run()


def trial(number: int, values: list[float], status: Status = Status.RUNNING) -> Trial:
    reports = tuple(Report(step + 1, {"accuracy": value}) for step, value in enumerate(values))
    return Trial(number, None, {"epochs": 4}, status=status, reports=reports)  # type: ignore[arg-type]


def test_median_rule_is_viziers() -> None:
    rng = np.random.default_rng(0)
    curves = rng.random((7, 4))
    schedule = Median(ACCURACY, epochs=4, min_trials=3)
    for number, curve in enumerate(curves):
        schedule.on_end(trial(number, curve.tolist(), Status.FINISHED))
    for number in range(200):
        values = rng.random(1 + number % 3).tolist()
        median = np.median([curve[: len(values)].mean() for curve in curves])
        expected = Action.STOP if max(values) < median else Action.CONTINUE
        asked = trial(100 + number, values)
        assert schedule.on_report(asked, asked.reports[-1]) is expected


def test_hurdles_are_the_means_of_those_before() -> None:
    """Trials 0 to 3 are judged after 1 epoch; their mean, 0.15, is the hurdle of 4 to 7; and so on."""
    log = run(ProgressiveDynamicHurdles(ACCURACY, epochs=9, models=4), lambda i: Fate(lambda epoch: i / 10), 12)
    assert [log.trials[i].step for i in range(12)] == [1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9]
    falling = run(ProgressiveDynamicHurdles(ACCURACY, epochs=9, models=4), lambda i: Fate(lambda epoch: -i / 10), 12)
    assert {falling.trials[i].step for i in range(4, 12)} == {1}


def test_a_hurdle_that_falls_between_two_reports_is_to_be_taken_at_the_later_one() -> None:
    """Trials report every second epoch: the hurdle at 3, the mean of four that reached 0.5, is looked at after epoch 4."""
    schedule = ProgressiveDynamicHurdles(ACCURACY, epochs=9, models=4, min_epochs=3)
    for number in range(4):
        schedule.on_end(trial(number, [0.5] * 3, Status.FINISHED))
    for value, expected in ((0.6, Action.CONTINUE), (0.4, Action.STOP)):
        reports = tuple(Report(step, {"accuracy": value}) for step in (2, 4, 6))
        asked = [Trial(9, None, {"epochs": 9}, reports=reports[: n + 1]) for n in range(3)]  # type: ignore[arg-type]
        found = [schedule.on_report(t, t.reports[-1]) for t in asked]
        assert found == [Action.CONTINUE, expected, Action.CONTINUE]


def test_capped_promotions_are_no_more_than_the_rung_allows() -> None:
    """Each trial is better than all before, as under a strategy that improves."""

    def reached(**options: Any) -> int:
        log = run(ASHA(ACCURACY, epochs=3, **options), lambda i: Fate(lambda epoch: i / 100), 60)
        return sum(trial.step == 3 for trial in log.trials.values())

    assert (reached(capped=False), reached()) == (58, 20)


def test_the_first_trials_of_a_rung_earn_no_promotion() -> None:
    """With eta 3 and grace 3 the first to go on is the best of 6, and of 60 there are (60 - 3) / 3 that do."""
    log = run(ASHA(ACCURACY, epochs=3, grace=3), lambda i: Fate(lambda epoch: i / 100), 60)
    resumed = [job.trial for _, job in log.jobs if isinstance(job, Resume)]
    assert (resumed[0], len(resumed)) == (5, 19)


def test_the_best_of_a_short_search_is_trained_in_full() -> None:
    log = run(ASHA(ACCURACY, epochs=27), lambda i: Fate(lambda epoch: i / 100), 10)
    assert log.trials[9].step == 27
    assert log.trials[9].status is Status.FINISHED


def test_the_stopping_variant_needs_no_checkpoint() -> None:
    log = run(ASHA(ACCURACY, epochs=9, variant="stopping"), lambda i: Fate(lambda epoch: i % 7 / 7), 70)
    assert not any(isinstance(job, Resume) for _, job in log.jobs)
    assert {t.status for t in log.trials.values()} == {Status.FINISHED, Status.STOPPED}
    assert all(t.step == 1 for t in log.trials.values() if t.id > 20 and t.id % 7 < 4)
    assert all(t.step >= 3 for t in log.trials.values() if t.id % 7 == 6)


def test_pasha_goes_higher_only_while_the_order_changes() -> None:
    steady = run(PASHA(ACCURACY, epochs=81), lambda i: Fate(lambda epoch: (i * 37 % 100 + epoch) / 200), 100)
    assert max(trial.step for trial in steady.trials.values()) == 3
    ends = np.random.default_rng(0).random((200, 2))  # where a curve begins, and where it would end

    def turning(i: int) -> Fate:
        return Fate(lambda epoch: float(np.interp(np.log(epoch) / np.log(81), [0, 1], ends[i])))

    log = run(PASHA(ACCURACY, epochs=81), turning, 200)
    assert max(trial.step for trial in log.trials.values()) > 9


def test_pasha_forgives_a_turn_within_the_noise_of_curves_that_cross() -> None:
    schedule = PASHA(ACCURACY, epochs=81)
    wavy = [[0.5 + 0.02 * (-1) ** (i + step) for step in range(4)] for i in range(2)]
    trials = [trial(i, values) for i, values in enumerate([*wavy, [0.1] * 4])]
    assert schedule._epsilon(trials) == pytest.approx(0.04)
    assert schedule._epsilon(trials[1:]) == 0, "curves that do not cross say nothing of the noise"


def test_pasha_finds_the_orders_of_two_rungs_alike_where_the_paper_does() -> None:
    """Sections 4.2 and 4.3 written out with sets: a place's soft rank below holds all that are as good but for noise."""
    rng, seen = np.random.default_rng(0), set()
    for _ in range(400):
        curves = {
            i: rng.random(3).round(1).tolist() for i in range(int(rng.integers(2, 5)))
        }  # rungs after epochs 1 and 3
        noise = []
        for i, j in combinations(curves, 2):
            signs = [np.sign(a - b) for a, b in zip(curves[i], curves[j], strict=True) if a != b]
            if sum(a != b for a, b in pairwise(signs)) >= 2:
                noise.append(abs(curves[i][2] - curves[j][2]))
        epsilon = np.percentile(noise, 90) if noise else 0.0
        below, above = (sorted(curves, key=lambda i, k=k: (-curves[i][k], i)) for k in (0, 2))
        soft = [{i for i in curves if abs(curves[i][0] - curves[place][0]) <= epsilon} for place in below]
        expected = all(i in places for i, places in zip(above, soft, strict=True))
        schedule = PASHA(ACCURACY, epochs=81)
        schedule._there = {i: trial(i, curve) for i, curve in curves.items()}
        assert schedule._agree() == expected, curves
        seen.add((expected, bool(noise)))
    assert len(seen) == 4, "alike or not, with noise and without"


def test_pbt_moves_the_population_to_the_better_weights() -> None:
    """What a member reports grows with its learning rate; a member that inherits goes on at the donor's step."""
    schedule = PBT({"learning_rate": [0.01, 1.0]}, ACCURACY, epochs=20, population=8, interval=2, quantile=0.25)
    log = run(schedule, lambda i: Fate(lambda epoch: epoch / (i + 1)), 60, workers=3)
    children = [t for t in log.trials.values() if t.proposal.inherit is not None]
    assert children
    for child in children:
        donor, step = child.proposal.inherit  # type: ignore[misc]
        parent = log.trials[donor].proposal
        assert child.began == step
        assert child.architecture == parent.architecture
        factor = child.proposal.settings["learning_rate"] / parent.settings["learning_rate"]
        assert 0.01 <= child.proposal.settings["learning_rate"] <= 1.0
        assert factor > 0
    dropped = {job.trial for _, job in log.jobs if isinstance(job, Drop)}
    assert len(dropped) == len(children)
    finished = [t for t in log.trials.values() if t.status is Status.FINISHED]
    assert len(finished) == 8
    assert {t.step for t in finished} == {20}


def member(
    schedule: PBT, number: int, place: int, values: list[float], inherit: tuple[int, int] | None = None
) -> Trial:
    """A trial in a place of the population that has reported these accuracies, each after an interval of 1."""
    began = inherit[1] if inherit else 0
    proposal = Proposal(tiny().sample(np.random.default_rng(0)), inherit, {"lr": 0.5})
    made = Trial(number, proposal, {"epochs": 1}, began=began)
    schedule.on_job(made, Start({"epochs": 1}, {"member": place}, began))
    return reports(schedule, made, values)


def reports(schedule: PBT, made: Trial, values: list[float]) -> Trial:
    for value in values:
        step = max(made.step, made.began) + 1
        if made.reports:
            schedule.on_job(made, Resume(made.id, {"epochs": step - made.began}, made.began))
        done = (*made.reports, Report(step, {"accuracy": value}))
        made = made.changed(reports=done, fidelity={"epochs": step - made.began})
        assert schedule.on_report(made, done[-1]) is Action.PAUSE
    return made


def test_pbt_hands_on_the_last_checkpoint_of_a_member_that_is_trained_meanwhile() -> None:
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=2, interval=1, quantile=0.5)
    member(schedule, 0, 0, [0.1])
    best = member(schedule, 1, 1, [0.2])
    schedule.on_job(best, Resume(1, {"epochs": 2}))
    job = schedule.next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.proposal is not None
    assert job.proposal.inherit == (1, 1)
    assert schedule.handed_on() == {0: 1, 1: 1}


def test_pbt_ranks_a_new_member_by_its_donor_until_it_reports() -> None:
    """Of 0.1, 0.2, 0.3, 0.4 the first was replaced by the best. Then 0.2 is the worst, and the new one is not."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=4, interval=1, quantile=0.25)
    for number in range(4):
        member(schedule, number, number, [0.1 + number / 10])
    child = member(schedule, 4, 0, [], inherit=(3, 1))
    schedule.on_end(trial(0, [0.1], Status.STOPPED))
    job = schedule.next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.note == {"member": 1}
    reports(schedule, child, [0.05])
    schedule.on_job(Trial(1, child.proposal), Resume(1, {"epochs": 2}))
    schedule.on_job(Trial(2, child.proposal), Resume(2, {"epochs": 2}))
    schedule.on_job(Trial(3, child.proposal), Resume(3, {"epochs": 2}))
    reports(schedule, trial(1, [0.2]).changed(proposal=child.proposal), [0.01])
    job = schedule.next_job(np.random.default_rng(0))
    assert job == Resume(4, {"epochs": 2}, 1), "of the two that are compared at step 2 the new one is the better"


def test_pbt_ranks_a_new_member_by_its_donor_at_steps_without_a_value_of_its_own() -> None:
    """At step 2 the child has a training loss only: by its donor's accuracy, 0.4, it is not the worst there."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=4, interval=1, quantile=0.25)
    for number in range(4):
        member(schedule, number, number, [0.1 + number / 10])
    child = member(schedule, 4, 0, [], inherit=(3, 1))
    schedule.on_end(trial(0, [0.1], Status.STOPPED))
    own = (Report(2, {"loss": 1.0}), Report(3, {"loss": 0.9, "accuracy": 0.5}))
    assert schedule.on_report(child.changed(reports=own), own[-1]) is Action.PAUSE
    for number in (1, 2):
        schedule.on_job(Trial(number, child.proposal), Resume(number, {"epochs": 2}))
    reports(schedule, trial(1, [0.2]).changed(proposal=child.proposal), [0.3])
    schedule.on_job(Trial(3, child.proposal), Resume(3, {"epochs": 2}))
    assert schedule.next_job(np.random.default_rng(0)) != Resume(1, {"epochs": 3}), "0.3 is the worst at step 2"


@pytest.mark.parametrize(("inherit", "began"), [((0, 1), 0), ((0, 1), 1), ((9, 1), 1)])
def test_pbt_reads_journals_in_which_a_repeated_member_inherits_from_who_has_left(
    inherit: tuple[int, int], began: int
) -> None:
    """As earlier versions wrote them: the donor has been replaced, or the member counts its own steps."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=3, interval=1, quantile=0.5)
    for number in range(2):
        member(schedule, number, number, [0.1 + number / 10])
    child = member(schedule, 2, 0, [0.3], inherit=(1, 1))
    schedule.on_end(trial(0, [0.1], Status.STOPPED))
    late = Trial(3, Proposal(child.architecture, inherit, {"lr": 0.5}), {"epochs": 1}, began=began)
    schedule.on_job(late, Start({"epochs": 1}, {"member": 2}, began))
    assert reports(schedule, late, [0.4, 0.5]).step == began + 2


def test_pbt_replaces_a_share_of_those_that_have_reported() -> None:
    """Of 10 places 5 have reported; a fifth of these is one."""
    schedule = PBT({"lr": [0.1, 1.0]}, ACCURACY, epochs=9, population=10, interval=1, quantile=0.2)
    for number in range(5):
        member(schedule, number, number, [number / 10])
    for number in range(5, 10):
        member(schedule, number, number, [])
    job = schedule.next_job(np.random.default_rng(0))
    assert isinstance(job, Start)
    assert job.note == {"member": 0}
    schedule.on_job(Trial(0, Proposal(tiny().sample(np.random.default_rng(0)))), Resume(0, {"epochs": 2}))
    assert schedule.next_job(np.random.default_rng(0)) == Resume(1, {"epochs": 2}), "the second from below stays"


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
        ("asha", {"fidelities": {"epochs": 0.5}}, "for epochs there are min_epochs and max_epochs"),
        ("hyperband", {"fidelities": {"resolution": 2}}, "above 0 and below 1"),
        ("hyperband", {"eta": 1}, "eta is 1, but must be a whole number of at least 2"),
        ("successive_halving", {"min_epochs": 30}, "min_epochs is 30, but must be at most max_epochs, which is 9"),
        ("successive_halving", {"min_epochs": 9}, "on one rung every trial is trained in full"),
        ("pasha", {"min_epochs": 9}, "schedule 'pasha': min_epochs is 9, and so is max_epochs"),
        ("hyperband", {"min_epochs": 9}, "give min_epochs below 9, further fidelities, or schedule 'full'"),
        ("median", {"min_epochs": 30}, "min_epochs is 30"),
        ("pasha", {"percentile": 101}, "a number from 0 to 100"),
        ("pbt", {}, "needs its option 'settings'"),
        ("pbt", {"settings": {"lr": [1, 0.1]}}, "low below high"),
        (
            "pbt",
            {"settings": {"lr": [0.1, 1]}, "mutate": True},
            "weights fit the architecture they were trained in only",
        ),
    ],
)
def test_what_cannot_be_is_named(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(JobError, match=text):
        schedules.create(name, objectives="accuracy", epochs=9, **options)
