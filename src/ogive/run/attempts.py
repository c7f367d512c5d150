"""The listener of the executor: it records attempts in the journal.

Each report and each end of an attempt is journalled together with the decision that follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ogive.run import checkpoint_retention
from ogive.run.cache import Cache
from ogive.run.clock import Clock
from ogive.run.decide import (
    decide_end,
    find_missing_metrics,
    find_value_failure,
    get_answer,
    get_inherited_metrics,
    make_failed_event,
)
from ogive.run.events import Event, Kind
from ogive.run.executor import Outcome
from ogive.run.fold import Fold
from ogive.run.trial_changes import add_report
from ogive.schedule.base import Action
from ogive.trial import RETRYABLE, Report, Status, Step, Trial, TrialId

# The ends of two warnings that begin with the names of the metrics.
REPORTED_LATE = (
    "had not been reported when the schedule first compared trials: each trial continues until it reports a value, and is "
    "compared then; report it earlier, or raise min_epochs of the schedule"
)
VALUE_INHERITED = (
    "was not reported by a trial that continues from the weights of another trial, up to its last epoch: the value of the "
    "other trial counts as its value; report it in the last epoch, too"
)


class AttemptRecorder:
    """Records the reports and the ends of attempts; it is the listener of the executor.

    Args:
        fold: the fold, which writes the events.
        clock: the clock of the session; it sets the time of each report.
        folder: the folder of the run.
        retries: the number of further attempts of a trial after its worker was killed or lost.
        cache: the evaluation cache, in which results are shared with other runs; None for no cache.
        is_stopping: a function that returns whether the session is about to end.

    Attributes:
        running: the trials that have a worker. A trial keeps its worker for a short time after it is paused or has ended.
    """

    def __init__(
        self,
        fold: Fold,
        clock: Clock,
        folder: Path,
        *,
        retries: int,
        cache: Cache | None,
        is_stopping: Callable[[], bool],
    ) -> None:
        self.running: set[TrialId] = set()
        self._fold, self._clock, self._folder = fold, clock, folder
        self._retries, self._cache, self._is_stopping = retries, cache, is_stopping
        self._state = fold.state
        self._epochs: int | None = fold.state.declaration["epochs"]

    # -- the listener --------------------------------------------------------------------------------------------

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        """Record a report and the decision about it; return the answer to the worker.

        A report is ignored if the journal already contains its step.
        """
        record = self._state.trials[trial]
        # The worker counts steps from the start of its evaluation, the journal from the start of the training.
        step += record.step_offset
        if record.status is not Status.RUNNING:  # its worker has not ended yet, so ask it again
            return Action.STOP if record.status.ended else Action.PAUSE
        if step <= record.step:  # an attempt that continues from an older checkpoint repeats steps
            return Action.CONTINUE
        return self.record_report(trial, step, metrics, seconds)

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        """Record how an attempt ended. Its worker is idle from now on."""
        self.running.discard(trial)
        self._record_end(trial, outcome)
        self.delete_checkpoints(trial)

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        """Record a message for the user."""
        self._fold.write(Event(Kind.WARNING, trial, data={"message": message}))

    def warn_once(self, message: str, trial: TrialId | None = None) -> None:
        """Record a message for the user, unless the journal has it already."""
        if all(message != previous for previous, _ in self._state.warnings):
            self.on_warning(message, trial)

    def warn_once_per_topic(self, topic: str, message: str, trial: TrialId) -> None:
        """Record a message for the user, unless the journal has one that contains `topic`."""
        if all(topic not in previous for previous, _ in self._state.warnings):
            self.on_warning(message, trial)

    # -- reports -------------------------------------------------------------------------------------------------

    def record_report(
        self, number: TrialId, step: Step, metrics: Mapping[str, float], seconds: float, saved: float = 0.0
    ) -> Action:
        """Record a report and the decision about it; return the answer to the worker.

        Args:
            number: the id of the trial.
            step: the step of the report, higher than in all earlier reports.
            metrics: the reported values.
            seconds: compute time since the previous report, in seconds.
            saved: compute time, in an earlier run, of a report from the evaluation cache; 0 for other reports.
        """
        previous = self._state.trials[number]
        data = {"metrics": dict(metrics), "seconds": round(seconds, 6)}
        if saved:
            data["saved"] = round(saved, 6)
        event = Event(Kind.REPORTED, number, step, data, self._clock.now())
        # At its last step, a trial that continues the training of a donor gets the donor's values of missing metrics.
        if inherited := get_inherited_metrics(add_report(previous, event), self._state, step):
            self.warn_once(f"{', '.join(inherited)} {VALUE_INHERITED}", number)
            event = replace(event, data={**data, "metrics": {**metrics, **inherited}})
        # The schedule receives the same record as in a continued run, which reads it from the journal.
        trial = add_report(previous, event)
        decision = decide_end(trial, self._fold.ask_schedule(trial), self._state.compared_metrics, self._epochs)
        self._fold.write_report(event, decision)
        if decision is None and trial.step >= trial.target_step:  # only missing metrics let a trial continue so far
            missing = ", ".join(find_missing_metrics(trial, self._state.compared_metrics))
            self.warn_once(f"{missing} {REPORTED_LATE}", number)
        # A trial without a worker has its reports from the evaluation cache, so they are not stored again.
        if decision is not None and decision.kind is not Kind.FAILED and number in self.running:
            self._store_result(number)
        return get_answer(decision)

    def _store_result(self, number: TrialId) -> None:
        """Store the reports of a trial in the evaluation cache; warn if the code was edited, so that the cache is off."""
        if self._cache is None:
            return
        self._cache.store(self._state.trials[number])
        if (reason := self._cache.find_edit()) is not None:
            self.warn_once(reason)

    def record_cached(self, job_event: Event, reports: Sequence[Report]) -> None:
        """Write the event that proposes or resumes a trial, and then its reports from the cache, which take no time."""
        assert job_event.trial is not None
        self._fold.write(job_event)
        for report in reports:
            action = self.record_report(job_event.trial, report.step, report.metrics, 0.0, saved=report.seconds)
            if action is not Action.CONTINUE:
                break

    def write_pending_decision(self, trial: Trial) -> bool:
        """Write the decision about the last report of `trial`, if it ends or pauses the trial and is not journalled.

        Returns:
            Whether an event was written. If so, the trial is now paused or has ended.
        """
        action = self._fold.pending_actions.get(trial.id)
        event = None if action is None else decide_end(trial, action, self._state.compared_metrics, self._epochs)
        if event is None:
            return False
        self._fold.write(event)
        self.delete_checkpoints(trial.id)
        return True

    # -- ends ----------------------------------------------------------------------------------------------------

    def put_back_orphans(self) -> None:
        """Put back the trials that were running when the last session was killed, so that they wait for another attempt.

        Also delete the unneeded checkpoints that the killed session left behind.
        """
        orphans = [trial for trial in self._state.trials.values() if trial.status is Status.RUNNING]
        for trial in orphans:
            if not self.write_pending_decision(trial):
                self._fold.write(Event(Kind.PUT_BACK, trial.id, data={"reason": "the controller ended"}))
        checkpoint_retention.delete_leftovers(self._folder, self._state.trials.values())

    def _record_end(self, number: TrialId, outcome: Outcome) -> None:
        trial = self._state.trials[number]
        if outcome.status is Status.FINISHED and outcome.reason:
            self.warn_once(outcome.reason, number)
        if trial.status is not Status.RUNNING:  # the decision about its last report has paused or ended it
            if outcome.status.failed:
                self.on_warning(f"after its last report, trial {number} ended with: {outcome.reason}", number)
            return
        if outcome.status is Status.FINISHED:
            self._record_early_end(trial, outcome.seconds)
        elif outcome.status is Status.WAITING or self._is_retried(trial, outcome):
            data = {"reason": outcome.reason, "seconds": round(outcome.seconds, 6)}
            if outcome.status in RETRYABLE and not self._is_stopping():
                data["status"] = outcome.status.value  # events with this entry count towards `retries`
            self._fold.write(Event(Kind.PUT_BACK, number, data=data))
        else:
            self._fold.write(make_failed_event(number, outcome))

    def _record_early_end(self, trial: Trial, seconds: float) -> None:
        """Record the end of a running trial whose train function has returned.

        The trial has not reached the last step of its job, or it has no value. Without a value it fails. With a value it is
        finished; its value is that of its last report, or of its best one if the best epoch counts.
        """
        failure = find_value_failure(trial, self._state.compared_metrics)
        if failure is not None:
            # If the values of the donor count (see `get_inherited_metrics`), an empty report adds them, and ends the trial.
            if trial.step < trial.target_step and get_inherited_metrics(trial, self._state, trial.target_step):
                self.record_report(trial.id, trial.target_step, {}, seconds)
            else:
                self._fold.write(make_failed_event(trial.id, failure))
            return
        if any(share < 1 for name, share in trial.fidelity.items() if name != "epochs"):
            # At a reduced fidelity only the job has ended: the schedule may resume the trial at a higher one. So its last
            # metrics are recorded at the last step of the job, and the schedule decides.
            self.record_report(trial.id, trial.target_step, trial.reports[-1].metrics, seconds)
            return
        reason = f"it ended by itself after step {trial.step} of {trial.target_step}"
        self._fold.write(Event(Kind.FINISHED, trial.id, data={"seconds": round(seconds, 6), "reason": reason}))
        counted_epoch = "last" if self._state.best_epoch_rule is None else "best"
        message = f"trial {trial.id}: {reason}; its {counted_epoch} value counts as its value"
        self.warn_once_per_topic("ended by itself", message, trial.id)

    def _is_retried(self, trial: Trial, outcome: Outcome) -> bool:
        # A worker that is lost while the session ends may have been killed by the end, so its trial does not fail.
        has_attempts_left = self._is_stopping() or self._state.lost_attempt_counts[trial.id] < self._retries
        return outcome.status in RETRYABLE and has_attempts_left

    def delete_checkpoints(self, number: TrialId) -> None:
        """Delete the unneeded checkpoints of a trial, if the trial has ended and no worker is still carrying it out."""
        trial = self._state.trials[number]
        if trial.status.ended and number not in self.running:
            checkpoint_retention.delete_unneeded(self._folder, trial)
