"""Spending, projections, the cost of a point and the ledger, from journals with known durations and prices."""

from __future__ import annotations

import numpy as np
import pytest
from history import HOUR, History, lognormal

from ogive.monitor import cost
from ogive.monitor.gain import compute_gain
from ogive.monitor.ledger import compute_ledger
from ogive.monitor.utilisation import compute_utilisation
from ogive.run import spending
from ogive.run.events import Event, Kind
from ogive.run.prices import Price
from ogive.run.state import State

GPU = Price(3.0, currency="EUR", name="gpu")


def test_workers_are_paid_for_while_they_are_reserved_but_not_between_sessions() -> None:
    story = History(workers=2, price=GPU.to_json()).runs([HOUR, HOUR])
    story.tell(Kind.CLOSED)
    story.time += 100 * HOUR
    machine = Price(8.0, per="machine", currency="EUR", name="box")
    story.tell(Kind.OPENED, data={"host": "there", "workers": 2, "price": machine.to_json()})
    story.run(HOUR / 2)
    state = story.state
    spent = spending.compute_spending(state)
    assert (spent.hours, spent.worker_hours, spent.compute_hours) == (2.5, 5.0, 2.5)
    assert spent.money == pytest.approx(2 * 2 * 3.0 + 0.5 * 8.0), "a device for each worker, then one machine for both"
    assert [(line.device, line.money) for line in spending.compute_spending_by_device({"search": state})] == [
        ("gpu", 12.0),
        ("box", 4.0),
    ]
    assert spending.compute_spending(state, now=story.time + HOUR).money == pytest.approx(16 + 8), (
        "the open session continues"
    )
    assert spending.compute_spending(state, price=Price(1.0)).money == pytest.approx(5.0), "at another price"


def test_the_interval_of_a_projection_contains_the_actual_time_often_enough() -> None:
    rng = np.random.default_rng(0)
    for measured, spread, level in ((10, 0.3, 0.9), (20, 0.5, 0.9), (100, 0.5, 0.9)):
        count = 0
        for _ in range(150):
            durations = lognormal(rng, 200, spread)
            story = History(max_trials=200).runs(durations[:measured])
            projection = cost.project_cost(story.state)
            assert projection is not None
            count += projection.compute_hours.low <= sum(durations) / HOUR <= projection.compute_hours.high
        assert count / 150 >= level - 2 * np.sqrt(0.09 / 150), f"{measured} measured: {count / 150:.2f}"


def test_a_projection_of_equal_trials_is_exact_and_reviewed_at_the_end() -> None:
    story = History(max_trials=40, price=GPU.to_json()).runs([360.0] * 10)
    projection = cost.project_cost(story.state)
    assert projection is not None
    assert projection.hours.low == pytest.approx(4.0) == pytest.approx(projection.hours.high)
    assert projection.money is not None
    assert projection.money.expected == pytest.approx(12.0)
    story.tell(Kind.PROJECTED, data=projection.to_json())
    story.runs([360.0] * 30)
    story.tell(Kind.ENDED, data={"why": "all 40 trials are done"})
    (review,) = cost.review_projections(story.state)
    assert (review.done, review.is_within_interval) == (10, True)
    assert review.actual_money == pytest.approx(12.0)


def test_a_projection_with_late_trials_keeps_its_uncertainty() -> None:
    story = History(max_trials=13, workers=3).runs([300.0, 420.0] * 5)
    late = [story.start(epochs=2) for _ in range(3)]
    story.time += HOUR
    for trial in late:
        story.report(trial, 0.5, HOUR)
    projection = cost.project_cost(story.state)
    assert projection is not None
    assert projection.compute_hours.low == pytest.approx(1 + 3)
    assert projection.compute_hours.high > 4.05


def test_too_few_trials_have_no_projection_and_no_gain() -> None:
    story = History(max_trials=40).runs([60.0] * 9)
    assert cost.project_cost(story.state) is None
    assert compute_gain(story.state) is None
    assert spending.compute_spending(History().state).money is None


def test_the_cost_of_a_point_of_accuracy() -> None:
    accuracies = [0.80] * 10 + [0.85, 0.895, 0.90]
    gain = compute_gain(History(price=GPU.to_json()).runs([HOUR] * 13, accuracies).state)
    assert gain is not None
    assert (gain.start, gain.best) == (0.80, 0.90)
    assert gain.points == pytest.approx(10.0)
    assert gain.hours_per_point == pytest.approx(1.3)
    assert gain.money_per_point == pytest.approx(3.9)
    assert gain.last_point == pytest.approx(1.0), "0.895, one trial before, is within a point of 0.90"


def test_the_ledger_of_saved_and_wasted_time() -> None:
    story = History(price=GPU.to_json(), epochs=9)
    stopped = story.start(epochs=9)
    story.time += 300
    story.report(stopped, 0.5, 300.0, step=3)
    story.tell(Kind.STOPPED, stopped)
    story.run(100.0, accuracy=None)
    cached = story.start()
    story.report(cached, 0.6, 0.0, saved=700.0)
    story.tell(Kind.FINISHED, cached)
    lost = story.start()
    story.time += 50
    story.tell(Kind.PUT_BACK, lost, data={"reason": "killed", "status": "killed", "seconds": 50.0})
    story.time += 40  # the worker is idle
    story.tell(Kind.WARNING, data={"message": "idle"})
    lines = {line.label: line for line in compute_ledger(story.state)}
    seconds = {what: round(line.worker_hours * HOUR, 6) for what, line in lines.items()}
    assert seconds["early stopping"] == 600.0, "six epochs of a hundred seconds"
    assert seconds["evaluation cache"] == 700.0
    assert (seconds["failures"], seconds["lost attempts"], seconds["idle workers"]) == (-100.0, -50.0, -40.0)
    assert lines["failures"].money == pytest.approx(-100 / HOUR * 3.0)
    final = History().runs([5000.0, 5000.0]).state
    proxy = {line.label: line.worker_hours for line in compute_ledger(story.state, [final])}["cheap estimates"]
    assert proxy * HOUR == pytest.approx(3 * 5000 - 450 - 10_000), "three inactive trials"


def test_utilisation_is_a_share_of_the_reserved_time() -> None:
    story = History(workers=2)
    story.run(HOUR)  # one of two workers
    story.tell(Kind.CLOSED)
    story.time += 50 * HOUR
    story.tell(Kind.OPENED, data=story.opened)
    first, second = story.start(), story.start()
    story.time += HOUR
    for trial in (first, second):
        story.report(trial, 0.5, HOUR)
        story.tell(Kind.FINISHED, trial)
    busy = compute_utilisation(story.state, bins=4)
    np.testing.assert_allclose(busy.hours, [0, 0.5, 1, 1.5, 2])
    np.testing.assert_allclose(busy.share, [0.5, 0.5, 1.0, 1.0])
    assert busy.mean == pytest.approx(0.75)
    running = story.start()
    assert compute_utilisation(
        story.state, bins=1, now=story.time + 2 * HOUR, last_seconds=2 * HOUR
    ).mean == pytest.approx(0.5)
    assert story.state.running_attempts[0].trial == running


def test_no_attempt_is_running_after_its_controller_was_killed() -> None:
    story = History()
    story.start()
    story.time += 10
    story.tell(Kind.WARNING, data={"message": "alive"})
    story.time += 1e6
    story.tell(Kind.OPENED, data=story.opened)
    state = story.state
    assert state.running_attempts == []
    assert state.attempt_intervals[0].end == 10.0
    assert state.elapsed_seconds == 10.0


def test_older_journals_without_workers_and_prices_can_be_read() -> None:
    story = History()
    story.events[1] = Event(Kind.OPENED, data={"host": "here", "pid": 1}, seq=2)
    for name in ("price", "stop", "criteria", "patience", "alerts", "sinks"):
        del story.events[0].data["settings"][name]  # type: ignore[attr-defined]
    state = State.from_events(story.runs([60.0]).events)
    assert spending.compute_spending(state).worker_hours == pytest.approx(60 / HOUR)
    assert spending.compute_spending(state).money is None
