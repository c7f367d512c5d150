"""The state of a run, computed from the events of its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from ogive.errors import RunError
from ogive.gc_pause import pause_gc
from ogive.objective import Constraint, Objective
from ogive.run.alerts import Alert
from ogive.run.events import Event, Kind, proposal_from_json
from ogive.run.prices import Price
from ogive.run.timeline import AttemptInterval, SessionInterval
from ogive.run.trial_changes import change_trial
from ogive.space import Space
from ogive.trial import BestEpoch, Proposal, Status, Trial, TrialId

_MAY_FOLLOW_A_GAP = frozenset({Kind.OPENED, Kind.CHANGED, Kind.TEST_READ})
"""The kinds of events that may be the first ones after a gap, which is a time without a controller. A gap is not counted as
time of the session. (A killed controller writes no CLOSED event, so the state cannot know when the gap began.)
"""

_WITHOUT_EFFECT_ON_TRIALS = frozenset({Kind.WARNING, Kind.TEST_READ, Kind.ALERT})
"""The kinds of events that may name a trial but do not change it."""

REPEATS_NOTE = "repeats"
"""The entry of a proposal's note that names the failed trial whose architecture is proposed again."""

MAX_LAST_ENDED = 20
"""At most this many trials are in `State.last_ended`."""


@dataclass
class State:
    """The state of a run after some of its events. Only `apply` changes it.

    Attributes:
        space: the declared space with its layers, or the space that was read from the journal, which has no layers.
        declaration: the data of the event that created the run.
        settings: the settings that may change while a run is continued: max_trials, workers, limits, budget.
        objectives: the objectives of the run.
        constraints: the constraints of the run.
        trials: all trials, by id.
        pending: the proposals of pending trials (waiting or running), by trial.
        pending_architecture_counts: the number of pending trials of each architecture id.
        waiting: the trials that wait for a worker, in the order in which they began to wait; a dict as an ordered set.
        status_counts: the number of trials of each status.
        last_ended: the ended trials with the highest ids, at most `MAX_LAST_ENDED`, as a heap.
        architecture_counts: the number of trials of each architecture id.
        lost_attempt_counts: for each trial, the number of its attempts whose worker was killed or lost.
        job_count: the number of jobs of the schedule that were carried out.
        compute_seconds: compute time of all trials, in seconds.
        elapsed_seconds: the time in which a controller ran, in seconds.
        end_reason: the reason why the search has ended; None if the search has not ended.
        is_exhausted: whether the search has ended because the strategy cannot propose any more architectures.
        ended_by_failures: whether the search has ended because too many trials failed, because the first ones all failed in
            the same way, or because of the stop rule on failures.
        error: the error that ended the last session; None if it ended normally or is running.
        uncounted_failure_count: the number of failed trials that `max_failed_trials` does not count: those of a search that
            ended by failures and was continued, and those that are repeated.
        failed_in_session: the trials that have failed since the last session began, in this order.
        warnings: messages for the user, each with the trial that it is about, or None.
        test_reads: the number of times that the test split was used.
        sessions: the data of each session: host, process, versions, threads.
        alerts: the alerts, in the order of the journal.
        alert_causes: the causes of the alerts.
        repeated_by: the failed trials whose proposals (architecture, settings, seed) are repeated, each with the trial that
            repeats it, or None if there is none yet.
        projections: the data of the journalled projections.
        session_intervals: the interval of each session, with its workers and price.
        attempt_intervals: the intervals of all attempts, in the order of their start.
        saved_seconds: compute time that the evaluation cache saved: that of the reports that came from it, in seconds.
        lost_seconds: compute time of put-back attempts after their last report, which was lost, in seconds.
        is_open: whether the last session is open. (A session whose controller was killed stays open.)
        seq: the number of the last event.
        time: the time of the last event, in seconds.
    """

    space: Space
    declaration: Mapping[str, Any]
    settings: dict[str, Any]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    trials: dict[TrialId, Trial] = field(default_factory=dict)
    pending: dict[TrialId, Proposal] = field(default_factory=dict)
    pending_architecture_counts: Counter[str] = field(default_factory=Counter)
    waiting: dict[TrialId, None] = field(default_factory=dict)
    status_counts: Counter[Status] = field(default_factory=Counter)
    last_ended: list[TrialId] = field(default_factory=list)
    architecture_counts: Counter[str] = field(default_factory=Counter)
    lost_attempt_counts: Counter[TrialId] = field(default_factory=Counter)
    job_count: int = 0
    compute_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    end_reason: str | None = None
    is_exhausted: bool = False
    ended_by_failures: bool = False
    error: str | None = None
    uncounted_failure_count: int = 0
    failed_in_session: list[TrialId] = field(default_factory=list)
    warnings: list[tuple[str, TrialId | None]] = field(default_factory=list)
    test_reads: int = 0
    sessions: list[Mapping[str, Any]] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    alert_causes: set[str] = field(default_factory=set)
    repeated_by: dict[TrialId, TrialId | None] = field(default_factory=dict)
    projections: list[Mapping[str, Any]] = field(default_factory=list)
    session_intervals: list[SessionInterval] = field(default_factory=list)
    attempt_intervals: list[AttemptInterval] = field(default_factory=list)
    saved_seconds: float = 0.0
    lost_seconds: float = 0.0
    is_open: bool = False
    seq: int = 0
    time: float = 0.0
    _running_attempts: dict[TrialId, AttemptInterval] = field(default_factory=dict)

    @staticmethod
    def from_events(events: Iterable[Event], space: Space | None = None) -> State:
        """Return the state after the events of a journal.

        Args:
            events: all events, the first of which created the run.
            space: the declared space, if its layers are needed.

        Raises:
            RunError: the first event did not create a run.
        """
        stream = iter(events)
        first = next(stream, None)
        if first is None or first.kind is not Kind.CREATED:
            raise RunError(
                "the first event of the journal is not the creation of a run; give the journal of an Ogive run"
            )
        data = first.data
        state = State(
            space=space or Space.from_json(data["space"]),
            declaration=data,
            settings=dict(data["settings"]),
            objectives=tuple(Objective(**item) for item in data["objectives"]),
            constraints=tuple(Constraint(**item) for item in data["constraints"]),
            seq=first.seq,
        )
        with pause_gc():
            for event in stream:
                state.apply(event)
        return state

    @property
    def price(self) -> Price | None:
        """The price of the last session that had one; None if no session had one."""
        return next((interval.price for interval in reversed(self.session_intervals) if interval.price), None)

    @property
    def running_attempts(self) -> list[AttemptInterval]:
        """The attempts that workers are carrying out."""
        return list(self._running_attempts.values())

    @property
    def failed_count(self) -> int:
        """The number of trials that ended without a value."""
        return sum(count for status, count in self.status_counts.items() if status.failed)

    @property
    def total_trials(self) -> int:
        """The number of trials after which the search ends: `max_trials`, plus the repetitions of failed trials."""
        return int(self.settings["max_trials"]) + len(self.repeated_by)

    @property
    def next_repeat(self) -> TrialId | None:
        """The first failed trial whose proposal must still be repeated; None if there is none.

        A trial that continued the training of another one is not repeated, since the schedule has replaced it.
        """
        not_repeated = (failed for failed, repetition in self.repeated_by.items() if repetition is None)
        return next((failed for failed in not_repeated if not self.trials[failed].continues_training), None)

    @property
    def ended_count(self) -> int:
        """The number of trials that have ended."""
        return sum(count for status, count in self.status_counts.items() if status.ended)

    @property
    def trains_models(self) -> bool | None:
        """Whether the trials train models, whose weights should be kept; None if it is unknown."""
        return self.sessions[-1].get("trains_models") if self.sessions else None

    @property
    def code_hash(self) -> str | None:
        """The hash of the user's code that evaluated the last trials; None if it is unknown."""
        return self.sessions[-1].get("code") or None if self.sessions else None

    @cached_property
    def compared_metrics(self) -> tuple[str, ...]:
        """The metrics of the objectives and constraints."""
        metrics = [objective.metric for objective in self.objectives]
        metrics += [constraint.metric for constraint in self.constraints]
        return tuple(dict.fromkeys(metrics))

    @cached_property
    def best_epoch_rule(self) -> BestEpoch | None:
        """The rule that selects the best epoch as the value of a trial; None if the last epoch is the value."""
        objective = next((objective for objective in self.objectives if objective.epoch == "best"), None)
        return None if objective is None else BestEpoch(objective.metric, objective.goal, self.compared_metrics)

    def apply(self, event: Event) -> Trial | None:
        """Update the state from an event; return the new record of the trial that it changed, if any."""
        self.seq = event.seq
        self._count_elapsed_time(event)
        if event.trial is None or event.kind in _WITHOUT_EFFECT_ON_TRIALS:
            self._apply_to_run(event)
            return None
        before = self.trials.get(event.trial)
        trial = self._create_trial(event) if before is None else change_trial(before, event)
        self.trials[event.trial] = trial
        self._update_counts(before, trial, event)
        return trial

    def _count_elapsed_time(self, event: Event) -> None:
        """Add the time since the last event to the session, unless no controller ran during this time."""
        seconds = event.time - self.time
        self.time = event.time
        if seconds <= 0.0 or not self.is_open or event.kind in _MAY_FOLLOW_A_GAP:
            return
        if event.kind is Kind.ALERT and event.data["cause"].startswith("controller"):
            return  # a watcher has written this alert, because the controller did not respond
        self.elapsed_seconds += seconds
        if self.session_intervals:
            self.session_intervals[-1].end += seconds

    def _open_session(self, event: Event) -> None:
        for attempt in self._running_attempts.values():  # attempts of a killed controller
            attempt.end = self.session_intervals[-1].end if self.session_intervals else event.time
        self._running_attempts.clear()
        self.sessions.append(event.data)
        self.session_intervals.append(SessionInterval.from_event(event.time, event.data, self.settings))
        if self.ended_by_failures:
            self.uncounted_failure_count = self.failed_count
        self.failed_in_session = []
        self.is_open, self.end_reason, self.is_exhausted, self.ended_by_failures, self.error = (
            True,
            None,
            False,
            False,
            None,
        )

    def _apply_to_run(self, event: Event) -> None:
        match event.kind:
            case Kind.OPENED:
                self._open_session(event)
            case Kind.CLOSED:
                self.is_open, self.error = False, event.data.get("error")
            case Kind.CHANGED:
                self.settings.update(event.data)
            case Kind.ENDED:
                self.end_reason, self.is_exhausted = event.data["why"], event.data.get("exhausted", False)
                # Journals of earlier versions have no entry `failures`, so it is derived from the reason.
                self.ended_by_failures = event.data.get("failures", "max_failed_trials is" in self.end_reason)
            case Kind.WARNING:
                self.warnings.append((event.data["message"], event.trial))
            case Kind.TEST_READ:
                self.test_reads += 1
            case Kind.REPEATING:
                self.repeated_by |= dict.fromkeys(event.data["trials"])
                self.uncounted_failure_count = self.failed_count
            case Kind.ALERT:
                self.alerts.append(Alert.from_event(event))
                self.alert_causes.add(self.alerts[-1].cause)
            case Kind.PROJECTED:
                self.projections.append(event.data)
            case _:
                raise RunError(
                    f"event {event.seq} of the journal ({event.kind}) names no trial; the journal is damaged"
                )

    def _create_trial(self, event: Event) -> Trial:
        if event.kind is not Kind.PROPOSED:
            raise RunError(
                f"event {event.seq} of the journal ({event.kind}) is about trial {event.trial}, which was never proposed; "
                "the journal is damaged"
            )
        data = event.data
        assert event.trial is not None
        return Trial(
            id=event.trial,
            proposal=proposal_from_json(data["proposal"], self.space),
            fidelity=data["fidelity"],
            seed=data["seed"],
            screened=data.get("screened", {}),
            cached=data.get("cached", False),
            step_offset=data.get("began", 0),
            proposed_at=event.time,
            best_epoch_rule=self.best_epoch_rule,
        )

    def _update_counts(self, before: Trial | None, trial: Trial, event: Event) -> None:
        kind = event.kind
        if kind is Kind.PROPOSED or kind is Kind.PROMOTED:
            self.job_count += 1
        elif kind is Kind.STARTED:
            self.attempt_intervals.append(AttemptInterval(trial.id, event.data["worker"], event.time))
            self._running_attempts[trial.id] = self.attempt_intervals[-1]
        elif kind is Kind.REPORTED:
            self.saved_seconds += event.data.get("saved", 0.0)
        if before is None:
            self.architecture_counts[trial.architecture.id] += 1
            if (repeated := trial.proposal.note.get(REPEATS_NOTE)) is not None:
                self.repeated_by[repeated] = trial.id
        if before is None or before.status is not trial.status:
            self._change_status(before.status if before else None, trial, event)
        seconds = trial.seconds - (before.seconds if before else 0.0)
        if seconds:
            self.compute_seconds += seconds
            if self.session_intervals:
                self.session_intervals[-1].compute_seconds += seconds
        if kind is Kind.PUT_BACK:
            self.lost_seconds += seconds
            if "status" in event.data:
                self.lost_attempt_counts[trial.id] += 1

    def _change_status(self, previous: Status | None, trial: Trial, event: Event) -> None:
        status, number = trial.status, trial.id
        if previous is not None:
            self.status_counts[previous] -= 1
        self.status_counts[status] += 1
        if status.failed:
            self.failed_in_session.append(number)
        if status.ended:
            heappush(self.last_ended, number)
            if len(self.last_ended) > MAX_LAST_ENDED:
                heappop(self.last_ended)
        is_pending = status is Status.WAITING or status is Status.RUNNING
        if is_pending and number not in self.pending:
            self.pending[number] = trial.proposal
            self.pending_architecture_counts[trial.architecture.id] += 1
        elif not is_pending and number in self.pending:
            del self.pending[number]
            self.pending_architecture_counts[trial.architecture.id] -= 1
        if status is Status.WAITING:
            self.waiting[number] = None
        elif previous is Status.WAITING:
            del self.waiting[number]
        if previous is Status.RUNNING and number in self._running_attempts:
            self._running_attempts.pop(number).end = event.time
