"""The history of one trial, read from the journal: its segments, sessions and threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.run.events import Event, Kind
from ogive.trial import EMPTY, Fidelity, Step, TrialId, count_steps


@dataclass(frozen=True)
class Segment:
    """A part of a trial that is one training, from its initial or inherited weights on. A pause does not end a segment.

    Attributes:
        start_step: the step of the trial after which the segment starts. It is above 0 if the trial inherited weights, or if
            the trial was trained from scratch again.
        fidelity: the highest fidelity to which the trial was promoted in this segment.
        reports: the metrics at each step of the segment, counted from its start. A metric keeps its value until it is
            reported again.
        is_last: whether this is the last segment of the trial.
    """

    start_step: Step
    fidelity: Fidelity
    reports: Mapping[Step, Mapping[str, float]]
    is_last: bool

    @property
    def target_step(self) -> Step:
        """The step, counted from the start of the segment, at which its fidelity is reached. A trial may end before it."""
        return count_steps(self.fidelity)


@dataclass(frozen=True, kw_only=True)
class TrialHistory:
    """The history of a trial.

    Attributes:
        trial: the number of the trial.
        segments: the segments with reports; if no segment has reports, the last segment.
        session: the record of the session of the last attempt; without an attempt, the session of the proposal.
        threads: the number of threads of the last attempt; None if it was not recorded.
        all_threads: the different numbers of threads of all attempts.
        was_started: whether a worker received the trial. It is false if the trial's result came from the cache, or if the
            trial failed before it was started.
        is_inline: whether the last attempt ran in the controller's process.
    """

    trial: TrialId
    segments: tuple[Segment, ...]
    session: Mapping[str, Any]
    threads: int | None
    all_threads: tuple[int, ...]
    was_started: bool
    is_inline: bool


@dataclass
class _Record:
    """The data of a trial, collected event by event.

    Attributes:
        segments: the start step, the fidelity and the reports of each segment.
        proposal_session: the record of the session in which the trial was proposed.
        attempt_sessions: the record of the session of each attempt.
        worker: the name of the worker of the last attempt.
    """

    segments: list[tuple[Step, Fidelity, dict[Step, dict[str, float]]]] = field(default_factory=list)
    proposal_session: Mapping[str, Any] = EMPTY
    attempt_sessions: list[Mapping[str, Any]] = field(default_factory=list)
    worker: str = ""


def read_trial_history(events: Iterable[Event], trial: TrialId) -> TrialHistory:
    """Return the history of a trial.

    Args:
        events: all events of the journal.
        trial: the number of the trial, which must be in the journal.
    """
    session: Mapping[str, Any] = EMPTY
    record = _Record()
    for event in events:
        if event.kind is Kind.OPENED:
            session = event.data
        elif event.trial == trial:
            _add_event(record, event, session)
    last_session = record.attempt_sessions[-1] if record.attempt_sessions else record.proposal_session
    threads = [n for attempt_session in record.attempt_sessions if (n := attempt_session.get("threads")) is not None]
    segments = [segment for segment in record.segments if segment[2]] or record.segments[-1:]
    return TrialHistory(
        trial=trial,
        segments=tuple(
            Segment(start_step, fidelity, reports, is_last=number == len(segments))
            for number, (start_step, fidelity, reports) in enumerate(segments, 1)
        ),
        session=last_session,
        threads=last_session.get("threads"),
        all_threads=tuple(dict.fromkeys(threads)),
        was_started=bool(record.attempt_sessions),
        is_inline=record.worker == "inline",
    )


def _add_event(record: _Record, event: Event, session: Mapping[str, Any]) -> None:
    """Add an event of the trial to its record; `session` is the record of the session of the event."""
    match event.kind:
        case Kind.PROPOSED:
            record.proposal_session = session
            record.segments.append((event.data.get("began", 0), event.data["fidelity"], {}))
        case Kind.PROMOTED:
            start_step = event.data.get("began", 0)
            last_start_step, _, reports = record.segments[-1]
            # With an equal start step, the trial continues from its checkpoint. Otherwise it is trained from scratch again.
            if last_start_step == start_step:
                record.segments[-1] = start_step, event.data["fidelity"], reports
            else:
                record.segments.append((start_step, event.data["fidelity"], {}))
        case Kind.STARTED:
            record.attempt_sessions.append(session)
            record.worker = event.data["worker"]
        case Kind.REPORTED:
            start_step, _, reports = record.segments[-1]
            previous = reports[max(reports)] if reports else {}
            # A report always has a step; `or 0` is for the type checker.
            reports[(event.step or 0) - start_step] = {**previous, **event.data["metrics"]}
        case _:
            pass
