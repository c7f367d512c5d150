"""The state of a run: a fold over its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from ogive.errors import RunError
from ogive.gc_pause import uncollected
from ogive.objective import Constraint, Objective
from ogive.run.alerts import Alert
from ogive.run.events import Event, Kind, proposal_from_json
from ogive.run.prices import Price
from ogive.run.timeline import AttemptInterval, SessionInterval
from ogive.space import Space
from ogive.trial import BestEpoch, Fidelity, Proposal, Report, Status, Trial, TrialId

_AFTER_A_GAP = frozenset({Kind.OPENED, Kind.CHANGED, Kind.TEST_READ})
"""Events that may be the first after a time in which no controller ran: a killed one could not say that it closed."""

_OF_THE_RUN = frozenset({Kind.WARNING, Kind.TEST_READ, Kind.ALERT})
"""Events that may name a trial and change nothing about it."""

REPEATS = "repeats"
"""The entry of a proposal's note that names the failed trial whose architecture it repeats."""

LAST_ENDED = 20
"""So many of the last ended trials are at hand."""


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
        last_ended: the last trials that have ended, by number, at most `LAST_ENDED`: a heap.
        seconds: compute time of all trials.
        elapsed: time that the sessions took, in seconds; stretches in which no controller ran are left out.
        ended: why the search is over; "" while it is not.
        exhausted: whether it is over because the strategy has nothing left to propose.
        ended_by_failures: whether it is over because too many trials failed, the first ones all in the same way, or by the
            stop rule on failures.
        error: the error that ended the last session, on one line or several; None where it ended otherwise, or goes on.
        forgiven: failed trials that `max_failed_trials` does not count: those that the search had ended by before it was
            continued, and those that were to be repeated.
        failed_in_session: trials that failed since the last session began, in that order.
        warnings: messages for the user, with the trial they belong to.
        alerts: in the order in which they were raised; `alerted` has their causes.
        repeats: failed trials whose proposals (architecture, settings, seed) are made again where the schedule starts a
            trial, with the trial that does so; None while none does.
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
    last_ended: list[TrialId] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    lost: Counter[TrialId] = field(default_factory=Counter)
    jobs: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    ended: str = ""
    exhausted: bool = False
    ended_by_failures: bool = False
    error: str | None = None
    forgiven: int = 0
    failed_in_session: list[TrialId] = field(default_factory=list)
    warnings: list[tuple[str, TrialId | None]] = field(default_factory=list)
    test_reads: int = 0
    sessions: list[Mapping[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    alerted: set[str] = field(default_factory=set)
    repeats: dict[TrialId, TrialId | None] = field(default_factory=dict)
    projected: list[Mapping[str, Any]] = field(default_factory=list)
    stretches: list[SessionInterval] = field(default_factory=list)
    spans: list[AttemptInterval] = field(default_factory=list)
    saved: float = 0.0
    retried: float = 0.0
    open: bool = False
    seq: int = 0
    time: float = 0.0
    _on_workers: dict[TrialId, AttemptInterval] = field(default_factory=dict)

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
        with uncollected():
            for event in stream:
                state.apply(event)
        return state

    @property
    def price(self) -> Price | None:
        """What an hour costs: as the last session that had a price was told; None where none was."""
        return next((stretch.price for stretch in reversed(self.stretches) if stretch.price), None)

    @property
    def running(self) -> list[AttemptInterval]:
        """The attempts that are on workers."""
        return list(self._on_workers.values())

    @property
    def failed(self) -> int:
        """How many trials ended without a value."""
        return sum(n for status, n in self.count.items() if status.failed)

    @property
    def total(self) -> int:
        """How many trials the search will have: `max_trials`, and those that repeat failed ones."""
        return int(self.settings["max_trials"]) + len(self.repeats)

    @property
    def next_repeat(self) -> TrialId | None:
        """The first failed trial whose architecture is to be proposed again."""
        left = (failed for failed, repeat in self.repeats.items() if repeat is None)
        return next((failed for failed in left if not self.trials[failed].goes_on), None)

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(n for status, n in self.count.items() if status.ended)

    @property
    def trains_models(self) -> bool | None:
        """Whether its trials train models, whose weights are to be kept; None where that is unknown."""
        return self.sessions[-1].get("trains_models") if self.sessions else None

    @property
    def code(self) -> str | None:
        """The hash of the user's code that judged the last trials; None where it is unknown."""
        return self.sessions[-1].get("code") or None if self.sessions else None

    @cached_property
    def metrics_needed(self) -> tuple[str, ...]:
        """The metrics that the objectives and constraints are made of."""
        return tuple(dict.fromkeys([o.metric for o in self.objectives] + [c.metric for c in self.constraints]))

    @cached_property
    def best_epoch_of(self) -> BestEpoch | None:
        """The rule by which one objective chooses a trial's epoch; None where the last epoch is a trial's value."""
        chooser = next((objective for objective in self.objectives if objective.epoch == "best"), None)
        return None if chooser is None else BestEpoch(chooser.metric, chooser.goal, self.metrics_needed)

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
        passed = event.time - self.time
        self.time = event.time
        if passed <= 0.0 or not self.open or event.kind in _AFTER_A_GAP:
            return
        if event.kind is Kind.ALERT and event.data["cause"].startswith("controller"):  # by a watcher
            return
        self.elapsed += passed
        if self.stretches:
            self.stretches[-1].end += passed

    def _open(self, event: Event) -> None:
        for span in self._on_workers.values():  # of a controller that was killed
            span.end = self.stretches[-1].end if self.stretches else event.time
        self._on_workers.clear()
        self.sessions.append(event.data)
        self.stretches.append(SessionInterval.opened(event.time, event.data, self.settings))
        if self.ended_by_failures:
            self.forgiven = self.failed
        self.failed_in_session = []
        self.open, self.ended, self.exhausted, self.ended_by_failures, self.error = True, "", False, False, None

    def _apply_to_run(self, event: Event) -> None:
        match event.kind:
            case Kind.OPENED:
                self._open(event)
            case Kind.CLOSED:
                self.open, self.error = False, event.data.get("error")
            case Kind.CHANGED:
                self.settings.update(event.data)
            case Kind.ENDED:
                self.ended, self.exhausted = event.data["why"], event.data.get("exhausted", False)
                # journals of earlier versions say it in the sentence only
                self.ended_by_failures = event.data.get("failures", "max_failed_trials is" in self.ended)
            case Kind.WARNING:
                self.warnings.append((event.data["message"], event.trial))
            case Kind.TEST_READ:
                self.test_reads += 1
            case Kind.REPEATING:
                self.repeats |= dict.fromkeys(event.data["trials"])
                self.forgiven = self.failed
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
            best_epoch_of=self.best_epoch_of,
        )

    def _count(self, before: Trial | None, trial: Trial, event: Event) -> None:
        kind = event.kind
        if kind is Kind.PROPOSED or kind is Kind.PROMOTED:
            self.jobs += 1
        elif kind is Kind.STARTED:
            self.spans.append(AttemptInterval(trial.id, trial.worker, event.time))
            self._on_workers[trial.id] = self.spans[-1]
        elif kind is Kind.REPORTED:
            self.saved += event.data.get("saved", 0.0)
        if before is None:
            self.seen[trial.architecture.id] += 1
            if (failed := trial.proposal.note.get(REPEATS)) is not None:
                self.repeats[failed] = trial.id
        if before is None or before.status is not trial.status:
            self._change_status(before.status if before else None, trial, event)
        seconds = trial.seconds - (before.seconds if before else 0.0)
        if seconds:
            self.seconds += seconds
            if self.stretches:
                self.stretches[-1].compute += seconds
        if kind is Kind.PUT_BACK:
            self.retried += seconds
            if "status" in event.data:
                self.lost[trial.id] += 1

    def _change_status(self, was: Status | None, trial: Trial, event: Event) -> None:
        status, number = trial.status, trial.id
        if was is not None:
            self.count[was] -= 1
        self.count[status] += 1
        if status.failed:
            self.failed_in_session.append(number)
        if status.ended:
            heappush(self.last_ended, number)
            if len(self.last_ended) > LAST_ENDED:
                heappop(self.last_ended)
        flies = status is Status.WAITING or status is Status.RUNNING
        if flies and number not in self.in_flight:
            self.in_flight[number] = trial.proposal
            self.flying[trial.architecture.id] += 1
        elif not flies and number in self.in_flight:
            del self.in_flight[number]
            self.flying[trial.architecture.id] -= 1
        if status is Status.WAITING:
            self.waiting[number] = None
        elif was is Status.WAITING:
            del self.waiting[number]
        if was is Status.RUNNING and number in self._on_workers:
            self._on_workers.pop(number).end = event.time


def _started(trial: Trial, event: Event) -> Trial:
    first = trial.started_at if trial.started_at is not None else event.time
    data = event.data
    return trial.changed(
        status=Status.RUNNING,
        worker=data["worker"],
        attempts=trial.attempts + 1,
        started_at=first,
        reason="",
        cached=False,
    )


def reported(trial: Trial, event: Event) -> Trial:
    """`trial` after a report; what the report does not repeat is carried forward from the former of the same fidelity."""
    seconds = event.data.get("seconds", 0.0)
    metrics = event.data["metrics"]
    if trial.reports and trial.reports[-1].began == trial.began:
        metrics = {**trial.reports[-1].metrics, **metrics}
    report = Report(event.step or 0, metrics, seconds, event.time, trial.began)
    return trial.changed(reports=(*trial.reports, report), seconds=trial.seconds + seconds)


def _ended(status: Status) -> Any:
    def change(trial: Trial, event: Event) -> Trial:
        data = event.data
        return trial.changed(
            status=Status(data.get("status", status)),
            reason=data.get("reason", ""),
            traceback=data.get("traceback", ""),
            seconds=trial.seconds + data.get("seconds", 0.0),
            ended_at=event.time,
        )

    return change


def _paused(trial: Trial, event: Event) -> Trial:
    return trial.changed(status=Status.PAUSED)


def _promoted(trial: Trial, event: Event) -> Trial:
    fidelity: Fidelity = event.data["fidelity"]
    return trial.changed(status=Status.WAITING, fidelity=fidelity, began=event.data.get("began", 0))


def _put_back(trial: Trial, event: Event) -> Trial:
    seconds = trial.seconds + event.data.get("seconds", 0.0)
    return trial.changed(status=Status.WAITING, reason=event.data["reason"], seconds=seconds)


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
