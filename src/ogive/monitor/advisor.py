"""The monitor of a running search: it asks the stop rules and the alert rules, and is updated with every event."""

from __future__ import annotations

import math
from difflib import get_close_matches

from ogive.monitor import alert_rules, cost
from ogive.monitor.rewards import count_inactive
from ogive.monitor.stop_rules import FIRST_FAILURES, StopVerdict, evaluate_rules, meets_criteria
from ogive.monitor.trend import FIRST_LOOK, LOOK_RATIO
from ogive.run.alerts import Alert
from ogive.run.clock import Clock
from ogive.run.events import JOB_END_KINDS, Event, Kind
from ogive.run.observers import Advice
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.trial import Status, Trial

ROUND_SECONDS = 5.0
"""The least time between two evaluations of the rules that go through all trials, for each 500 trials."""

PROJECTED_AT = (0.1, 0.25, 0.5)
"""The shares of the trials at which a projection is journalled, for comparison with the actual cost at the end."""


def _looks(first: int, last: int = 10**9) -> list[int]:
    looks = [first]
    while looks[-1] < last:
        looks.append(math.ceil(looks[-1] * LOOK_RATIO))
    return looks


_LOOKS = frozenset(_looks(FIRST_LOOK) + _looks(FIRST_FAILURES))
"""The numbers of inactive trials at which a statistical rule is tested."""


class Advisor:
    """Evaluates the stop rules and the alert rules while a search runs.

    `note` is called for all events, those that are read from the journal and new ones. A continued run therefore has the
    same verdicts as an uninterrupted one.

    Attributes:
        verdicts: the last verdict of each stop rule.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self.state = state
        self._clock = clock
        self._next_round = clock.monotonic()
        self.settings = Settings.from_json(state.settings)
        self.verdicts: list[StopVerdict] = []
        self._reported: tuple[str, ...] = ()  # metrics of the first trial that was trained to its end
        self._checked_metrics = True  # whether these were compared with the metrics of the search
        self._trials_at_last_alerts = -1  # the number of trials when the alert rules were last evaluated

    def note(self, event: Event, trial: Trial | None) -> None:
        """Record an event that the state has applied."""
        if trial is not None and not self._reported and trial.status in (Status.FINISHED, Status.MISSING_METRIC):
            self._reported, self._checked_metrics = tuple(trial.metrics), False
        if event.kind is Kind.CHANGED:
            self.settings, self._checked_metrics = Settings.from_json(self.state.settings), False
            self.verdicts = [verdict for verdict in self.verdicts if verdict.rule != "criteria"]
        elif trial is not None and event.kind in JOB_END_KINDS and self._may_change_verdicts(trial):
            self.verdicts = evaluate_rules(self.state, former=self.verdicts, ended=trial)

    def _may_change_verdicts(self, trial: Trial) -> bool:
        """Return whether a statistical rule is due, or a trial that has just become inactive meets the criteria."""
        criteria = self.settings.criteria
        is_goal = bool(criteria) and meets_criteria(trial, [*criteria, *self.state.constraints])
        return is_goal or count_inactive(self.state) in _LOOKS

    def begin(self) -> None:
        """Compare all trials with the criteria, if these are new."""
        if self.settings.criteria and not any(verdict.rule == "criteria" for verdict in self.verdicts):
            self.verdicts = evaluate_rules(self.state, former=self.verdicts)

    def advise(self) -> Advice:
        """Return the warnings, alerts and projection that are due, and whether a stop rule ends the search."""
        warnings, alerts, verdict = self._metric_warnings(), self._alerts(), self._stop()
        return Advice(
            warnings=warnings,
            alerts=[alert.to_event() for alert in alerts],
            stop=None if verdict is None else f"stop rule {verdict.rule}: {verdict.reason}",
            failures=verdict is not None and verdict.rule == "failures",
            projection=self._projection() if verdict is None else None,
        )

    def look(self, now: float, last: bool = False) -> list[Event]:
        """Return the alerts that depend on time.

        Rules that go through all trials are evaluated at intervals that grow with the number of trials, so that a controller
        with ten thousand workers is not slowed down.

        Args:
            now: the time, by the clock of the journal.
            last: evaluate all rules, whenever they were evaluated before.
        """
        instant = self._clock.monotonic()
        if instant < self._next_round and not last:
            return [alert.to_event() for alert in alert_rules.budget_alerts(self.state, now)]
        self._next_round = instant + ROUND_SECONDS * max(1.0, len(self.state.trials) / 500)
        return [alert.to_event() for alert in alert_rules.time_alerts(self.state, now)]

    def finish(self) -> list[Event]:
        """Return the alerts about all trials of a search that ends."""
        return [alert.to_event() for alert in alert_rules.final_alerts(self.state)]

    def _alerts(self) -> list[Alert]:
        """Return the alerts that depend on the trials alone."""
        proposed = len(self.state.trials) != self._trials_at_last_alerts
        self._trials_at_last_alerts = len(self.state.trials)
        return alert_rules.trial_alerts(self.state, self.verdicts, proposed)

    def _metric_warnings(self) -> list[str]:
        """Return a warning for each metric of the search that the first complete trial did not report, once."""
        if self._checked_metrics or not self._reported:
            return []
        self._checked_metrics = True
        needed = [("objective", o.metric) for o in self.state.objectives]
        needed += [("constraint", c.metric) for c in self.state.constraints]
        needed += [("criterion", c.metric) for c in self.settings.criteria]
        messages = [_metric_warning(kind, name, self._reported) for kind, name in needed if name not in self._reported]
        journalled = {message for message, _ in self.state.warnings}
        return [message for message in dict.fromkeys(messages) if message not in journalled]

    def _stop(self) -> StopVerdict | None:
        """Return the verdict that ends the search now; None if it continues."""
        if self.settings.stop != "auto":
            return None
        # The controller enforces the budget itself.
        return next((verdict for verdict in self.verdicts if verdict.stop and verdict.rule != "budget"), None)

    def _projection(self) -> Event | None:
        """Return the projected cost of the whole search, at each of the shares `PROJECTED_AT` of the trials, once."""
        total, inactive = self.state.total_trials, count_inactive(self.state)
        if all(inactive != math.ceil(share * total) for share in PROJECTED_AT):
            return None
        projection = cost.project_cost(self.state)
        if projection is None:
            return None
        if any((data["done"], data["trials"]) == (projection.done, total) for data in self.state.projections):
            return None
        return Event(Kind.PROJECTED, data=projection.to_json())


def _metric_warning(kind: str, name: str, reported: tuple[str, ...]) -> str:
    close = get_close_matches(name, reported, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{kind} on {name!r}: the first trial did not report it; it reported: {', '.join(reported)}{hint}"
