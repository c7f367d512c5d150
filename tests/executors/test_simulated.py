"""Virtual time: the clock agrees with list scheduling, and the search is the same as with real workers."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from memory import SPACE, Curve, ListLog, declare, session, value

from ogive.errors import JobError
from ogive.executors.simulated import FaultModel, SimulatedExecutor, SimulatedReport, VirtualClock
from ogive.run.executor import Assignment
from ogive.run.state import State
from ogive.seeds import generator
from ogive.trial import Status, count_steps


def evaluate(assignment: Assignment) -> Iterator[SimulatedReport]:
    """Yield the metrics of `memory.Curve`; the duration of an epoch depends on the trial."""
    architecture = SPACE.architecture(assignment.choices)
    seconds = float(generator(9, assignment.trial).integers(1, 20))
    for step in range(assignment.last_reported_step + 1, count_steps(assignment.fidelity) + 1):
        yield step, {"accuracy": value(architecture) - 1 / step}, seconds


def simulate(workers: int, faults: FaultModel | None = None, **arguments: Any) -> tuple[State, VirtualClock]:
    log, clock = ListLog([declare(**arguments)]), VirtualClock()
    controller = session(log, Curve(), Path("unused"), clock)
    controller.executor = SimulatedExecutor(clock, evaluate, workers, faults=faults)
    controller.run()
    return controller.state, clock


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_virtual_clock_ends_when_list_scheduling_ends(workers: int) -> None:
    state, clock = simulate(workers, max_trials=30, schedule="full", strategy="random")
    free = [0.0] * workers
    for number in range(30):
        heapq.heappush(free, heapq.heappop(free) + 9 * float(generator(9, number).integers(1, 20)))
    assert clock.now() == pytest.approx(max(free))
    assert state.compute_seconds == pytest.approx(sum(t.seconds for t in state.trials.values()))


def test_one_simulated_worker_gives_the_search_of_a_real_worker(tmp_path: Path) -> None:
    log = ListLog([declare(schedule="asha", max_trials=40)])
    real = session(log, Curve(), tmp_path)
    real.run()
    state, _ = simulate(1, schedule="asha", max_trials=40)
    simulated = [(t.architecture, t.step, t.status, dict(t.metrics)) for t in state.trials.values()]
    assert simulated == [(t.architecture, t.step, t.status, dict(t.metrics)) for t in real.state.trials.values()]


def test_faults_are_seeded_and_the_search_completes() -> None:
    faults = FaultModel(startup=30, spread=0.2, straggle=0.2, fail=0.1, preempt=5)
    options: dict[str, Any] = {"schedule": "asha", "max_trials": 60, "retries": 9}
    (state, clock), (second, second_clock) = simulate(4, faults, **options), simulate(4, faults, **options)
    assert clock.now() == second_clock.now()
    assert [t.metrics for t in state.trials.values()] == [t.metrics for t in second.trials.values()]
    assert state.status_counts[Status.ERROR] > 0
    assert sum(state.lost_attempt_counts.values()) > 0, "some workers were preempted"
    assert clock.now() > simulate(4, **options)[1].now()


def within(count: int, expected: float, variance: float) -> bool:
    """Return whether a count is within four standard deviations. This fails for 1 of 16,000 seeds."""
    return abs(count - expected) <= 4 * variance**0.5


def test_faults_have_the_given_frequencies() -> None:
    options: dict[str, Any] = {"schedule": "full", "strategy": "random", "max_trials": 90}
    seconds = [float(generator(9, number).integers(1, 20)) for number in range(90)]
    without_faults, _ = simulate(3, **options)
    assert all(report.seconds == seconds[t.id] for t in without_faults.trials.values() for report in t.reports)
    failing, _ = simulate(3, FaultModel(fail=0.5), **options, max_failed_trials=90)
    assert within(failing.status_counts[Status.ERROR], 45, 22.5)
    assert {t.step for t in failing.trials.values() if t.status is Status.ERROR} == set(range(9)), "at any step"
    slow, _ = simulate(3, FaultModel(straggle=0.5, slowdown=5), **options)
    paces = [{round(report.seconds / seconds[t.id], 6) for report in t.reports} for t in slow.trials.values()]
    assert all(pace in ({1.0}, {5.0}) for pace in paces), "a job is slow from its first epoch to its last"
    assert within(paces.count({5.0}), 45, 22.5)
    preempted, clock = simulate(1, FaultModel(preempt=40, startup=100), **options, retries=999)
    count = sum(preempted.lost_attempt_counts.values())
    assert within(count, preempted.compute_seconds / 3600 * 40, preempted.compute_seconds / 3600 * 40)
    assert clock.now() == pytest.approx(preempted.compute_seconds + 100 * (1 + count)), (
        "a preempted worker starts up again"
    )


def test_startup_takes_time_once_for_each_worker() -> None:
    options: dict[str, Any] = {"schedule": "full", "strategy": "random", "max_trials": 20}
    assert simulate(1, FaultModel(startup=100), **options)[1].now() == simulate(1, **options)[1].now() + 100


@pytest.mark.parametrize("wrong", [{"fail": 2}, {"slowdown": 0.5}, {"startup": -1}, {"preempt": "often"}])
def test_an_invalid_fault_model_is_an_error_that_names_the_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=f"{next(iter(wrong))}=.*a number from"):
        FaultModel(**wrong)
