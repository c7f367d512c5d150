"""The events of a journal. Every state in memory is a fold over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ogive.space import Space
from ogive.trial import EMPTY, Proposal, Step, Trial, TrialId


class Kind(StrEnum):
    """What happened."""

    CREATED = "created"  # the run: its space, objectives, strategy, schedule, fingerprints and settings
    OPENED = "opened"  # a session of the controller began: host, process, versions
    CHANGED = "changed"  # settings that may change: max_trials, workers, limits, budget, price, stop rule, alerts
    PROPOSED = "proposed"  # by the strategy, for a Start of the schedule
    PROMOTED = "promoted"  # the schedule resumes a paused trial
    STARTED = "started"  # an attempt was given to a worker
    REPORTED = "reported"  # metrics at a step
    PAUSED = "paused"
    STOPPED = "stopped"  # by the schedule
    FINISHED = "finished"
    FAILED = "failed"
    PUT_BACK = "put_back"  # an attempt ended without a result; the trial waits for the next one
    WARNING = "warning"  # something that a user should know and that changes no decision
    ALERT = "alert"  # something that a user should hear of at once; one for each cause
    PROJECTED = "projected"  # what the whole search was expected to take, when a share of it was done
    REPEATING = "repeating"  # failed architectures that the search proposes again
    TEST_READ = "test_read"  # somebody looked at the test split
    ENDED = "ended"  # the search is over, and why
    CLOSED = "closed"  # the session ended


OF_A_SESSION = frozenset(
    {Kind.OPENED, Kind.CHANGED, Kind.STARTED, Kind.PUT_BACK, Kind.WARNING, Kind.PROJECTED, Kind.CLOSED}
)
"""Events that tell how the work was carried out. A resumed run has others of these than an uninterrupted one; with one
worker all the rest are equal but for time, host and cost. Alerts are of both sorts: see `of_a_session`."""

ENDS_OF_JOBS = frozenset({Kind.FINISHED, Kind.STOPPED, Kind.FAILED, Kind.PAUSED})
"""The events after which a trial is at rest: its job has ended."""

TIMED_CAUSES = ("budget", "patience", "slow", "utilisation", "controller", "plan", "stop:budget")
"""How the causes of those alerts begin that time decides."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. `seq` counts from 1 and is 0 before it is appended; (trial, step) is unique."""

    kind: Kind
    trial: TrialId | None = None
    step: Step | None = None
    data: Mapping[str, Any] = EMPTY
    time: float = 0.0
    seq: int = 0

    def at(self, time: float, seq: int = 0) -> Event:
        """The event with its time and its number; `dataclasses.replace` takes three times as long."""
        return Event(self.kind, self.trial, self.step, self.data, time, seq)


def of_a_session(event: Event) -> bool:
    """Whether an event tells how the work was carried out: one of `OF_A_SESSION`, or an alert that time decides."""
    if event.kind is Kind.ALERT:
        return str(event.data["cause"]).startswith(TIMED_CAUSES)
    return event.kind in OF_A_SESSION


def proposal_to_json(proposal: Proposal) -> dict[str, Any]:
    """The proposal as JSON, with the architecture's identity."""
    data: dict[str, Any] = {"choices": proposal.architecture.to_json(), "id": proposal.architecture.id}
    if proposal.inherit is not None:
        data["inherit"] = list(proposal.inherit)
    if proposal.settings:
        data["settings"] = dict(proposal.settings)
    if proposal.note:
        data["note"] = dict(proposal.note)
    return data


def proposal_from_json(data: Mapping[str, Any], space: Space) -> Proposal:
    """The proposal that `proposal_to_json` wrote. Its architecture keeps the identity that was recorded."""
    architecture = space.architecture(data["choices"])
    architecture.__dict__["id"] = data["id"]  # the cached value: a space read from a journal has no canonical form
    inherit = tuple(data["inherit"]) if "inherit" in data else None
    return Proposal(architecture, inherit, data.get("settings", EMPTY), data.get("note", EMPTY))


def promoted(trial: Trial) -> Event:
    """The event that sends `trial` on, to its fidelity."""
    data: dict[str, Any] = {"fidelity": dict(trial.fidelity)}
    if trial.began:
        data["began"] = trial.began
    return Event(Kind.PROMOTED, trial.id, data=data)


def proposed(trial: Trial) -> Event:
    """The event that makes `trial`."""
    data: dict[str, Any] = {"proposal": proposal_to_json(trial.proposal), "seed": trial.seed}
    data["fidelity"] = dict(trial.fidelity)
    if trial.screened:
        data["screened"] = dict(trial.screened)
    if trial.began:
        data["began"] = trial.began
    if trial.cached:
        data["cached"] = True
    return Event(Kind.PROPOSED, trial.id, data=data)
