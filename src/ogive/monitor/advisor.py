"""What the stop rules and the alerts say while a run goes on: the controller's memory of it, kept up event by event."""

from __future__ import annotations

import math
from difflib import get_close_matches

from ogive.monitor import alert_rules, cost
from ogive.monitor.stop_rules import FIRST_FAILURES, StopVerdict, reaches, verdicts
from ogive.monitor.trend import FIRST_LOOK, LOOK_RATIO
from ogive.run.alerts import Alert
from ogive.run.clock import Clock
from ogive.run.events import ENDS_OF_JOBS, Event, Kind
from ogive.run.observers import Advice
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.trial import Status, Trial

ROUND_SECONDS = 5.0
"""The shortest time between two rounds of the rules that go through all trials, for each 500 trials."""

PROJECTED_AT = (0.1, 0.25, 0.5)
"""The shares of the trials after which a projection is journalled, to be compared with what it comes to."""


def _looks(first: int, last: int = 10**9) -> list[int]:
    looks = [first]
    while looks[-1] < last:
        looks.append(math.ceil(looks[-1] * LOOK_RATIO))
    return looks


_LOOKS = frozenset(_looks(FIRST_LOOK) + _looks(FIRST_FAILURES))
"""The numbers of trials at rest at which a rule tests anew."""


class Advisor:
    """Asks the stop rules as trials come to rest. `note` is called for the events that are read and for those that happen,
    so a continued run has the verdicts of an uninterrupted one.

    Attributes:
        verdicts: what the rules said last.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self.state = state
        self._clock = clock
        self._next_round = clock.monotonic()
        self.settings = Settings.from_json(state.settings)
        self.verdicts: list[StopVerdict] = []
        self._reported: tuple[str, ...] = ()  # by the first trial that came to its end
        self._told = True  # of what it did not report
        self._asked_at = -1  # so many trials there were when alerts were asked for

    def note(self, event: Event, trial: Trial | None) -> None:
        """Take note of an event that the state has applied."""
        if trial is not None and not self._reported and trial.status in (Status.FINISHED, Status.MISSING_METRIC):
            self._reported, self._told = tuple(trial.metrics), False
        if event.kind is Kind.CHANGED:
            self.settings, self._told = Settings.from_json(self.state.settings), False
            self.verdicts = [verdict for verdict in self.verdicts if verdict.rule != "criteria"]
        elif trial is not None and event.kind in ENDS_OF_JOBS and (self._at_rest in _LOOKS or self._succeeds(trial)):
            self.verdicts = verdicts(self.state, former=self.verdicts, ended=trial)

    @property
    def _at_rest(self) -> int:
        return self.state.done + self.state.count[Status.PAUSED]

    def _succeeds(self, trial: Trial) -> bool:
        criteria = self.settings.criteria
        return bool(criteria) and reaches(trial, [*criteria, *self.state.constraints])

    def begin(self) -> None:
        """Look at the trials there are, if the criteria are new."""
        if self.settings.criteria and not any(verdict.rule == "criteria" for verdict in self.verdicts):
            self.verdicts = verdicts(self.state, former=self.verdicts)

    def advise(self) -> Advice:
        """Return the warnings, alerts and forecast that are due, and whether a stop rule ends the search."""
        warnings, alerts, verdict = self._unreported(), self._alerts(), self._stop()
        return Advice(
            warnings,
            [alert.event() for alert in alerts],
            None if verdict is None else f"stop rule {verdict.rule}: {verdict.reason}",
            failures=verdict is not None and verdict.rule == "failures",
            projection=self._projection() if verdict is None else None,
        )

    def look(self, now: float, last: bool = False) -> list[Event]:
        """Return the alerts that depend on time. Rules that go through all trials are asked at intervals that grow with
        the number of trials, so that ten thousand workers do not wait for them.
        """
        instant = self._clock.monotonic()
        if instant < self._next_round and not last:
            return [alert.event() for alert in alert_rules.of_budget(self.state, now)]
        self._next_round = instant + ROUND_SECONDS * max(1.0, len(self.state.trials) / 500)
        return [alert.event() for alert in alert_rules.by_time(self.state, now)]

    def finish(self) -> list[Event]:
        """Return the alerts about all trials of a search that ends."""
        return [alert.event() for alert in alert_rules.at_the_end(self.state)]

    def _alerts(self) -> list[Alert]:
        """Those that the trials decide."""
        proposed = len(self.state.trials) != self._asked_at
        self._asked_at = len(self.state.trials)
        return alert_rules.by_trials(self.state, self.verdicts, proposed)

    def _unreported(self) -> list[str]:
        """Of each metric that is asked for and that the first trial which came to its end did not report, once."""
        if self._told or not self._reported:
            return []
        self._told = True
        asked = [("objective", o.metric) for o in self.state.objectives]
        asked += [("constraint", c.metric) for c in self.state.constraints]
        asked += [("criterion", c.metric) for c in self.settings.criteria]
        found = [_unreported_message(kind, name, self._reported) for kind, name in asked if name not in self._reported]
        told = {message for message, _ in self.state.warnings}
        return [message for message in dict.fromkeys(found) if message not in told]

    def _stop(self) -> StopVerdict | None:
        """The stop rule that ends the search now; None where it goes on."""
        found = next((verdict for verdict in self.verdicts if verdict.stop and verdict.rule != "budget"), None)
        return found if self.settings.stop == "auto" else None

    def _projection(self) -> Event | None:
        """What the whole search is expected to take, to be journalled once at each share of the trials."""
        total, rest = self.state.total, self._at_rest
        if all(rest != math.ceil(share * total) for share in PROJECTED_AT):
            return None
        found = cost.projection(self.state)
        if found is None or any((p["done"], p["trials"]) == (found.done, total) for p in self.state.projected):
            return None
        return Event(Kind.PROJECTED, data=found.to_json())


def _unreported_message(kind: str, name: str, reported: tuple[str, ...]) -> str:
    close = get_close_matches(name, reported, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{kind} on {name!r}: the first trial did not report it; reported are: {', '.join(reported)}{hint}"
