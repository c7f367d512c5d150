"""The live trial: the handle that a train function holds to report, checkpoint and restore.

Crash consistency. `checkpoint` writes the state aside at once; `report` of the same epoch puts it into place together
with its metrics, and only then sends the report. A process that dies between the two sends the saved report again when
it is restarted, so nothing is lost; and steps that the journal has are never sent twice, so nothing is doubled.

Where several processes train one model together, each runs the train function with a live trial of its own. Rank 0 alone
sends reports and writes checkpoints. At the start of every epoch (or, where nobody counts epochs, at every report) all agree
whether the trial is to end, so that none waits for one that has left.
"""

from __future__ import annotations

import math
import numbers
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ogive.errors import JobError, RunError
from ogive.estimate.checkpoint import CheckpointWriter, load_checkpoint, newest, of_value
from ogive.estimate.process_group import AnyOf, process_group
from ogive.run.estimator import Evaluation, Team
from ogive.run.unsaved_weights import UNSAVED
from ogive.schedule.base import Action
from ogive.seeds import derive
from ogive.trial import Step

REPEATS = "a trial that was paused or interrupted begins again from its first epoch, since the train function"
NOT_WRITTEN = (
    "writes no checkpoint: call trial.restore() first and trial.checkpoint(...) before trial.report(...), or take a "
    "schedule that pauses nothing"
)
NOT_RESTORED = "does not call trial.restore(), though it writes checkpoints"
NOT_INHERITED = (
    "a trial that is to go on from another one's weights starts without them, since the train function does not call "
    "trial.inherited(): state = trial.restore() or trial.inherited()"
)
_REMEDY = (
    "nothing can be exported of its trials; let it call trial.checkpoint(model=model.state_dict(), ...), then "
    "`ogive finalize` trains the best again and keeps their weights"
)
NO_CHECKPOINT = (
    f"{UNSAVED}: the train function came to the end of a trial without calling trial.checkpoint(), so {_REMEDY}"
)
NO_MODEL = f"{UNSAVED}: the train function calls trial.checkpoint() without model=, so {_REMEDY}"
NO_CHECKPOINT_YET = (
    f"{UNSAVED} of trials that are paused: the train function had not called trial.checkpoint() when the schedule paused or "
    f"ended one, so a trial that goes on begins again from its first epoch, and {_REMEDY}"
)


class TrialEnds(BaseException):
    """Ends a train function that goes on reporting after its trial was told to pause or stop.

    Not an `Exception`, so that a train function's own `except Exception` lets it through.
    """


class WrongMetric(JobError, TypeError):
    """What was reported as a metric is not a number."""


class LiveTrial:
    """One attempt at a trial, as a train function sees it.

    Attributes:
        id: of the trial, counted from 0.
        architecture: what the model was built from.
        seed: of all randomness of this trial, in [0, 2**63).
        settings: values that are not architecture.
        fidelity: how far to go, such as `{"epochs": 9}`.
        folder: the trial's own; what is left there is kept with the run.
        began: epochs that the trial which this one goes on for has been trained; see `inherited`.
        epoch: the current epoch, from 1; what was restored is done already. 0 before the first.
    """

    def __init__(self, evaluation: Evaluation, any_of: AnyOf, until: Step | None = None) -> None:
        self.id = evaluation.trial
        self.architecture = evaluation.architecture
        self.seed = evaluation.seed
        self.settings = evaluation.settings
        self.fidelity = evaluation.fidelity
        self.folder = evaluation.folder
        self.began = evaluation.began if evaluation.inherit is not None else 0
        self.epoch: Step = 0
        self._evaluation = evaluation
        self._team = evaluation.team
        self._any_of = any_of
        self._until = evaluation.until if until is None else until
        self._awaits = set(evaluation.awaits)
        self._writer = CheckpointWriter(evaluation.folder, evaluation.best_epoch_of if self._team.rank == 0 else None)
        self._saved = newest(evaluation.folder)
        self._metrics: dict[str, float] = {}
        self._reported: Step = 0  # the last step that this attempt reported, sent or not, or the restored one
        self._sent = evaluation.reported
        self._begun = False
        self._inherits = False  # whether the train function has asked for another one's weights
        self._saves: set[str] = set() if self._saved is None else {"model"} if self._saved.has_model else {"other"}
        self._model: Any = None  # what is trained, where the estimator has built it
        self._noted = False
        self._counted = False  # whether epochs() counts the steps
        self._over = False
        self._told_to_end = False  # by the answer to a report
        self._asked = False  # whether the train function knows of the other ranks

    @property
    def rank(self) -> int:
        """Which of the processes that train this trial together this one is, from 0; 0 for one alone."""
        return self.team.rank

    @property
    def ranks(self) -> int:
        """How many processes train this trial together, each with its own share of every batch; 1 for one alone.

        `torch.distributed` is ready where there are several, so that
        `torch.nn.parallel.DistributedDataParallel(model)` works. Every rank runs the whole train function: reports and
        checkpoints of rank 0 count, those of the others are ignored.
        """
        return self.team.size

    @property
    def team(self) -> Team:
        """The processes that train this trial together."""
        self._asked = True
        return self._team

    def epochs(self) -> Iterator[int]:
        """The epochs to train: from the one after the restored checkpoint up to where the trial is to go. A trial that has
        reported its last epoch without a metric of the objectives goes on until it reports one.

        Ends early once a report was answered with pause or stop, as it is when the worker is to put the trial back. The
        random states of Python, NumPy and PyTorch are set from (seed, epoch) at the start of each epoch, so that an
        epoch after a pause draws what it would have drawn without.
        """
        if self._begun and not self._counted:
            raise JobError(
                "trial.epochs() came after trial.report(); report inside `for epoch in trial.epochs():` only"
            )
        self._begin()
        self._counted = True
        while self._goes_on():
            self._writer.commit(self._metrics, reported=False)  # a checkpoint whose epoch went without a report
            self.epoch += 1
            seed_everything(derive(self.seed, "epoch", self.epoch))
            yield self.epoch

    def report(self, **metrics: Any) -> None:
        """Report metrics of the current epoch, once an epoch; metrics not repeated carry forward from earlier epochs.

        Without `epochs()` the first report is step 1, the next step 2, and so on.

        Args:
            metrics: finite or not, but numbers: of Python or NumPy, or tensors of one element.

        Raises:
            WrongMetric: a value is not a number.
            JobError: nothing is reported, or the epoch has its report already.
        """
        numbers_ = {name: number(name, value) for name, value in metrics.items()}
        if not numbers_:
            raise JobError("trial.report() was called without metrics; name them: trial.report(accuracy=accuracy)")
        step = self._next_step()
        self._begin()
        self._check_ranks()
        self._metrics |= numbers_
        self.epoch = self._reported = step
        if self._writer.staged == step:
            self._writer.commit(self._metrics, reported=True)
        self._send(step, self._metrics)
        if not self._counted:
            self._agreed()

    def checkpoint(self, **state: Any) -> None:
        """Save all that the next epoch depends on, as it is now; in the same epoch as `report`, before or after it.

        Give the weights the name `model`, which is where exports look: `model=model.state_dict()`.

        Args:
            state: state_dict()s, tensors, NumPy arrays, numbers, strings, None, and lists, tuples and dicts of these.

        Raises:
            JobError: `state` holds something else, or it is not clear which epoch it belongs to.
        """
        if not self._counted and self._until > 1:
            raise JobError(
                "trial.checkpoint() belongs to an epoch, and this train function does not count them; "
                "loop over `for epoch in trial.epochs():`"
            )
        if self._team.rank > 0:
            return
        self._saves |= set(state)
        step = self.epoch if self._counted else 1
        self._writer.stage(step, state)
        if self._reported == step:
            self._writer.commit(self._metrics, reported=True)

    def restore(self) -> dict[str, Any] | None:
        """The state of this trial's newest checkpoint, tensors on the CPU, or None where there is none.

        `epochs()` goes on after it. Call it before `epochs()`; a train function that does not starts from epoch 1.

        Raises:
            JobError: an epoch has begun already.
            RunError: the checkpoint cannot be read.
        """
        if self._begun:
            raise JobError("trial.restore() must come before trial.epochs() and trial.report()")
        if self._saved is None:
            return None
        state = load_checkpoint(self._saved.path)
        self.epoch = self._saved.step
        self._metrics = dict(self._saved.metrics)
        self._reported = self._saved.step
        return state

    def inherited(self) -> dict[str, Any] | None:
        """The state of the checkpoint that the proposal inherits from, tensors on the CPU; None where it has none.

        Raises:
            RunError: the checkpoint is not there any more, or cannot be read.
        """
        self._inherits = True
        if self._evaluation.inherit is None:
            return None
        folder, step = self._evaluation.inherit
        saved = [newest(folder), of_value(folder)] if folder.is_dir() else []
        match = next((each for each in saved if each is not None and each.step == step), None)
        if match is None:
            there = f"the one there is of step {saved[0].step}" if saved and saved[0] else "there is none"
            raise RunError(
                f"{folder}: no checkpoint of step {step} to inherit from: {there}; give trial.checkpoint(...) in every epoch"
            )
        return load_checkpoint(match.path)

    def _settle(self) -> bool:
        """Send the report that a checkpoint holds and the journal lacks; whether anything is left to do."""
        saved = self._saved
        if saved is not None and saved.reported:
            self._send(saved.step, saved.metrics)
        return not self._agreed() and self._sent < self._last_step

    @property
    def _last_step(self) -> Step:
        """The last step that may be reported: later than the end of the job while a metric of the objectives is missing."""
        return max(self._until, self._evaluation.limit) if self._awaits else self._until

    def _goes_on(self) -> bool:
        """Whether another epoch follows."""
        last = max(self._until, self._evaluation.limit if self._evaluation.awaits else 0)
        if self._until <= self.epoch < last:
            # An epoch without a report may be reported after the loop; one that was reported without the objective is over.
            reported_without = bool(self._awaits) and self._reported == self.epoch
            if self._any_of(self._team.rank == 0 and not reported_without):
                return False
        return self.epoch < last and not self._agreed()

    def _returned_without_value(self) -> bool:
        """Whether the train function returned, of itself, before it reported all objectives, and may be called again."""
        evaluation = self._evaluation
        if not evaluation.awaits or evaluation.limit <= self._until:
            return False
        return self._any_of(self._team.rank == 0 and bool(self._awaits) and not self._over)

    def _begin(self) -> None:
        """Before the first epoch: see whether it repeats what was trained before, or leaves out what it should take over."""
        given = self._evaluation
        if not self._begun and self.epoch == 0 and self._team.rank == 0:
            if given.attempt > 1 and given.reported > 0:
                self._note(f"{REPEATS} {NOT_RESTORED if self._saved else NOT_WRITTEN}")
            elif given.inherit is not None and not self._inherits:
                self._note(NOT_INHERITED)
        self._begun = True

    def _agreed(self) -> bool:
        """Whether the trial is to end, as rank 0 was told."""
        self._over = self._any_of(self._over)
        return self._over

    def _check_ranks(self) -> None:
        """See that what several processes do is one training, and not the same one several times."""
        if self._team.size > 1 and not self._asked:
            raise JobError(
                f"workers_per_trial={self._team.size}, but the train function asks for neither trial.rank nor trial.ranks, "
                "so every process would train alone: let each take its share of a batch, batch[trial.rank :: trial.ranks], "
                "and wrap the model in torch.nn.parallel.DistributedDataParallel; or give workers_per_trial=1"
            )

    def _note(self, message: str) -> None:
        """Give the user one sentence; one for each attempt, since they are told together."""
        if not self._noted:
            self._noted = True
            self._evaluation.note(message)

    def _close(self) -> None:
        """Put a checkpoint into place whose epoch got no report."""
        self._writer.commit(self._metrics, reported=False)

    def _check_saved(self) -> None:
        """Note where the train function has trained to the end of a trial, or was told to pause, and has left no weights of
        its model. One that was told to pause might save them in a later epoch, such as every fifth.
        """
        if self._team.rank > 0 or not hasattr(self._model, "state_dict") or "model" in self._saves:
            return
        if self._saves:
            self._note(NO_MODEL)
        else:
            self._note(NO_CHECKPOINT_YET if self._told_to_end else NO_CHECKPOINT)

    def _next_step(self) -> Step:
        step = self.epoch if self._counted else self.epoch + 1
        if self._counted and step == 0:
            raise JobError("trial.report() was called before the first epoch of trial.epochs()")
        if self._counted and step == self._reported:
            raise JobError(
                f"trial.report() was called twice in epoch {step}; give all metrics of an epoch in one report"
            )
        if self._over or step > self._last_step:
            raise TrialEnds
        return step

    def _send(self, step: Step, metrics: Mapping[str, float]) -> None:
        if step <= self._sent:
            return
        self._sent = step
        self._awaits -= metrics.keys()
        if self._team.rank == 0:
            self._told_to_end = self._evaluation.report(step, metrics) != Action.CONTINUE
            self._over = self._told_to_end or (step >= self._evaluation.until and not self._awaits)


def run_live(evaluation: Evaluation, body: Callable[[LiveTrial], None]) -> None:
    """Run one attempt of `body` on `evaluation`, unless the journal, or a checkpoint, has all that it could report."""
    with process_group(evaluation.team) as any_of:
        trial = LiveTrial(evaluation, any_of)
        if not trial._settle():
            return
        last = trial
        _run(body, trial)
        if trial._returned_without_value():
            # It reports less often than the schedule compares, such as every fifth epoch: it goes on from its checkpoint, or
            # begins again, until it has reported a value.
            last = LiveTrial(evaluation, any_of, until=evaluation.limit)
            last._sent = trial._sent
            _run(body, last)
        last._check_saved()


def _run(body: Callable[[LiveTrial], None], trial: LiveTrial) -> None:
    with suppress(TrialEnds):  # it was told to end, and went on until its next report
        body(trial)
    trial._close()


def number(name: str, value: Any) -> float:
    """A metric's value as a float.

    Raises:
        WrongMetric: it is not one number.
    """
    shape = getattr(value, "shape", None)
    if shape is not None and math.prod(shape) == 1 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        size = "" if shape is None else f" of shape {tuple(shape)}"
        raise WrongMetric(
            f"metric {name!r} is a {type(value).__name__}{size}, but must be one number; "
            "reduce it first, for example with float(value.mean())"
        )
    return float(value)


def seed_everything(seed: int) -> None:
    """Set the random states of Python, NumPy, and PyTorch where it is loaded."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
