"""The state of a run: a fold over its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ogive.errors import RunError
from ogive.objective import Constraint, Objective
from ogive.run.events import Event, Kind, proposal_from_json
from ogive.space import Space
from ogive.trial import Fidelity, Proposal, Report, Status, Trial, TrialId

_AFTER_A_GAP = (Kind.OPENED, Kind.CHANGED, Kind.TEST_READ)
"""Events that may be the first after a time in which no controller ran: a killed one could not say that it closed."""


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
    open: bool = False
    seq: int = 0
    _last_time: float | None = None

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
    def failed(self) -> int:
        """How many trials ended without a value."""
        return sum(n for status, n in self.count.items() if status.failed)

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(n for status, n in self.count.items() if status.ended)

    @property
    def metrics_needed(self) -> tuple[str, ...]:
        """The metrics that the objectives and constraints are made of."""
        return tuple(dict.fromkeys([o.metric for o in self.objectives] + [c.metric for c in self.constraints]))

    def apply(self, event: Event) -> Trial | None:
        """Take note of an event; returns the trial's new record where it is about one."""
        self.seq = event.seq
        if self.open and self._last_time is not None and event.kind not in _AFTER_A_GAP:
            self.elapsed += max(0.0, event.time - self._last_time)
        self._last_time = event.time
        if event.trial is None or event.kind in (Kind.WARNING, Kind.TEST_READ):
            self._apply_to_run(event)
            return None
        before = self.trials.get(event.trial)
        trial = self._propose(event) if before is None else _CHANGES[event.kind](before, event)
        self.trials[event.trial] = trial
        self._count(before, trial, event)
        return trial

    def _apply_to_run(self, event: Event) -> None:
        match event.kind:
            case Kind.OPENED:
                self.sessions.append(event.data)
                self.open, self.ended = True, ""
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
            proposed_at=event.time,
        )

    def _count(self, before: Trial | None, trial: Trial, event: Event) -> None:
        if before is not None:
            self.count[before.status] -= 1
        else:
            self.seen[trial.architecture.id] += 1
        self.count[trial.status] += 1
        self.seconds += trial.seconds - (before.seconds if before else 0.0)
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


def _started(trial: Trial, event: Event) -> Trial:
    first = trial.started_at if trial.started_at is not None else event.time
    data = event.data
    return replace(
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
    return replace(trial, reports=(*trial.reports, report), seconds=trial.seconds + seconds)


def _ended(status: Status) -> Any:
    def change(trial: Trial, event: Event) -> Trial:
        data = event.data
        return replace(
            trial,
            status=Status(data.get("status", status)),
            reason=data.get("reason", ""),
            traceback=data.get("traceback", ""),
            seconds=trial.seconds + data.get("seconds", 0.0),
            ended_at=event.time,
        )

    return change


def _paused(trial: Trial, event: Event) -> Trial:
    return replace(trial, status=Status.PAUSED)


def _promoted(trial: Trial, event: Event) -> Trial:
    fidelity: Fidelity = event.data["fidelity"]
    return replace(trial, status=Status.WAITING, fidelity=fidelity)


def _put_back(trial: Trial, event: Event) -> Trial:
    seconds = trial.seconds + event.data.get("seconds", 0.0)
    return replace(trial, status=Status.WAITING, reason=event.data["reason"], seconds=seconds)


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
