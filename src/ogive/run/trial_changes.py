"""The changes that events make to the record of a trial, as pure functions of the previous record and the event."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ogive.run.events import Event, Kind
from ogive.trial import Report, Status, Trial

Change = Callable[[Trial, Event], Trial]


def change_trial(trial: Trial, event: Event) -> Trial:
    """Return the record of a trial after an event about it, other than the event that created the trial."""
    return _CHANGES[event.kind](trial, event)


def add_report(trial: Trial, event: Event) -> Trial:
    """Return `trial` after a report. Metrics that the report leaves out keep their last values at the same fidelity."""
    seconds = event.data.get("seconds", 0.0)
    metrics = event.data["metrics"]
    if trial.reports and trial.reports[-1].step_offset == trial.step_offset:
        metrics = {**trial.reports[-1].metrics, **metrics}
    assert event.step is not None
    report = Report(event.step, metrics, seconds, event.time, trial.step_offset)
    return trial.with_changes(reports=(*trial.reports, report), seconds=trial.seconds + seconds)


def _start(trial: Trial, event: Event) -> Trial:
    started_at = trial.started_at if trial.started_at is not None else event.time
    return trial.with_changes(
        status=Status.RUNNING,
        worker=event.data["worker"],
        attempts=trial.attempts + 1,
        started_at=started_at,
        reason=None,
        cached=False,
    )


def _pause(trial: Trial, event: Event) -> Trial:
    return trial.with_changes(status=Status.PAUSED)


def _resume(trial: Trial, event: Event) -> Trial:
    return trial.with_changes(
        status=Status.WAITING, fidelity=event.data["fidelity"], step_offset=event.data.get("began", 0)
    )


def _put_back(trial: Trial, event: Event) -> Trial:
    seconds = trial.seconds + event.data.get("seconds", 0.0)
    return trial.with_changes(status=Status.WAITING, reason=event.data["reason"], seconds=seconds)


def _end_with(status: Status) -> Change:
    """Return the change for an event that ends a trial. The status is that in the data of the event, or else `status`."""

    def end(trial: Trial, event: Event) -> Trial:
        data = event.data
        return trial.with_changes(
            status=Status(data.get("status", status)),
            reason=data.get("reason"),
            traceback=data.get("traceback"),
            seconds=trial.seconds + data.get("seconds", 0.0),
            ended_at=event.time,
        )

    return end


_CHANGES: Mapping[Kind, Change] = {
    Kind.STARTED: _start,
    Kind.REPORTED: add_report,
    Kind.PAUSED: _pause,
    Kind.PROMOTED: _resume,
    Kind.STOPPED: _end_with(Status.STOPPED),
    Kind.FINISHED: _end_with(Status.FINISHED),
    Kind.FAILED: _end_with(Status.ERROR),
    Kind.PUT_BACK: _put_back,
}
