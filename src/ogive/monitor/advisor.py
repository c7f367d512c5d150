"""The monitor of a running search. It receives every event, and evaluates the stop rules and the alert rules."""

from __future__ import annotations

import math
from difflib import get_close_matches

from ogive.monitor import alert_rules, cost
from ogive.monitor.rewards import count_inactive
from ogive.monitor.stop_rules import FIRST_FAILURE_TEST_TRIALS, StopVerdict, evaluate_rules, meets_criteria
from ogive.monitor.trend import FIRST_TEST_TRIALS, TEST_RATIO
from ogive.run.alerts import Alert
from ogive.run.clock import Clock
from ogive.run.events import JOB_END_KINDS, Event, Kind
from ogive.run.observers import Advice
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.trial import Status, Trial

ROUND_SECONDS, ROUND_TRIALS = 5.0, 500
"""The rules that go through all trials are evaluated every `ROUND_SECONDS` seconds. With more than `ROUND_TRIALS` trials,
this interval grows in proportion to their number."""

PROJECTION_SHARES = (0.1, 0.25, 0.5)
"""The shares of the trials at which a projection is journalled, for comparison with the actual spending at the end."""


def _list_test_points(first: int, last: int = 10**9) -> list[int]:
    """Return the numbers of inactive trials at which a rule is tested.

    Args:
        first: the number of trials at the first test. Each further number is the previous one multiplied by `TEST_RATIO`.
        last: the list ends with the first number that is not below this one.
    """
    points = [first]
    while points[-1] < last:
        points.append(math.ceil(points[-1] * TEST_RATIO))
    return points


_TEST_POINTS = frozenset(_list_test_points(FIRST_TEST_TRIALS) + _list_test_points(FIRST_FAILURE_TEST_TRIALS))
"""The numbers of inactive trials at which a statistical rule is tested."""


class Advisor:
    """Evaluates the stop rules and the alert rules while a search runs.

    `record_event` is called for all events, including events of earlier sessions. A continued run therefore has the same
    verdicts as an uninterrupted one.

    Attributes:
        state: the state of the run.
        settings: the present settings of the run.
        verdicts: the last verdict of each stop rule.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self.state = state
        self._clock = clock
        self._next_round = clock.monotonic()
        self.settings = Settings.from_json(state.settings)
        self.verdicts: list[StopVerdict] = []
        self._reported: tuple[str, ...] = ()  # the metrics of the first trial that was trained to its end
        # Whether `_reported` was compared with the metrics that the search needs. True while there is nothing to compare.
        self._has_checked_metrics = True
        self._trials_at_last_alerts = -1  # the number of trials when the alert rules were last evaluated

    def record_event(self, event: Event, trial: Trial | None) -> None:
        """Record an event that the state has applied."""
        if trial is not None and not self._reported and trial.status in (Status.FINISHED, Status.MISSING_METRIC):
            self._reported, self._has_checked_metrics = tuple(trial.metrics), False
        if event.kind is Kind.CHANGED:
            self.settings, self._has_checked_metrics = Settings.from_json(self.state.settings), False
            self.verdicts = [verdict for verdict in self.verdicts if verdict.rule != "criteria"]
        elif trial is not None and event.kind in JOB_END_KINDS and self._may_change_verdicts(trial):
            self.verdicts = evaluate_rules(self.state, previous=self.verdicts, ended=trial)

    def _may_change_verdicts(self, trial: Trial) -> bool:
        """Return whether a test of a statistical rule is due, or `trial`, which has just become inactive, is a success."""
        criteria = self.settings.criteria
        is_success = bool(criteria) and meets_criteria(trial, [*criteria, *self.state.constraints])
        return is_success or count_inactive(self.state) in _TEST_POINTS

    def begin(self) -> None:
        """Compare all trials with the success criteria, if the settings have criteria that were not evaluated yet."""
        if self.settings.criteria and not any(verdict.rule == "criteria" for verdict in self.verdicts):
            self.verdicts = evaluate_rules(self.state, previous=self.verdicts)

    def advise(self) -> Advice:
        """Return the warnings, alerts and the projection that are due, and the reason if a stop rule ends the search."""
        warnings, alerts, verdict = self._list_metric_warnings(), self._list_trial_alerts(), self._find_stop_verdict()
        return Advice(
            warnings=warnings,
            alerts=[alert.to_event() for alert in alerts],
            stop_reason=None if verdict is None else f"stop rule {verdict.rule}: {verdict.reason}",
            by_failures=verdict is not None and verdict.rule == "failures",
            projection=self._project_if_due() if verdict is None else None,
        )

    def find_timed_alerts(self, now: float, is_last: bool = False) -> list[Event]:
        """Return the alerts that depend on time.

        Rules that go through all trials are evaluated at intervals that grow with the number of trials, so that a controller
        with ten thousand workers is not slowed down.

        Args:
            now: the time, by the clock of the journal.
            is_last: whether this is the last call of the session. If it is, all rules are evaluated, however short the
                interval is.
        """
        instant = self._clock.monotonic()
        if instant < self._next_round and not is_last:
            return [alert.to_event() for alert in alert_rules.find_budget_alerts(self.state, now)]
        self._next_round = instant + ROUND_SECONDS * max(1.0, len(self.state.trials) / ROUND_TRIALS)
        return [alert.to_event() for alert in alert_rules.find_time_alerts(self.state, now)]

    def finish(self) -> list[Event]:
        """Return the new alerts of a search that ends: the alert on overtraining, which is otherwise checked rarely."""
        return [alert.to_event() for alert in alert_rules.find_overtraining_alerts(self.state)]

    def _list_trial_alerts(self) -> list[Alert]:
        """Return the alerts that depend on the trials, but not on the time."""
        has_new_trials = len(self.state.trials) != self._trials_at_last_alerts
        self._trials_at_last_alerts = len(self.state.trials)
        return alert_rules.find_trial_alerts(self.state, self.verdicts, has_new_trials)

    def _list_metric_warnings(self) -> list[str]:
        """Return a warning for each metric that the search needs, but that the first complete trial did not report.

        Each warning is returned once.
        """
        if self._has_checked_metrics or not self._reported:
            return []
        self._has_checked_metrics = True
        needed = [("objective", o.metric) for o in self.state.objectives]
        needed += [("constraint", c.metric) for c in self.state.constraints]
        needed += [("criterion", c.metric) for c in self.settings.criteria]
        messages = [
            _format_metric_warning(kind, name, self._reported) for kind, name in needed if name not in self._reported
        ]
        journalled = {message for message, _ in self.state.warnings}
        return [message for message in dict.fromkeys(messages) if message not in journalled]

    def _find_stop_verdict(self) -> StopVerdict | None:
        """Return the verdict that ends the search now; None if the search continues."""
        if self.settings.stop != "auto":
            return None
        # The controller itself ends a search whose budget is used up.
        return next((verdict for verdict in self.verdicts if verdict.stop and verdict.rule != "budget"), None)

    def _project_if_due(self) -> Event | None:
        """Return the event of a projection, once at each of the shares `PROJECTION_SHARES` of the trials; otherwise None."""
        total, inactive = self.state.total_trials, count_inactive(self.state)
        if all(inactive != math.ceil(share * total) for share in PROJECTION_SHARES):
            return None
        projection = cost.project_cost(self.state)
        if projection is None:
            return None
        # Several events, or a continued session, can have the same number of inactive trials.
        if any((data["done"], data["trials"]) == (projection.done, total) for data in self.state.projections):
            return None
        return Event(Kind.PROJECTED, data=projection.to_json())


def _format_metric_warning(kind: str, name: str, reported: tuple[str, ...]) -> str:
    similar_names = get_close_matches(name, reported, n=1)
    hint = f"; did you mean {similar_names[0]!r}?" if similar_names else ""
    return (
        f"{kind} on {name!r}: the first trial did not report this metric; reported metrics: {', '.join(reported)}{hint}"
    )
