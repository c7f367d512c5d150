"""The comparison of a search with its plan, and the alert if the plan does not hold."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from machines import measurements

import ogive as og
from ogive.bench.simulated_search import PluginSpec
from ogive.monitor import alert_rules
from ogive.monitor.cost import review_projections
from ogive.monitor.cost_text import format_plan_comparison
from ogive.monitor.plan_comparison import compare_with_plan, read_plan_forecast
from ogive.objective import Objective
from ogive.planner import Landscape, Machine, PlannedSearch, Shape, build_plan, simulate_split
from ogive.planner.plan import Plan
from ogive.run.events import Event, Kind, is_session_event
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.seeds import generator

SPACE = og.bench.load("chain").space
MACHINE = Machine(
    serial=1.0,
    parallel=6.0,
    communication=0.0,
    start_up_base=5.0,
    start_up_per_worker=0.0,
    attempt_base=0.5,
    attempt_per_worker=0.0,
    spread=0.2,
    noise=0.05,
)
SEARCH = PlannedSearch(PluginSpec("random"), PluginSpec("full"), 20)


@cache
def landscape(seed: int) -> Landscape:
    return Landscape(SPACE, Objective("accuracy"), 6, Shape("share", math.log(0.1)), seed)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(measurements(MACHINE, workers=(1, 2)), SEARCH, landscape, 2, proposal_seconds=0.0)


def run_of(plan: Plan, factor: float = 1.0, until: int = 120, ended: bool = False, **settings: Any) -> State:
    """Return a run with the plan on a machine that is `factor` times as slow, up to `until` reports."""
    split = plan.chosen
    slow = replace(MACHINE, serial=factor * MACHINE.serial, parallel=factor * MACHINE.parallel)
    real = simulate_split(landscape(900), SEARCH, slow, split, 900)
    all_settings = {"max_trials": 20, "workers": split.parallel_trials, "threads": split.workers_per_trial} | settings
    created = {
        "space": SPACE.to_json(),
        "objectives": [{"metric": "accuracy", "goal": "maximize"}],
        "constraints": [],
        "settings": Settings(**all_settings).to_json(),
        "seed": 0,
    }
    events = [
        Event(Kind.CREATED, data=created),
        Event(Kind.PROJECTED, data=plan.to_event_data()),
        Event(Kind.OPENED, data={"host": "here", "workers": split.parallel_trials}),
    ]
    architecture = SPACE.sample(generator(0, "test"))
    proposal = {"choices": architecture.to_json(), "id": architecture.id}
    for number, time in enumerate(real.report_times[:until]):
        trial, step = divmod(number, 6)
        if step == 0:
            events.append(
                Event(
                    Kind.PROPOSED, trial, data={"proposal": proposal, "seed": 1, "fidelity": {"epochs": 6}}, time=time
                )
            )
            events.append(Event(Kind.STARTED, trial, data={"worker": "worker-0"}, time=time))
        events.append(Event(Kind.REPORTED, trial, step + 1, {"metrics": {"accuracy": 0.5}, "seconds": 3.0}, time))
        if step == 5:
            events.append(Event(Kind.FINISHED, trial, time=time))
    if ended:
        events += [
            Event(Kind.ENDED, data={"why": "all done"}, time=real.seconds),
            Event(Kind.CLOSED, time=real.seconds),
        ]
    return State.from_events(event.with_time(event.time, number) for number, event in enumerate(events, 1))


def causes(state: State, now: float | None = None) -> list[str]:
    alerts = alert_rules.find_time_alerts(state, state.time if now is None else now)
    return [alert.cause for alert in alerts if alert.cause.startswith("plan")]


@pytest.mark.parametrize("until", [1, 5, 33, 90, 120])
def test_a_plan_holds_on_the_machine_that_it_was_made_for(plan: Plan, until: int) -> None:
    state = run_of(plan, until=until)
    assert causes(state) == []
    assert format_plan_comparison(state).endswith("the plan holds")


@pytest.mark.parametrize(("factor", "cause"), [(2.0, "plan:slower"), (0.4, "plan:faster")])
def test_another_machine_than_planned_raises_one_alert(plan: Plan, factor: float, cause: str) -> None:
    state = run_of(plan, factor, until=60)
    (alert,) = [alert for alert in alert_rules.find_time_alerts(state, state.time) if alert.cause == cause]
    assert f"the search is {cause.removeprefix('plan:')}" in alert.message
    assert alert.numbers["total"] == pytest.approx(factor * plan.chosen_forecast.seconds.expected, rel=0.3)
    assert is_session_event(alert.to_event()), "it depends on time, so a continued run may raise another one"
    state.apply(alert.to_event().with_time(state.time, 999))
    assert causes(state) == [], "one alert for each cause"


def test_a_search_without_reports_is_slower_than_planned(plan: Plan) -> None:
    state = run_of(plan, until=0)
    assert causes(state, now=5.0) == []
    (alert,) = (alert for alert in alert_rules.find_time_alerts(state, 500.0) if alert.cause == "plan:slower")
    assert "no report came in 8 min 20 s, the forecast for the start of the workers was 5.1 s" in alert.message
    late = 500.0 - plan.chosen_forecast.start_up.expected
    assert alert.numbers["total"] == pytest.approx(plan.chosen_forecast.seconds.expected + late), (
        "its pace is not known yet"
    )


def test_the_plan_is_reviewed_at_the_end_like_any_projection(plan: Plan) -> None:
    (review,) = review_projections(run_of(plan, ended=True))
    assert review.done == 0
    assert review.is_within_interval
    (review,) = review_projections(run_of(plan, 3.0, ended=True))
    assert not review.is_within_interval
    assert causes(run_of(plan, ended=True)) == []


@pytest.mark.parametrize("changed", [{"workers": 5}, {"max_trials": 40}, {"threads": 7}])
def test_a_plan_is_not_compared_with_a_changed_search(plan: Plan, changed: dict[str, Any]) -> None:
    state = run_of(plan, 3.0, **changed)
    assert read_plan_forecast(state) is None
    assert compare_with_plan(state) is None
    assert causes(state) == []
