"""Successive halving and Hyperband: the published sizes of brackets, promotions, and waiting workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from ogive import schedule as schedules
from ogive.objective import Objective
from ogive.schedule.asha import ASHA
from ogive.schedule.base import Drop, Resume, Schedule, Start, Wait
from ogive.schedule.hyperband import Hyperband
from ogive.schedule.ladder import Ladder
from ogive.schedule.successive_halving import SuccessiveHalving
from ogive.testing.spaces import tiny
from ogive.testing.workers import SCENARIOS, ControllerLog, Scenario, SimulatedController, TrialBehavior
from ogive.trial import Status

ACCURACY = (Objective("accuracy"),)


def run(schedule: Schedule, world: Scenario, trials: int, workers: int = 4) -> ControllerLog:
    return SimulatedController(schedule, world, tiny(), trials, workers).run()


def steps(log: ControllerLog) -> Counter[int]:
    return Counter(trial.step for trial in log.trials.values())


def test_successive_halving_has_the_published_sizes_and_keeps_the_best() -> None:
    """100, 50, 25, 12, 6, 3, 1 trials reach 1, 2, 4 ... 64 epochs, and the best of each rung continue."""
    quality = [(37 * i) % 101 / 101 for i in range(100)]
    log = run(
        SuccessiveHalving(ACCURACY, epochs=64, eta=2, trials=100),
        lambda i: TrialBehavior(lambda epoch: quality[i]),
        100,
    )
    reached = [sum(trial.step >= level for trial in log.trials.values()) for level in (1, 2, 4, 8, 16, 32, 64)]
    assert reached == [100, 50, 25, 12, 6, 3, 1]
    order = sorted(log.trials.values(), key=lambda trial: (-trial.step, -quality[trial.id]))
    assert [quality[trial.id] for trial in order] == sorted(quality, reverse=True)
    assert Counter(trial.status for trial in log.trials.values()) == {Status.FINISHED: 1, Status.STOPPED: 99}


def test_hyperband_has_the_brackets_of_table_1() -> None:
    """Li et al. (2018), table 1: R = 81, eta = 3."""
    schedule = Hyperband(ACCURACY, epochs=81)
    assert [schedule.plan_bracket(number) for number in range(6)] == [
        (0, (81, 27, 9, 3, 1)),
        (1, (27, 9, 3, 1)),
        (2, (9, 3, 1)),
        (3, (6, 2)),
        (4, (5,)),
        (0, (81, 27, 9, 3, 1)),
    ]
    log = run(schedule, SCENARIOS["equal"], 81 + 27 + 9 + 6 + 5)
    assert steps(log) == {1: 54, 3: 18 + 18, 9: 6 + 6 + 6, 27: 2 + 2 + 2 + 4, 81: 1 + 1 + 1 + 2 + 5}


def test_a_rung_waits_for_its_last_trial_but_not_for_failed_ones() -> None:
    def world(i: int) -> TrialBehavior:
        behavior = TrialBehavior(lambda epoch: i / 10, seconds=100.0 if i == 0 else 1.0)
        return replace(behavior, fails_at=1) if i == 8 else behavior

    log = run(SuccessiveHalving(ACCURACY, epochs=9), world, 9, workers=9)
    resumed = [job.trial for _, job in log.jobs if isinstance(job, Resume)]
    # The first promotions follow after trial 0 has ended. Trial 8 has failed, and no other trial is promoted instead.
    assert resumed == [7, 6, 5, 7]


@pytest.mark.parametrize(("make", "waits"), [(SuccessiveHalving, True), (Hyperband, False), (ASHA, False)])
def test_asha_and_overlapping_brackets_keep_all_workers_busy(make: type[Schedule], waits: bool) -> None:
    """The first trial takes a hundred times as long as the others."""
    schedule = make(ACCURACY, epochs=9)  # type: ignore[call-arg]
    log = run(schedule, lambda i: TrialBehavior(lambda epoch: i / 60, seconds=100.0 if i == 0 else 1.0), 60)
    jobs = [job for (_, job), may_start in zip(log.jobs, log.may_start, strict=True) if may_start]
    assert any(isinstance(job, Wait) for job in jobs) == waits


def test_a_bracket_that_cannot_be_filled_continues_with_fewer_trials() -> None:
    log = run(SuccessiveHalving(ACCURACY, epochs=27), lambda i: TrialBehavior(lambda epoch: i / 10), 10)
    assert steps(log) == {1: 7, 3: 2, 27: 1}
    assert log.trials[9].step == 27


def test_with_other_fidelities_trials_restart_on_each_rung_and_their_steps_count_on() -> None:
    ladder = Ladder.from_options("test", 9, eta=3, fidelities={"data_fraction": 0.25})
    assert [dict(f) for f in ladder.fidelities] == [
        {"epochs": 1, "data_fraction": 0.25},
        {"epochs": 3, "data_fraction": 0.5},
        {"epochs": 9, "data_fraction": 1.0},
    ]
    assert ladder.steps == (1, 4, 13)
    log = run(Hyperband(ACCURACY, epochs=9, fidelities={"data_fraction": 0.25}), SCENARIOS["equal"], 15)
    assert set(steps(log)) == {1, 4, 13}, "the steps of a later bracket begin at the rung that it starts on"
    starts = {(job.fidelity["data_fraction"], job.step_offset) for _, job in log.jobs if isinstance(job, Start)}
    assert starts == {(0.25, 0), (0.5, 1), (1.0, 4)}


def test_rungs_of_a_fidelity_other_than_epochs_alone() -> None:
    ladder = Ladder.from_options("test", None, eta=3, fidelities={"data_fraction": 1 / 9})
    assert [f["data_fraction"] for f in ladder.fidelities] == pytest.approx([1 / 9, 1 / 3, 1.0], abs=1e-6)
    assert ladder.steps == (1, 2, 3)


@pytest.mark.parametrize("schedule", ["successive_halving", "hyperband", "dehb"])
def test_only_fully_trained_trials_finish_so_that_the_other_checkpoints_can_be_deleted(schedule: str) -> None:
    """This includes later rounds of dehb, whose lower rungs start trials that are not promoted."""
    log = run(schedules.create(schedule, objectives="accuracy", epochs=9), SCENARIOS["good"], 60)
    ended = Counter((trial.status, trial.step == 9) for trial in log.trials.values())
    assert set(ended) <= {(Status.FINISHED, True), (Status.STOPPED, False)}, ended


def test_trials_that_are_not_promoted_are_dropped_so_that_their_checkpoints_can_be_deleted() -> None:
    log = run(schedules.create("successive_halving", objectives="accuracy", epochs=9), SCENARIOS["good"], 9)
    dropped = {job.trial for _, job in log.jobs if isinstance(job, Drop)}
    assert dropped == {trial.id for trial in log.trials.values() if trial.step < 9}
