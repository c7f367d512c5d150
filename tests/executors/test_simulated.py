"""Simulated time: what the clock says is what list scheduling by hand says, and the search is the one of real workers."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from memory import SPACE, Curve, ListLog, declare, session, value

from ogive.errors import JobError
from ogive.executors.simulated import FaultModel, Next, Simulated, VirtualClock
from ogive.run.executor import Assignment
from ogive.run.state import State
from ogive.seeds import generator
from ogive.trial import Status, until


def judge(assignment: Assignment) -> Iterator[Next]:
    """The metrics of `memory.Curve`; an epoch takes a time of the trial's own."""
    architecture = SPACE.architecture(assignment.choices)
    seconds = float(generator(9, assignment.trial).integers(1, 20))
    for step in range(assignment.reported + 1, until(assignment.fidelity) + 1):
        yield step, {"accuracy": value(architecture) - 1 / step}, seconds


def simulate(workers: int, faults: FaultModel | None = None, **declared: Any) -> tuple[State, VirtualClock]:
    log, clock = ListLog([declare(**declared)]), VirtualClock()
    controller = session(log, Curve(), Path("unused"), clock)
    controller.executor = Simulated(clock, judge, workers, faults)
    controller.run()
    return controller.state, clock


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_clock_ends_where_list_scheduling_ends(workers: int) -> None:
    state, clock = simulate(workers, max_trials=30, schedule="full", strategy="random")
    free = [0.0] * workers
    for number in range(30):
        heapq.heappush(free, heapq.heappop(free) + 9 * float(generator(9, number).integers(1, 20)))
    assert clock.now() == pytest.approx(max(free))
    assert state.seconds == pytest.approx(sum(t.seconds for t in state.trials.values()))


def test_with_one_worker_the_search_is_the_one_of_a_real_worker(tmp_path: Path) -> None:
    log = ListLog([declare(schedule="asha", max_trials=40)])
    real = session(log, Curve(), tmp_path)
    real.run()
    state, _ = simulate(1, schedule="asha", max_trials=40)
    alike = [(t.architecture, t.step, t.status, dict(t.metrics)) for t in state.trials.values()]
    assert alike == [(t.architecture, t.step, t.status, dict(t.metrics)) for t in real.state.trials.values()]


def test_weather_is_seeded_and_the_search_gets_through_it() -> None:
    faults = FaultModel(startup=30, spread=0.2, straggle=0.2, fail=0.1, preempt=5)
    options: dict[str, Any] = {"schedule": "asha", "max_trials": 60, "retries": 9}
    (state, clock), (again, same) = simulate(4, faults, **options), simulate(4, faults, **options)
    assert clock.now() == same.now()
    assert [t.metrics for t in state.trials.values()] == [t.metrics for t in again.trials.values()]
    assert state.count[Status.ERROR] > 0
    assert sum(state.lost_attempts.values()) > 0, "somebody was preempted"
    assert clock.now() > simulate(4, **options)[1].now()


def within(count: int, expected: float, variance: float) -> bool:
    """Four standard deviations: not so once in 16,000 times, were the seed another."""
    return abs(count - expected) <= 4 * variance**0.5


def test_weather_strikes_as_often_as_it_says() -> None:
    options: dict[str, Any] = {"schedule": "full", "strategy": "random", "max_trials": 90}
    seconds = [float(generator(9, number).integers(1, 20)) for number in range(90)]
    calm, _ = simulate(3, **options)
    assert all(report.seconds == seconds[t.id] for t in calm.trials.values() for report in t.reports)
    failing, _ = simulate(3, FaultModel(fail=0.5), **options, max_failed_trials=90)
    assert within(failing.count[Status.ERROR], 45, 22.5)
    assert {t.step for t in failing.trials.values() if t.status is Status.ERROR} == set(range(9)), "at any step"
    slow, _ = simulate(3, FaultModel(straggle=0.5, slowdown=5), **options)
    paces = [{round(report.seconds / seconds[t.id], 6) for report in t.reports} for t in slow.trials.values()]
    assert all(pace in ({1.0}, {5.0}) for pace in paces), "a job is slow from its first epoch to its last"
    assert within(paces.count({5.0}), 45, 22.5)
    cut, clock = simulate(1, FaultModel(preempt=40, startup=100), **options, retries=999)
    often = sum(cut.lost_attempts.values())
    assert within(often, cut.seconds / 3600 * 40, cut.seconds / 3600 * 40)
    assert clock.now() == pytest.approx(cut.seconds + 100 * (1 + often)), "a preempted worker starts anew"


def test_start_up_is_paid_once_a_worker() -> None:
    options: dict[str, Any] = {"schedule": "full", "strategy": "random", "max_trials": 20}
    assert simulate(1, FaultModel(startup=100), **options)[1].now() == simulate(1, **options)[1].now() + 100


@pytest.mark.parametrize("wrong", [{"fail": 2}, {"slowdown": 0.5}, {"startup": -1}, {"preempt": "often"}])
def test_wrong_weather_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=f"{next(iter(wrong))}=.*a number from"):
        FaultModel(**wrong)
