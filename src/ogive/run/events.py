"""The events of a journal. The state of a run is computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ogive.space import Space
from ogive.trial import EMPTY, Proposal, Step, Trial, TrialId


class Kind(StrEnum):
    """The kinds of events."""

    CREATED = "created"  # the run was created: its space, objectives, strategy, schedule, fingerprints and settings
    OPENED = "opened"  # a session began: host, process, versions
    CHANGED = "changed"  # settings were changed: max_trials, workers, limits, budget, price, stop rule, alerts
    PROPOSED = "proposed"  # the strategy proposed a trial for a Start of the schedule
    PROMOTED = "promoted"  # the schedule resumed a paused trial
    STARTED = "started"  # a worker started an attempt
    REPORTED = "reported"  # a trial reported metrics at a step
    PAUSED = "paused"
    STOPPED = "stopped"  # the schedule ended a trial early
    FINISHED = "finished"
    FAILED = "failed"
    PUT_BACK = "put_back"  # an attempt ended without a result; the trial waits for another attempt
    WARNING = "warning"  # a message for the user; changes no decision
    ALERT = "alert"  # a message that the user should receive at once; one for each cause
    PROJECTED = "projected"  # the hours and the money that the whole search is expected to take
    REPEATING = "repeating"  # the failed trials whose architectures are proposed again
    TEST_READ = "test_read"  # the test split was used
    ENDED = "ended"  # the search is over, with the reason
    CLOSED = "closed"  # the session ended


SESSION_EVENTS = frozenset(
    {Kind.OPENED, Kind.CHANGED, Kind.STARTED, Kind.PUT_BACK, Kind.WARNING, Kind.PROJECTED, Kind.CLOSED}
)
"""Events about how the work was carried out. A run that was continued and an uninterrupted run differ in these events. With
one worker, all other events are equal except for time, host and money. Time-dependent alerts are session events as well; see
`is_session_event`.
"""

JOB_END_KINDS = frozenset({Kind.FINISHED, Kind.STOPPED, Kind.FAILED, Kind.PAUSED})
"""The events that end the job of a trial, after which the trial is inactive."""

TIME_DEPENDENT_CAUSES = ("budget", "patience", "slow", "utilisation", "controller", "plan", "stop:budget")
"""Prefixes of the causes of the alerts that depend on time."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal.

    Attributes:
        kind: the kind of the event.
        trial: the trial that the event is about; None if it is about the run.
        step: the step of a report; None for other events. No two reports have the same trial and step.
        data: JSON values by name; the names depend on the kind.
        time: seconds since 1970 (or since the start of a simulation); 0 if the journal is to set it when it appends the
            event.
        seq: the number of the event, from 1; 0 before it is appended.
    """

    kind: Kind
    trial: TrialId | None = None
    step: Step | None = None
    data: Mapping[str, Any] = EMPTY
    time: float = 0.0
    seq: int = 0

    def with_time(self, time: float, seq: int = 0) -> Event:
        """Return a copy of the event with another time and number. (`dataclasses.replace` takes three times as long.)"""
        return Event(self.kind, self.trial, self.step, self.data, time, seq)


def is_session_event(event: Event) -> bool:
    """Return whether an event is about how the work was carried out: one of `SESSION_EVENTS`, or a time-dependent alert."""
    if event.kind is Kind.ALERT:
        return str(event.data["cause"]).startswith(TIME_DEPENDENT_CAUSES)
    return event.kind in SESSION_EVENTS


def proposal_to_json(proposal: Proposal) -> dict[str, Any]:
    """Return a proposal as JSON, with the id of its architecture."""
    data: dict[str, Any] = {"choices": proposal.architecture.to_json(), "id": proposal.architecture.id}
    if proposal.inherit is not None:
        data["inherit"] = list(proposal.inherit)
    if proposal.settings:
        data["settings"] = dict(proposal.settings)
    if proposal.note:
        data["note"] = dict(proposal.note)
    return data


def proposal_from_json(data: Mapping[str, Any], space: Space) -> Proposal:
    """Return the proposal that `proposal_to_json` wrote. Its architecture has the id that is in `data`."""
    architecture = space.architecture(data["choices"])
    # Set the cached property: a space that was read from a journal has no canonical form to compute the id from.
    architecture.__dict__["id"] = data["id"]
    inherit = tuple(data["inherit"]) if "inherit" in data else None
    return Proposal(architecture, inherit, data.get("settings", EMPTY), data.get("note", EMPTY))


def make_promoted_event(trial: Trial) -> Event:
    """Return the event that resumes `trial`, whose fidelity is already that of the new job."""
    data: dict[str, Any] = {"fidelity": dict(trial.fidelity)}
    if trial.step_offset:
        data["began"] = trial.step_offset  # the name in journals, which cannot change
    return Event(Kind.PROMOTED, trial.id, data=data)


def make_proposed_event(trial: Trial) -> Event:
    """Return the event that creates `trial`."""
    data: dict[str, Any] = {"proposal": proposal_to_json(trial.proposal), "seed": trial.seed}
    data["fidelity"] = dict(trial.fidelity)
    if trial.screened:
        data["screened"] = dict(trial.screened)
    if trial.step_offset:
        data["began"] = trial.step_offset
    if trial.cached:
        data["cached"] = True
    return Event(Kind.PROPOSED, trial.id, data=data)
