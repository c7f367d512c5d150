"""How one trial was carried out, read from the journal: its segments, sessions and threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.run.events import Event, Kind
from ogive.trial import EMPTY, Fidelity, Step, TrialId, steps_of


@dataclass(frozen=True)
class Segment:
    """A part of a trial that was trained from its own start, without its pauses.

    Attributes:
        began: the step of the trial from which the segment's steps are counted; above 0 if the trial started again.
        fidelity: the highest that the trial was promoted to in this segment.
        reports: all known metrics by the step in the segment; a metric keeps its value until it is reported again.
        final: whether it is the last segment of the trial.
    """

    began: Step
    fidelity: Fidelity
    reports: Mapping[Step, Mapping[str, float]]
    final: bool

    @property
    def until(self) -> Step:
        """The last step of the fidelity."""
        return steps_of(self.fidelity)


@dataclass(frozen=True, kw_only=True)
class TrialHistory:
    """How a trial was carried out.

    Attributes:
        trial: its number.
        segments: those with reports; the last one in any case.
        session: the record of the session in which it last ran, or else was proposed.
        threads: of its last attempt; None if not recorded.
        all_threads: the different numbers of threads of its attempts.
        started: whether a worker received it; False if it came from the cache, or failed before.
        inline: whether its last attempt ran in the controller's process.
    """

    trial: TrialId
    segments: tuple[Segment, ...]
    session: Mapping[str, Any]
    threads: int | None
    all_threads: tuple[int, ...]
    started: bool
    inline: bool


@dataclass
class _Record:
    """The events of a trial, collected.

    Attributes:
        segments: the first step, the fidelity and the reports of each.
        proposed_in: the record of the session of the proposal.
        started_in: the record of the session of each attempt.
        worker: of the last attempt.
    """

    segments: list[tuple[Step, Fidelity, dict[Step, dict[str, float]]]] = field(default_factory=list)
    proposed_in: Mapping[str, Any] = EMPTY
    started_in: list[Mapping[str, Any]] = field(default_factory=list)
    worker: str = ""


def read_trial_history(events: Iterable[Event], trial: TrialId) -> TrialHistory:
    """Return how `trial`, which must be in the journal, was carried out."""
    session: Mapping[str, Any] = EMPTY
    record = _Record()
    for event in events:
        if event.kind is Kind.OPENED:
            session = event.data
        elif event.trial == trial:
            _add_event(record, event, session)
    last = record.started_in[-1] if record.started_in else record.proposed_in
    threads = [number for item in record.started_in if (number := item.get("threads")) is not None]
    segments = [segment for segment in record.segments if segment[2]] or record.segments[-1:]
    return TrialHistory(
        trial=trial,
        segments=tuple(
            Segment(began, fidelity, reports, final=number == len(segments))
            for number, (began, fidelity, reports) in enumerate(segments, 1)
        ),
        session=last,
        threads=last.get("threads"),
        all_threads=tuple(dict.fromkeys(threads)),
        started=bool(record.started_in),
        inline=record.worker == "inline",
    )


def _add_event(record: _Record, event: Event, session: Mapping[str, Any]) -> None:
    match event.kind:
        case Kind.PROPOSED:
            record.proposed_in = session
            record.segments.append((event.data.get("began", 0), event.data["fidelity"], {}))
        case Kind.PROMOTED:
            began = event.data.get("began", 0)
            last_began, _, reports = record.segments[-1]
            if last_began == began:  # the trial continues from its checkpoint
                record.segments[-1] = began, event.data["fidelity"], reports
            else:
                record.segments.append((began, event.data["fidelity"], {}))
        case Kind.STARTED:
            record.started_in.append(session)
            record.worker = event.data["worker"]
        case Kind.REPORTED:
            began, _, reports = record.segments[-1]
            previous = reports[max(reports)] if reports else {}
            reports[(event.step or 0) - began] = {**previous, **event.data["metrics"]}
        case _:
            pass
