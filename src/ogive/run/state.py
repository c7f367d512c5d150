"""The state of a run: a fold over its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ogive.errors import RunError
from ogive.objective import Constraint, Objective
from ogive.run.alerts import Alert
from ogive.run.events import Event, Kind, proposal_from_json
from ogive.run.prices import Price
from ogive.run.stretches import Span, Stretch
from ogive.space import Space
from ogive.trial import Fidelity, Proposal, Report, Status, Trial, TrialId

_AFTER_A_GAP = (Kind.OPENED, Kind.CHANGED, Kind.TEST_READ)
"""Events that may be the first after a time in which no controller ran: a killed one could not say that it closed."""

_OF_THE_RUN = (Kind.WARNING, Kind.TEST_READ, Kind.ALERT)
"""Events that may name a trial and change nothing about it."""


@dataclass
class State:
    """All that is known of a run after some of its events. `apply` is the only thing that changes it.

    Attributes:
        space: as found in the journal, or the declared one with its layers.
        created: what the run was created with.
        settings: what may change while it is continued: max_trials, workers, limits, budget.
        trials: by id.
        in_flight: the proposals that wait or run; a strategy sees them as pending.
        flying: how many of them have each identity.
        waiting: trials that were started once and put back, oldest first.
        lost: by trial, attempts that were put back because their worker was killed or lost.
        count: trials by status.
        seconds: compute time of all trials.
        elapsed: time that the sessions took, in seconds; stretches in which no controller ran are left out.
        ended: why the search is over; "" while it is not.
        warnings: messages for the user, with the trial they belong to.
        alerts: in the order in which they were raised; `alerted` has their causes.
        projected: what the whole search was expected to take, as journalled when shares of it were done.
        stretches: the sessions' time, workers and prices.
        spans: the attempts, in the order of their start.
        saved: compute seconds of the reports that came from the evaluation cache.
        retried: compute seconds of attempts since their last report, where they were put back.
        time: of the last event.
        test_reads: how often somebody looked at the test split.
        session: the last session's data: host, process, versions, threads.
    """

    space: Space
    created: Mapping[str, Any]
    settings: dict[str, Any]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    trials: dict[TrialId, Trial] = field(default_factory=dict)
    in_flight: dict[TrialId, Proposal] = field(default_factory=dict)
    flying: Counter[str] = field(default_factory=Counter)
    waiting: dict[TrialId, None] = field(default_factory=dict)
    count: Counter[Status] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    lost: Counter[TrialId] = field(default_factory=Counter)
    jobs: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    ended: str = ""
    warnings: list[tuple[str, TrialId | None]] = field(default_factory=list)
    test_reads: int = 0
    sessions: list[Mapping[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    alerted: set[str] = field(default_factory=set)
    projected: list[Mapping[str, Any]] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    saved: float = 0.0
    retried: float = 0.0
    open: bool = False
    seq: int = 0
    time: float = 0.0
    _on_workers: dict[TrialId, Span] = field(default_factory=dict)

    @staticmethod
    def of(events: Iterable[Event], space: Space | None = None) -> State:
        """Fold the events of a journal; `space` is the declared one where the layers are needed.

        Raises:
            RunError: the events do not begin with the creation of a run.
        """
        stream = iter(events)
        first = next(stream, None)
        if first is None or first.kind is not Kind.CREATED:
            raise RunError("the journal does not begin with the creation of a run; it is no journal of Ogive's")
        data = first.data
        state = State(
            space or Space.from_json(data["space"]),
            data,
            dict(data["settings"]),
            tuple(Objective(**item) for item in data["objectives"]),
            tuple(Constraint(**item) for item in data["constraints"]),
            seq=first.seq,
        )
        for event in stream:
            state.apply(event)
        return state

    @property
    def price(self) -> Price | None:
        """What an hour costs: as the last session that had a price was told; None where none was."""
        return next((stretch.price for stretch in reversed(self.stretches) if stretch.price), None)

    @property
    def running(self) -> list[Span]:
        """The attempts that are on workers."""
        return list(self._on_workers.values())

    @property
    def failed(self) -> int:
        """How many trials ended without a value."""
        return sum(n for status, n in self.count.items() if status.failed)

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(n for status, n in self.count.items() if status.ended)

    @cached_property
    def metrics_needed(self) -> tuple[str, ...]:
        """The metrics that the objectives and constraints are made of."""
        return tuple(dict.fromkeys([o.metric for o in self.objectives] + [c.metric for c in self.constraints]))

    def apply(self, event: Event) -> Trial | None:
        """Take note of an event; returns the trial's new record where it is about one."""
        self.seq = event.seq
        self._pass_time(event)
        if event.trial is None or event.kind in _OF_THE_RUN:
            self._apply_to_run(event)
            return None
        before = self.trials.get(event.trial)
        trial = self._propose(event) if before is None else _CHANGES[event.kind](before, event)
        self.trials[event.trial] = trial
        self._count(before, trial, event)
        return trial

    def _pass_time(self, event: Event) -> None:
        """Time since the last event is a session's, unless no controller ran in it."""
        by_a_watcher = event.kind is Kind.ALERT and event.data["cause"].startswith("controller")
        if self.open and event.kind not in _AFTER_A_GAP and not by_a_watcher:
            passed = max(0.0, event.time - self.time)
            self.elapsed += passed
            if self.stretches:
                self.stretches[-1].end += passed
        self.time = event.time

    def _open(self, event: Event) -> None:
        for span in self._on_workers.values():  # of a controller that was killed
            span.end = self.stretches[-1].end if self.stretches else event.time
        self._on_workers.clear()
        self.sessions.append(event.data)
        self.stretches.append(Stretch.opened(event.time, event.data, self.settings))
        self.open, self.ended = True, ""

    def _apply_to_run(self, event: Event) -> None:
        match event.kind:
            case Kind.OPENED:
                self._open(event)
            case Kind.CLOSED:
                self.open = False
            case Kind.CHANGED:
                self.settings.update(event.data)
            case Kind.ENDED:
                self.ended = event.data["why"]
            case Kind.WARNING:
                self.warnings.append((event.data["message"], event.trial))
            case Kind.TEST_READ:
                self.test_reads += 1
            case Kind.ALERT:
                self.alerts.append(Alert.of(event))
                self.alerted.add(self.alerts[-1].cause)
            case Kind.PROJECTED:
                self.projected.append(event.data)
            case _:
                raise RunError(f"event {event.seq} ({event.kind}) names no trial")

    def _propose(self, event: Event) -> Trial:
        if event.kind is not Kind.PROPOSED:
            raise RunError(f"event {event.seq} ({event.kind}) is about trial {event.trial}, which was never proposed")
        data = event.data
        return Trial(
            event.trial or 0,
            proposal_from_json(data["proposal"], self.space),
            data["fidelity"],
            data["seed"],
            screened=data.get("screened", {}),
            cached=data.get("cached", False),
            began=data.get("began", 0),
            proposed_at=event.time,
        )

    def _count(self, before: Trial | None, trial: Trial, event: Event) -> None:
        if before is not None:
            self.count[before.status] -= 1
        else:
            self.seen[trial.architecture.id] += 1
        self.count[trial.status] += 1
        seconds = trial.seconds - (before.seconds if before else 0.0)
        self.seconds += seconds
        if self.stretches:
            self.stretches[-1].compute += seconds
        self.saved += event.data.get("saved", 0.0)
        self.retried += seconds if event.kind is Kind.PUT_BACK else 0.0
        self._follow(trial, event)
        if event.kind in (Kind.PROPOSED, Kind.PROMOTED):
            self.jobs += 1
        if event.kind is Kind.PUT_BACK and "status" in event.data:
            self.lost[trial.id] += 1
        flies, flew = trial.status in (Status.WAITING, Status.RUNNING), trial.id in self.in_flight
        if flies and not flew:
            self.in_flight[trial.id] = trial.proposal
            self.flying[trial.architecture.id] += 1
        elif flew and not flies:
            del self.in_flight[trial.id]
            self.flying[trial.architecture.id] -= 1
        if trial.status is Status.WAITING:
            self.waiting[trial.id] = None
        else:
            self.waiting.pop(trial.id, None)

    def _follow(self, trial: Trial, event: Event) -> None:
        """Keep the attempts on workers."""
        if event.kind is Kind.STARTED:
            self._on_workers[trial.id] = Span(trial.id, trial.worker, event.time)
            self.spans.append(self._on_workers[trial.id])
        elif trial.status is not Status.RUNNING and trial.id in self._on_workers:
            self._on_workers.pop(trial.id).end = event.time


def _replace(trial: Trial, **changes: Any) -> Trial:
    """`dataclasses.replace` in a third of its time: most of what reading a long journal takes is this."""
    new = Trial.__new__(Trial)
    new.__dict__.update(trial.__dict__, **changes)
    return new


def _started(trial: Trial, event: Event) -> Trial:
    first = trial.started_at if trial.started_at is not None else event.time
    data = event.data
    return _replace(
        trial,
        status=Status.RUNNING,
        worker=data["worker"],
        attempts=trial.attempts + 1,
        started_at=first,
        reason="",
        cached=False,
    )


def reported(trial: Trial, event: Event) -> Trial:
    """`trial` after a report; what the report does not repeat is carried forward from the former."""
    seconds = event.data.get("seconds", 0.0)
    former = trial.reports[-1].metrics if trial.reports else {}
    report = Report(event.step or 0, {**former, **event.data["metrics"]}, seconds, event.time)
    return _replace(trial, reports=(*trial.reports, report), seconds=trial.seconds + seconds)


def _ended(status: Status) -> Any:
    def change(trial: Trial, event: Event) -> Trial:
        data = event.data
        return _replace(
            trial,
            status=Status(data.get("status", status)),
            reason=data.get("reason", ""),
            traceback=data.get("traceback", ""),
            seconds=trial.seconds + data.get("seconds", 0.0),
            ended_at=event.time,
        )

    return change


def _paused(trial: Trial, event: Event) -> Trial:
    return _replace(trial, status=Status.PAUSED)


def _promoted(trial: Trial, event: Event) -> Trial:
    fidelity: Fidelity = event.data["fidelity"]
    return _replace(trial, status=Status.WAITING, fidelity=fidelity, began=event.data.get("began", 0))


def _put_back(trial: Trial, event: Event) -> Trial:
    seconds = trial.seconds + event.data.get("seconds", 0.0)
    return _replace(trial, status=Status.WAITING, reason=event.data["reason"], seconds=seconds)


_CHANGES: Mapping[Kind, Any] = {
    Kind.STARTED: _started,
    Kind.REPORTED: reported,
    Kind.PAUSED: _paused,
    Kind.PROMOTED: _promoted,
    Kind.STOPPED: _ended(Status.STOPPED),
    Kind.FINISHED: _ended(Status.FINISHED),
    Kind.FAILED: _ended(Status.ERROR),
    Kind.PUT_BACK: _put_back,
}
