"""The fold appends an event to the journal, and then applies it to state, schedule, strategy and monitor.

These four receive events from here only. They receive a new event in the same way as one that a continued run reads from its
journal. So all of them are functions of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ogive.run.clock import Clock
from ogive.run.decide import find_value_failure
from ogive.run.events import JOB_END_KINDS, Event, Kind
from ogive.run.observers import Monitor, Observer
from ogive.run.state import State
from ogive.schedule.base import Action, Resume, Schedule, Start
from ogive.strategy.base import Strategy
from ogive.trial import Trial, TrialId
from ogive.user_code import convert_plugin_errors


class Log(Protocol):
    """The log to which events are appended: a journal, or a list in memory."""

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Append events in one transaction; return them with their numbers and times."""


class Fold:
    """The writer of events, which keeps everything that depends on them up to date: state, schedule, strategy and monitor.

    Args:
        log: the log to which new events are appended.
        clock: the clock of the session.
        state: the state after the first event.
        strategy: the strategy, which has received no event yet.
        schedule: the schedule, which has received no event yet.
        monitor: the monitor; None for none.
        observers: the observers; they are called with the state and each new event, but not with events that are read from
            the journal.
        on_inactive: a function that is called after trials became inactive, since the monitor's advice may then have
            changed.

    Attributes:
        pending_actions: for a trial, the schedule's answer to its last report, if the journal has no event yet that follows
            from the answer. This happens if a killed session did not write that event, and if a trial is promoted to a step
            that it has already passed.
    """

    def __init__(
        self,
        log: Log,
        *,
        clock: Clock,
        state: State,
        strategy: Strategy,
        schedule: Schedule,
        monitor: Monitor | None,
        observers: Sequence[Observer],
        on_inactive: Callable[[], None],
    ) -> None:
        self.state = state
        self.pending_actions: dict[TrialId, Action] = {}
        self._log, self._clock = log, clock
        self._strategy, self._schedule, self._monitor = strategy, schedule, monitor
        self._observers, self._on_inactive = observers, on_inactive
        self._last_event_at = clock.monotonic()

    @property
    def now(self) -> float:
        """The present time on the clock of the events: the time of the last event, plus the seconds since then."""
        return self.state.time + self._clock.monotonic() - self._last_event_at

    def read(self, events: Iterable[Event]) -> None:
        """Apply events that are in the journal already."""
        for event in events:
            self._apply(event, None)
        self._last_event_at = self._clock.monotonic()

    def write(self, *events: Event) -> None:
        """Append events in one transaction and apply them. Events without a time get the present time."""
        if not events:
            return
        now = self._clock.now()
        self._append_and_apply([event if event.time else event.with_time(now) for event in events], None)

    def write_report(self, report: Event, decision: Event | None) -> None:
        """Write a report that the schedule has answered already, and in the same transaction the event of the decision."""
        events = [report] if decision is None else [report, decision.with_time(report.time)]
        self._append_and_apply(events, Kind.REPORTED)

    def ask_schedule(self, trial: Trial) -> Action:
        """Return the schedule's answer to the last report of `trial`; CONTINUE, without asking, if there is no value."""
        if find_value_failure(trial, self.state.compared_metrics):
            return Action.CONTINUE
        with convert_plugin_errors("schedule", self._schedule):
            return self._schedule.on_report(trial, trial.reports[-1])

    def _append_and_apply(self, events: Sequence[Event], answered_kind: Kind | None) -> None:
        appended = self._log.append(events)
        self._last_event_at = self._clock.monotonic()
        for event in appended:
            self._apply(event, answered_kind)
            for observer in self._observers:
                observer(self.state, event)
        if any(event.kind in JOB_END_KINDS for event in appended):
            self._on_inactive()

    def _apply(self, event: Event, answered_kind: Kind | None) -> None:
        """Apply one event. `answered_kind`: the kind of events that the schedule has already answered; None for none."""
        trial = self.state.apply(event)
        if trial is not None and event.kind is not answered_kind:
            self._notify_schedule_and_strategy(event, trial)
        if self._monitor:
            self._monitor.record_event(event, trial)

    def _notify_schedule_and_strategy(self, event: Event, trial: Trial) -> None:
        """Pass an event about a trial to the schedule and the strategy."""
        self.pending_actions.pop(trial.id, None)
        match event.kind:
            case Kind.PROPOSED:
                note = trial.proposal.note.get("schedule", {})
                self._notify_schedule_of_job(trial, Start(trial.fidelity, note, trial.step_offset))
            case Kind.PROMOTED:
                self._notify_schedule_of_job(trial, Resume(trial.id, trial.fidelity, trial.step_offset))
                if trial.step >= trial.target_step:
                    # The trial had no value at the end of its previous job and was trained further, to the end of this job
                    # or beyond. So its last report is also the last report of this job.
                    self.pending_actions[trial.id] = self.ask_schedule(trial)
            case Kind.REPORTED:
                self.pending_actions[trial.id] = self.ask_schedule(trial)
            case Kind.PAUSED:
                self._tell_strategy(trial)
            case Kind.FINISHED | Kind.STOPPED | Kind.FAILED:
                with convert_plugin_errors("schedule", self._schedule):
                    self._schedule.on_end(trial)
                self._tell_strategy(trial)

    def _notify_schedule_of_job(self, trial: Trial, job: Start | Resume) -> None:
        with convert_plugin_errors("schedule", self._schedule):
            self._schedule.on_job(trial, job)

    def _tell_strategy(self, trial: Trial) -> None:
        with convert_plugin_errors("strategy", self._strategy):
            self._strategy.tell(trial)
