"""Writing down, and what follows from it: an event is appended to the journal and then folded into all that has a memory.

State, schedule and strategy learn of an event here and nowhere else, in the same way whether it happens now or is read back
by a session that continues the run. So they are a function of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ogive.run.clock import Clock
from ogive.run.decide import valueless
from ogive.run.events import ENDS_OF_JOBS, Event, Kind
from ogive.run.observers import Monitor, Observer
from ogive.run.state import State
from ogive.schedule.base import Action, Resume, Schedule, Start
from ogive.strategy.base import Strategy
from ogive.trial import Trial, TrialId
from ogive.user_code import blaming_class


class Log(Protocol):
    """Where events go: a journal, or a list in memory."""

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Append events in one step; they come back with their number and time."""


class Fold:
    """The memory of a run: state, schedule, strategy, and the monitor where there is one.

    Args:
        observers: called with the state and each new event; events that are read back are not passed to them.
        at_rest: called when trials have come to rest, which is when the monitor's advice may have changed.

    Attributes:
        undecided: what the schedule said to a trial's last report, where the journal does not have yet what follows from it:
            in a session that continues the run, and for a trial that was promoted to a step that it has passed already.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        state: State,
        strategy: Strategy,
        schedule: Schedule,
        monitor: Monitor | None,
        observers: Sequence[Observer],
        at_rest: Callable[[], None],
    ) -> None:
        self.state = state
        self.undecided: dict[TrialId, Action] = {}
        self._log, self._clock = log, clock
        self._strategy, self._schedule, self._monitor = strategy, schedule, monitor
        self._observers, self._at_rest = observers, at_rest
        self._last_event = clock.monotonic()

    @property
    def now(self) -> float:
        """The journal's time: that of the last event, and what has passed since."""
        return self.state.time + self._clock.monotonic() - self._last_event

    def read(self, events: Iterable[Event]) -> None:
        """Fold events that the journal has already."""
        for event in events:
            self._apply(event, None)
        self._last_event = self._clock.monotonic()

    def write(self, *events: Event) -> None:
        """Append events in one transaction and fold them; those without a time happen now."""
        now = self._clock.now()
        self._take([event if event.time else event.at(now) for event in events], None)

    def write_report(self, report: Event, decided: Event | None) -> None:
        """Write a report, about which the schedule was asked already, and in the same transaction what it decided."""
        self._take([report] if decided is None else [report, decided.at(report.time)], Kind.REPORTED)

    def ask(self, trial: Trial) -> Action:
        """What the schedule says to the trial's last report. It is not asked before the trial has a value."""
        if valueless(trial, self.state.metrics_needed):
            return Action.CONTINUE
        with blaming_class("schedule", self._schedule):
            return self._schedule.on_report(trial, trial.reports[-1])

    def _take(self, events: Sequence[Event], known: Kind | None) -> None:
        appended = self._log.append(events)
        self._last_event = self._clock.monotonic()
        for event in appended:
            self._apply(event, known)
            for observer in self._observers:
                observer(self.state, event)
        if any(event.kind in ENDS_OF_JOBS for event in appended):
            self._at_rest()

    def _apply(self, event: Event, known: Kind | None) -> None:
        """Fold one event; the schedule knows those of the kind `known` already."""
        trial = self.state.apply(event)
        if trial is not None and event.kind is not known:
            self._inform(event, trial)
        if self._monitor:
            self._monitor.note(event, trial)

    def _inform(self, event: Event, trial: Trial) -> None:
        self.undecided.pop(trial.id, None)
        match event.kind:
            case Kind.PROPOSED:
                note = trial.proposal.note.get("schedule", {})
                self._carried_out(trial, Start(trial.fidelity, note, trial.began))
            case Kind.PROMOTED:
                self._carried_out(trial, Resume(trial.id, trial.fidelity, trial.began))
                if trial.step >= trial.until:  # it went further before it had a value: its last report answers this job
                    self.undecided[trial.id] = self.ask(trial)
            case Kind.REPORTED:
                self.undecided[trial.id] = self.ask(trial)
            case Kind.PAUSED:
                self._tell(trial)
            case Kind.FINISHED | Kind.STOPPED | Kind.FAILED:
                with blaming_class("schedule", self._schedule):
                    self._schedule.on_end(trial)
                self._tell(trial)

    def _carried_out(self, trial: Trial, job: Start | Resume) -> None:
        with blaming_class("schedule", self._schedule):
            self._schedule.on_job(trial, job)

    def _tell(self, trial: Trial) -> None:
        with blaming_class("strategy", self._strategy):
            self._strategy.tell(trial)
