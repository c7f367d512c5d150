"""The live trial: the object by which a train function reports metrics, and saves and restores checkpoints.

Crash consistency: `checkpoint` writes the state to a temporary file. The `report` of the same epoch renames this file,
stores the metrics with it, and only then sends the report. If the process dies before the report is sent, the next attempt
sends the stored report, so no report is lost. Steps that are in the journal are not sent again, so no report is duplicated.

If several ranks train one model together, each of them runs the train function with its own live trial. Only rank 0 sends
reports and writes checkpoints. At the start of each epoch (or at each report, if the train function does not use `epochs`)
all ranks agree whether the trial ends, so that no rank waits for one that has returned.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ogive.errors import JobError, RunError
from ogive.estimate.checkpoint import CheckpointWriter, find_newest_checkpoint, find_value_checkpoint, load_checkpoint
from ogive.estimate.checkpoint_warnings import CheckpointUse
from ogive.estimate.metric_values import to_float
from ogive.estimate.process_group import AnyRank, process_group
from ogive.run.estimator import Evaluation, Team
from ogive.schedule.base import Action
from ogive.seeds import derive
from ogive.trial import Step


class TrialEnds(BaseException):
    """Raised to end a train function that continues to report after its trial was paused or stopped.

    It is not an `Exception`, so that `except Exception` in the train function does not catch it.
    """


class LiveTrial:
    """One attempt at a trial, as the train function sees it. With `until`, it may train beyond the step of the evaluation.

    Attributes:
        id: the id of the trial, from 0.
        architecture: the architecture that the model was built from.
        seed: the seed of all randomness of this trial, in [0, 2**63).
        settings: settings other than the architecture, such as a learning rate.
        fidelity: the fidelity to train at, such as `{"epochs": 9}`.
        folder: the folder of the trial; files in it are kept with the run.
        began: the number of epochs that the inherited weights were trained for; 0 without inheritance.
        epoch: the current epoch, from 1; after `restore`, the epoch of the checkpoint; 0 before the first.
    """

    def __init__(self, evaluation: Evaluation, any_rank: AnyRank, until: Step | None = None) -> None:
        self.id = evaluation.trial
        self.architecture = evaluation.architecture
        self.seed = evaluation.seed
        self.settings = evaluation.settings
        self.fidelity = evaluation.fidelity
        self.folder = evaluation.folder
        self.began = evaluation.step_offset if evaluation.inherit_from is not None else 0
        self.epoch: Step = 0
        self._evaluation = evaluation
        self._team = evaluation.team
        self._any_rank = any_rank
        self._until = evaluation.until if until is None else until
        self._missing_metrics = set(evaluation.missing_metrics)
        self._writer = CheckpointWriter(evaluation.folder, evaluation.best_epoch_rule if self._team.rank == 0 else None)
        # The newest checkpoint at the start of the attempt; `restore` returns its state.
        self._initial_checkpoint = find_newest_checkpoint(evaluation.folder)
        self._metrics: dict[str, float] = {}
        # The last step with a report in this attempt or in the restored checkpoint, even if it was not sent.
        self._last_reported_step: Step = 0
        self._last_sent_step = evaluation.last_reported_step
        self._has_started = False
        self._uses_epochs = False
        self._uses_ranks = False
        self._checkpoint_use = CheckpointUse(evaluation, self._initial_checkpoint)
        self._must_end = False
        self._ended_by_schedule = False

    @property
    def rank(self) -> int:
        """The index of this process among those that train the trial together, from 0."""
        return self.team.rank

    @property
    def ranks(self) -> int:
        """The number of processes that train the trial together, each with its own share of every batch.

        If there are several, `torch.distributed` is initialized, so that
        `torch.nn.parallel.DistributedDataParallel(model)` works. Every rank runs the whole train function. Only reports
        and checkpoints of rank 0 count.
        """
        return self.team.size

    @property
    def team(self) -> Team:
        """The processes that train the trial together."""
        self._uses_ranks = True  # for `_check_ranks`
        return self._team

    def epochs(self) -> Iterator[int]:
        """Yield the epochs to train, from the epoch after the restored checkpoint to the last epoch of the fidelity.

        The loop ends early if the schedule has answered a report with pause or stop, or if the worker has to give the trial
        back. The loop continues beyond the last epoch of the fidelity while a metric of the objectives or constraints has
        not been reported, if the run allows more epochs.

        The random states of Python, NumPy and PyTorch are set from (seed, epoch) at the start of each epoch, so that a
        trial draws the same random numbers with and without a pause.
        """
        if self._has_started and not self._uses_epochs:
            raise JobError(
                "trial.epochs() was called after trial.report(); call trial.report() only inside "
                "`for epoch in trial.epochs():`"
            )
        self._mark_start()
        self._uses_epochs = True
        while self._has_next_epoch():
            self._writer.commit(self._metrics, reported=False)  # the checkpoint of an epoch without a report
            self.epoch += 1
            seed_everything(derive(self.seed, "epoch", self.epoch))
            yield self.epoch

    def report(self, **metrics: Any) -> None:
        """Report metrics of the current epoch; at most once per epoch.

        Metrics that are not reported keep their values from earlier epochs. Without `epochs()`, the first report is step 1,
        the next step 2, and so on.

        Args:
            metrics: numbers of Python or NumPy, or tensors with one element; NaN and infinite values are allowed.

        Raises:
            InvalidMetric: a value is not a number.
            JobError: there are no metrics, or the epoch has been reported already.
        """
        values = {name: to_float(name, value) for name, value in metrics.items()}
        if not values:
            raise JobError("trial.report() was called without metrics; name them: trial.report(accuracy=accuracy)")
        step = self._get_next_step()
        self._mark_start()
        self._check_ranks()
        self._metrics |= values
        self.epoch = self._last_reported_step = step
        # The checkpoint must be on disk before the report is sent: if the process dies here, the next attempt sends
        # the report.
        if self._writer.staged_step == step:
            self._writer.commit(self._metrics, reported=True)
        self._send(step, self._metrics)
        if not self._uses_epochs:
            self._agree_on_end()

    def checkpoint(self, **state: Any) -> None:
        """Save everything that the next epoch depends on. It can be called before or after `report` in the same epoch.

        Exports read the weights from the name `model`: `trial.checkpoint(model=model.state_dict(), ...)`.

        Args:
            state: state_dict()s, tensors, NumPy arrays, numbers, strings, None, and lists, tuples and dicts of these.

        Raises:
            JobError: `state` contains something else, or the train function does not use `epochs()`.
        """
        if not self._uses_epochs and self._until > 1:
            raise JobError(
                "trial.checkpoint() belongs to an epoch, but the train function does not use trial.epochs(); "
                "loop over `for epoch in trial.epochs():`"
            )
        if self._team.rank > 0:
            return
        self._checkpoint_use.add_state(state)
        step = self.epoch if self._uses_epochs else 1
        self._writer.stage(step, state)
        if self._last_reported_step == step:
            self._writer.commit(self._metrics, reported=True)

    def restore(self) -> dict[str, Any] | None:
        """Return the state of the newest checkpoint of this trial, with tensors on the CPU; None if there is none.

        Call `restore` before `epochs()`, which then continues after the checkpoint. Without this call, training starts from
        epoch 1.

        Raises:
            JobError: an epoch has started already.
            RunError: the checkpoint cannot be read.
        """
        if self._has_started:
            raise JobError("trial.restore() must be called before trial.epochs() and trial.report()")
        if self._initial_checkpoint is None:
            return None
        state = load_checkpoint(self._initial_checkpoint.path)
        self.epoch = self._initial_checkpoint.step
        self._metrics = dict(self._initial_checkpoint.metrics)
        self._last_reported_step = self._initial_checkpoint.step
        return state

    def inherited(self) -> dict[str, Any] | None:
        """Return the state of the checkpoint that this trial inherits from, with tensors on the CPU; None if there is none.

        Raises:
            RunError: the checkpoint does not exist any more, or cannot be read.
        """
        self._checkpoint_use.has_read_inherited = True
        if self._evaluation.inherit_from is None:
            return None
        folder, step = self._evaluation.inherit_from
        checkpoints = [find_newest_checkpoint(folder), find_value_checkpoint(folder)] if folder.is_dir() else []
        parent_checkpoint = next((saved for saved in checkpoints if saved is not None and saved.step == step), None)
        if parent_checkpoint is None:
            newest_step = (
                f"the newest is of step {checkpoints[0].step}" if checkpoints and checkpoints[0] else "there is none"
            )
            raise RunError(
                f"{folder}: no checkpoint of step {step} to inherit from: {newest_step}; call trial.checkpoint(...) in "
                "every epoch"
            )
        return load_checkpoint(parent_checkpoint.path)

    def _send_stored_report(self) -> bool:
        """Send the report of the initial checkpoint if the journal lacks it. Return whether more training is needed."""
        saved = self._initial_checkpoint
        if saved is not None and saved.reported:
            self._send(saved.step, saved.metrics)
        return not self._agree_on_end() and self._last_sent_step < self._last_step

    @property
    def _last_step(self) -> Step:
        """The last step that may be reported. It is beyond the fidelity while a needed metric is missing."""
        return max(self._until, self._evaluation.max_step) if self._missing_metrics else self._until

    def _has_next_epoch(self) -> bool:
        """Return whether the train function has to train another epoch. All ranks agree on the answer."""
        # Not `_last_step`: `_missing_metrics` differs between the ranks if only rank 0 reports.
        last_epoch = max(self._until, self._evaluation.max_step if self._evaluation.missing_metrics else 0)
        if self._until <= self.epoch < last_epoch:
            # Beyond the fidelity, another epoch is needed only if this epoch was reported and metrics are still missing.
            # If it was not reported, the train function may still report it after the loop.
            is_incomplete = bool(self._missing_metrics) and self._last_reported_step == self.epoch
            if self._any_rank(self._team.rank == 0 and not is_incomplete):
                return False
        return self.epoch < last_epoch and not self._agree_on_end()

    def _has_returned_early(self) -> bool:
        """Return whether the train function returned before it reported all needed metrics, and may be called again."""
        evaluation = self._evaluation
        if not evaluation.missing_metrics or evaluation.max_step <= self._until:
            return False
        return self._any_rank(self._team.rank == 0 and bool(self._missing_metrics) and not self._must_end)

    def _mark_start(self) -> None:
        """Mark the start of training, and check the use of earlier checkpoints."""
        if not self._has_started and self.epoch == 0 and self._team.rank == 0:
            self._checkpoint_use.check_start()
        self._has_started = True

    def _agree_on_end(self) -> bool:
        """Return whether the trial ends. It ends on all ranks if it ends on one; only rank 0 receives answers to reports."""
        self._must_end = self._any_rank(self._must_end)
        return self._must_end

    def _check_ranks(self) -> None:
        """Raise JobError if there are several ranks, but the train function does not share the work among them."""
        if self._team.size > 1 and not self._uses_ranks:
            raise JobError(
                f"workers_per_trial={self._team.size}, but the train function uses neither trial.rank nor trial.ranks, so "
                "every process would train alone: let each process take its share of a batch, "
                "batch[trial.rank :: trial.ranks], and wrap the model in torch.nn.parallel.DistributedDataParallel; or set "
                "workers_per_trial=1"
            )

    def _close(self) -> None:
        """Store the checkpoint of an epoch without a report."""
        self._writer.commit(self._metrics, reported=False)

    def _get_next_step(self) -> Step:
        """Return the step of a report that is made now.

        Raises:
            JobError: the report is before the first epoch, or the second of its epoch.
            TrialEnds: the trial has ended.
        """
        step = self.epoch if self._uses_epochs else self.epoch + 1
        if self._uses_epochs and step == 0:
            raise JobError("trial.report() was called before the first epoch of trial.epochs()")
        if self._uses_epochs and step == self._last_reported_step:
            raise JobError(
                f"trial.report() was called twice in epoch {step}; report all metrics of an epoch in one call"
            )
        if self._must_end or step > self._last_step:
            raise TrialEnds
        return step

    def _send(self, step: Step, metrics: Mapping[str, float]) -> None:
        """Send a report, unless the journal has a report of this step, because the train function repeats epochs."""
        if step <= self._last_sent_step:
            return
        self._last_sent_step = step
        self._missing_metrics -= metrics.keys()
        if self._team.rank == 0:
            self._ended_by_schedule = self._evaluation.report(step, metrics) != Action.CONTINUE
            is_complete = step >= self._evaluation.until and not self._missing_metrics
            self._must_end = self._ended_by_schedule or is_complete


def run_live(evaluation: Evaluation, train: Callable[[LiveTrial], None]) -> None:
    """Run one attempt of a train function, unless the journal or a checkpoint has all reports of the evaluation already.

    Args:
        evaluation: the attempt.
        train: the train function; it trains a model and reports to the live trial.
    """
    with process_group(evaluation.team) as any_rank:
        trial = LiveTrial(evaluation, any_rank)
        # After a crash, the stored report can be the last one of the trial, so that no training is needed.
        if not trial._send_stored_report():
            return
        last_trial = trial
        _call_train_function(train, trial)
        if trial._has_returned_early():
            # The train function reports less often than the schedule compares trials, for example in every fifth epoch. It
            # is called again with more epochs: from its checkpoint, or from the beginning if it has none, until it has
            # reported the metrics of all objectives and constraints.
            last_trial = LiveTrial(evaluation, any_rank, until=evaluation.max_step)
            last_trial._last_sent_step = trial._last_sent_step
            _call_train_function(train, last_trial)
        if evaluation.team.rank == 0:
            last_trial._checkpoint_use.check_end(last_trial._ended_by_schedule)


def _call_train_function(train: Callable[[LiveTrial], None], trial: LiveTrial) -> None:
    """Call the train function, and store the checkpoint of its last epoch."""
    with suppress(TrialEnds):
        train(trial)
    trial._close()


def seed_everything(seed: int) -> None:
    """Set the random states of Python, of NumPy, and of PyTorch if it has been imported."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
