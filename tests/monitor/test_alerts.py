"""Alerts and stop rules in a run with a virtual clock: each is raised once, at the right time, also in a continued run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import fmean

import pytest
from history import HOUR, History
from memory import SPACE, Curve, ListLog, StoppedClock, declare, session

from ogive.errors import JobError
from ogive.monitor import alert_rules
from ogive.monitor.diversity import compute_diversity, compute_mean_distance, list_sample_points
from ogive.objective import Constraint
from ogive.run.alerts import Alert
from ogive.run.events import Event, Kind
from ogive.run.prices import Price
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.testing.journals import comparable_events
from ogive.trial import Status


def causes(alerts: Sequence[Alert]) -> list[str]:
    return [alert.cause for alert in alerts]


def due_at(story: History, hours: float, rule: str = "") -> list[str]:
    """Return the causes of the alerts that are due at a time, of one rule or of all."""
    return [
        cause for cause in causes(alert_rules.find_time_alerts(story.state, hours * HOUR)) if cause.startswith(rule)
    ]


def with_alerts(story: History, *raised: str) -> History:
    """Return a history in which alerts with these causes were raised."""
    for cause in raised:
        story.tell(Kind.ALERT, data={"severity": "info", "cause": cause, "message": "", "numbers": {}})
    return story


def test_a_budget_warns_at_80_per_cent_stops_at_100_and_is_critical_past_120() -> None:
    story = History(budget=10.0, patience=1000.0)
    story.start()
    assert due_at(story, 7.9) == []
    assert due_at(story, 8.0) == ["budget:hours:10:80%"]
    assert due_at(story, 10.0) == ["budget:hours:10:100%"]
    (critical,) = alert_rules.find_time_alerts(story.state, 12.1 * HOUR)
    assert (critical.severity, critical.cause) == ("critical", "budget:hours:10:120%")
    assert "1 trial still pending" in critical.message
    assert due_at(with_alerts(story, "budget:hours:10:80%"), 8.5) == [], "once per cause"
    story.tell(Kind.CHANGED, data={"budget": 10.5})
    assert due_at(story, 8.5) == ["budget:hours:10.5:80%"], "another budget is another cause"


def test_reserved_workers_use_up_a_budget_of_money() -> None:
    price = Price(3.0, currency="EUR").to_json()
    story = History(budget={"money": 60.0}, workers=2, price=price, patience=1000.0)
    assert due_at(story, 7.9) == []
    (alert,) = alert_rules.find_time_alerts(story.state, 8 * HOUR)
    assert alert.cause == "budget:money:60:80%"
    assert alert.message == "48.00 of 60 EUR are used, 80% of the budget"


def test_patience_counts_only_the_time_in_which_a_controller_runs() -> None:
    story = History(patience=5.0).runs([HOUR, HOUR], [0.6, 0.5])
    assert due_at(story, 5.9, "patience") == []
    assert due_at(story, 6.0, "patience") == ["patience:0"]
    story.tell(Kind.CLOSED)
    story.time += 100 * HOUR
    story.tell(Kind.OPENED, data=story.opened)
    assert due_at(story, 105.9, "patience") == []
    assert due_at(story, 106.0, "patience") == ["patience:0"]
    story.run(HOUR, 0.7)
    assert due_at(story, 107.9, "patience") == []


def test_a_trial_is_overdue_after_twice_its_expected_duration() -> None:
    story = History(patience=1000.0).runs([100.0, 110.0, 90.0, 100.0, 100.0])
    slow = story.start()
    now = story.time
    assert alert_rules.find_time_alerts(story.state, now + 199) == []
    (alert,) = alert_rules.find_time_alerts(story.state, now + 201)
    assert (alert.cause, alert.trial, alert.numbers["expected"]) == (f"slow:{slow}", slow, 100.0)
    wide = History(patience=1000.0).runs([10.0, 10.0, 10.0, 10.0, 400.0])
    wide.start()
    assert alert_rules.find_time_alerts(wide.state, wide.time + 399) == [], (
        "another trial has taken as long and finished"
    )
    assert len(alert_rules.find_time_alerts(wide.state, wide.time + 401)) == 1


def test_the_expected_duration_of_a_running_trial_follows_its_own_epochs() -> None:
    story = History(epochs=9, patience=1000.0)
    trial = story.start(epochs=3)
    story.time += 1000
    story.report(trial, 0.5, 1000.0)
    assert alert_rules.find_time_alerts(story.state, story.time + 4900) == []
    assert causes(alert_rules.find_time_alerts(story.state, story.time + 5100)) == [f"slow:{trial}"]


def test_idle_workers_raise_an_alert_if_there_are_trials_to_start() -> None:
    story = History(workers=2, patience=1000.0)
    for _ in range(10):
        story.run(90.0)
        story.time += 30.0  # two workers for 120 s, one of which is busy for 90 s
    assert due_at(story, story.time / HOUR) == ["utilisation"]
    story.trials = 100
    done = History(workers=2, max_trials=10, patience=1000.0)
    for _ in range(10):
        done.run(90.0)
        done.time += 30.0
    assert due_at(done, done.time / HOUR) == [], "at the end there are no trials to start"


def test_failures_of_the_last_trials_raise_an_alert_before_many_trials_have_failed() -> None:
    story = History().runs([1.0] * 100)
    for _ in range(4):
        story.run(1.0, accuracy=None)
    assert alert_rules.find_trial_alerts(story.state) == []
    story.run(1.0, accuracy=None)
    (alert,) = alert_rules.find_trial_alerts(story.state)
    assert (alert.cause, alert.numbers["failed"]) == ("failures", 5)
    assert "trial 104: error" in alert.message


def test_low_diversity_is_relative_to_random_architectures() -> None:
    one = SPACE.architecture({"width": 3, "depth": 2})
    near = [SPACE.architecture({"width": 3, "depth": depth}) for depth in (1, 2)]
    assert compute_mean_distance([one]) == compute_mean_distance([]) == 0.0
    assert compute_mean_distance(near) == 0.5
    assert compute_mean_distance([one, one]) == 0.0
    story = History().runs([1.0] * 60)
    assert alert_rules.find_trial_alerts(story.state) == [], "these are random"
    same = [replace(e, data={**e.data, "proposal": story.events[2].data["proposal"]}) if e.kind is Kind.PROPOSED else e
            for e in story.events]  # fmt: skip
    (alert,) = alert_rules.find_trial_alerts(State.from_events(same, SPACE))
    assert (alert.cause, alert.severity, alert.numbers["distance"]) == ("diversity", "info", 0.0)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_mean_distance_equals_that_of_all_pairs(conditional: bool) -> None:
    rng = random.Random(3)
    some = [{name: rng.randrange(3) for name in "abcde" if not conditional or rng.random() < 0.7} for _ in range(12)]
    pairs = [sum(a.get(name) != b.get(name) for name in a | b) / max(1, len(a | b)) for a, b in combinations(some, 2)]
    assert compute_mean_distance(some) == pytest.approx(fmean(pairs))


def test_the_diversity_of_a_window_is_the_mean_distance_of_its_pairs() -> None:
    trials = [trial.architecture for trial in History().runs([1.0] * 30).state.trials.values()]
    curve = compute_diversity(trials, window=10, points=7)
    assert len(curve) == len(list_sample_points(30, 7)) == 7
    last = trials[20:]
    pairs = [(a, b) for i, a in enumerate(last) for b in last[i + 1 :]]
    expected = sum(sum(a[name] != b[name] for name in a) / len(a) for a, b in pairs) / len(pairs)
    assert curve[-1] == pytest.approx(expected)


# -- in the controller -----------------------------------------------------------------------------------------------

GOOD = (Constraint("accuracy", at_least=0.6),)


class Timed(ListLog):
    """A journal whose events have the time of the clock."""

    def __init__(self, clock: StoppedClock, events: Sequence[Event] = ()) -> None:
        super().__init__(events)
        self.clock = clock

    def append(self, events: Sequence[Event]) -> list[Event]:
        now = self.clock.now()
        added = [replace(e, seq=len(self.events) + 1 + i, time=now) for i, e in enumerate(events)]
        self.events += added
        return added


@pytest.mark.parametrize("stop", ["advise", "auto"])
def test_a_continued_run_has_the_same_verdicts_as_an_uninterrupted_one(tmp_path: Path, stop: str) -> None:
    log = ListLog([declare(max_trials=40, stop=stop, criteria=GOOD)])
    session(log, Curve(), tmp_path).run()
    whole = comparable_events(log.events)
    alerts = [event for event in log.events if event.kind is Kind.ALERT]
    assert [event.data["cause"] for event in alerts].count("stop:criteria") == 1
    ended = next(event.data["why"] for event in log.events if event.kind is Kind.ENDED)
    assert ended.startswith("stop rule criteria: trial ") == (stop == "auto")
    for cut in range(1, len(log.events), 7):
        again = ListLog(log.events[:cut])
        session(again, Curve(), tmp_path).run()
        last = [event for event in again.events if event.kind is Kind.ENDED][-1]
        again.events = [event for event in again.events if event.kind is not Kind.ENDED] + [last]
        expected = [e for e in whole if e[0] != "ended"] + [e for e in whole if e[0] == "ended"]
        assert comparable_events(again.events) == expected, f"differs when cut after event {cut}"


def test_new_criteria_are_compared_with_all_trials(tmp_path: Path) -> None:
    log = ListLog([declare(max_trials=20)])
    session(log, Curve(), tmp_path).run()
    log.append([Event(Kind.CHANGED, data={"criteria": Settings(criteria=GOOD).to_json()["criteria"], "stop": "auto"})])
    again = session(log, Curve(), tmp_path)
    why = again.run()
    assert why.startswith("stop rule criteria")
    assert len(again.state.trials) == 20


def test_time_alerts_are_raised_once_and_the_budget_ends_the_search(tmp_path: Path) -> None:
    clock = StoppedClock()

    def half_an_hour(trial: int, step: int) -> None:
        clock.seconds += 1800 if step == 9 else 0

    log = Timed(clock, [declare(budget={"hours": 5.0, "money": 4.5}, price=1.0, max_trials=100, patience=1000)])
    log.append([Event(Kind.OPENED, data={"host": "here", "workers": 1, "price": Price(1.0).to_json()})])
    controller = session(log, Curve(half_an_hour), tmp_path, clock)
    controller.run()
    state = controller.state
    assert state.end_reason == "the money budget of 4.50 is used up"
    raised = [alert.cause for alert in state.alerts if alert.cause.startswith("budget")]
    assert raised == ["budget:hours:5:80%", "budget:money:4.5:80%", "budget:money:4.5:100%"]


def test_a_projection_is_journalled_at_shares_of_the_trials(tmp_path: Path) -> None:
    clock = StoppedClock()

    def a_minute(trial: int, step: int) -> None:
        clock.seconds += 60

    log = Timed(clock, [declare(max_trials=40)])
    controller = session(log, Curve(a_minute), tmp_path, clock)
    controller.run()
    assert [data["done"] for data in controller.state.projections] == [10, 20], (
        "a quarter and a half; a tenth are too few"
    )
    assert controller.state.status_counts[Status.FINISHED] == 40


class Subscriber:
    """A subscriber that records events and reports one failure."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pending_failures = ["the webhook is gone"]

    def __call__(self, state: State, event: Event | None) -> None:
        assert event is not None
        self.events.append(event)

    def collect_failures(self) -> list[str]:
        failures, self.pending_failures = self.pending_failures, []
        return failures

    def close(self) -> list[str]:
        return []


def test_subscribers_receive_every_event_and_a_failure_is_one_warning(tmp_path: Path) -> None:
    log, subscriber = ListLog([declare(max_trials=5)]), Subscriber()
    session(log, Curve(), tmp_path, subscribers=[subscriber]).run()
    assert subscriber.events == log.events[2:]
    warnings = [event.data["message"] for event in log.events if event.kind is Kind.WARNING]
    assert warnings == ["the webhook is gone"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"budget": {"hours": 0}}, r"budget=\{'hours': 0\}: expected hours, above 0, or"),
        ({"budget": {"minutes": 5}}, "budget="),
        ({"budget": {}}, "budget="),
        ({"stop": "maybe"}, r"stop='maybe': expected \"advise\""),
        ({"price": -1}, "price=-1: expected money per worker-hour"),
        ({"patience": 0}, "patience=0: expected a number above 0"),
        ({"criteria": "accuracy"}, "criteria='accuracy': expected constraints, such as"),
        ({"criteria": [Constraint("a", at_least=2), Constraint("a", at_most=1)]}, "criteria: "),
        ({"criteria": [{"metric": "a", "min": 1}]}, "criteria: "),
        ({"alerts": ["mail"]}, "alerts: found 'mail'; allowed: \"console\""),
        ({"alerts": [{"file": "a", "webhook": "http://b"}]}, "alerts: found"),
        (
            {"alerts": [{"file": "a", "severity": "loud"}]},
            "alerts: severity: found 'loud'; allowed: info, warning, critical",
        ),
        (
            {"alerts": [{"webhook": "example.org"}]},
            "webhook: found 'example.org'; allowed: a URL that begins with http",
        ),
        ({"sinks": [object()]}, "sinks="),
    ],
)
def test_errors_of_settings_say_what_is_allowed(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(JobError, match=message):
        Settings(**wrong)  # type: ignore[arg-type]


def test_settings_survive_json_and_equal_settings_are_no_changes() -> None:
    settings = Settings(budget={"hours": 2}, criteria=GOOD, alerts=("console", {"file": "a.jsonl"}), price="h100")
    assert settings.budget == 2.0
    assert Settings.from_json(settings.to_json()) == settings
    assert settings.find_changes({"criteria": GOOD, "budget": {"hours": 2, "money": None}, "price": "h100"}) == {}
    assert settings.find_changes({"criteria": (), "budget": {"money": 3}}) == {"criteria": [], "budget": {"money": 3}}
