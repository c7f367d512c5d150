"""How one trial was carried out, read from the journal: on which legs, in which sessions, with how many threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ogive.run.events import Event, Kind
from ogive.trial import EMPTY, Fidelity, Step, TrialId, until


@dataclass(frozen=True)
class Segment:
    """A stretch of a trial from a start to where it ended, pauses left out.

    Attributes:
        began: the trial's step that those of this leg are counted from; above 0 where the trial started again.
        fidelity: the furthest that it was told to go.
        reports: metrics by the step within the leg; what was not repeated is carried forward.
        final: it is the trial's last.
    """

    began: Step
    fidelity: Fidelity
    reports: Mapping[Step, Mapping[str, float]]
    final: bool

    @property
    def until(self) -> Step:
        return until(self.fidelity)


@dataclass(frozen=True)
class TrialHistory:
    """How a trial was carried out.

    Attributes:
        session: what the session that it last ran in, or was proposed in, recorded of itself.
        threads: of its last attempt; None where that is not recorded.
        all_threads: the different numbers of threads that its attempts had.
        started: a worker had it; else it came from the cache, or failed before.
        inline: its last attempt ran in the controller's own process.
    """

    trial: TrialId
    legs: tuple[Segment, ...]
    session: Mapping[str, Any]
    threads: int | None
    all_threads: tuple[int, ...]
    started: bool
    inline: bool


@dataclass
class _Notes:
    legs: list[tuple[Step, Fidelity, dict[Step, dict[str, float]]]] = field(default_factory=list)
    proposed_in: Mapping[str, Any] = EMPTY
    started_in: list[Mapping[str, Any]] = field(default_factory=list)
    worker: str = ""


def trial_history(events: Iterable[Event], trial: TrialId) -> TrialHistory:
    """Read how `trial`, which is in the journal, was carried out."""
    session: Mapping[str, Any] = EMPTY
    notes = _Notes()
    for event in events:
        if event.kind is Kind.OPENED:
            session = event.data
        elif event.trial == trial:
            _note(notes, event, session)
    last = notes.started_in[-1] if notes.started_in else notes.proposed_in
    every = [found for item in notes.started_in if (found := item.get("threads")) is not None]
    legs = [(began, fidelity, reports) for began, fidelity, reports in notes.legs if reports] or notes.legs[-1:]
    return TrialHistory(
        trial,
        tuple(Segment(*leg, final=number == len(legs)) for number, leg in enumerate(legs, 1)),
        last,
        last.get("threads"),
        tuple(dict.fromkeys(every)),
        bool(notes.started_in),
        notes.worker == "inline",
    )


def _note(notes: _Notes, event: Event, session: Mapping[str, Any]) -> None:
    match event.kind:
        case Kind.PROPOSED:
            notes.proposed_in = session
            notes.legs.append((event.data.get("began", 0), event.data["fidelity"], {}))
        case Kind.PROMOTED:
            began = event.data.get("began", 0)
            if notes.legs[-1][0] == began:  # it goes on from its checkpoint
                notes.legs[-1] = began, event.data["fidelity"], notes.legs[-1][2]
            else:
                notes.legs.append((began, event.data["fidelity"], {}))
        case Kind.STARTED:
            notes.started_in.append(session)
            notes.worker = event.data["worker"]
        case Kind.REPORTED:
            began, _, reports = notes.legs[-1]
            former = reports[max(reports)] if reports else {}
            reports[(event.step or 0) - began] = {**former, **event.data["metrics"]}
        case _:
            pass
