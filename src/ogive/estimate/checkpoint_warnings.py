"""Warnings about train functions that do not save or restore checkpoints. A run journals each of them once."""

from __future__ import annotations

from typing import Any

from ogive.estimate.checkpoint import SavedCheckpoint
from ogive.run.estimator import Evaluation
from ogive.run.unsaved_weights import UNSAVED_PREFIX

_REPEATED_EPOCHS = (
    "a trial that was paused or interrupted starts again from its first epoch, because the train function"
)
NOT_SAVED = (
    f"{_REPEATED_EPOCHS} writes no checkpoint: call trial.restore() first and trial.checkpoint(...) before "
    "trial.report(...), or choose a schedule that does not pause trials"
)
NOT_RESTORED = f"{_REPEATED_EPOCHS} does not call trial.restore(), although it writes checkpoints"
NOT_INHERITED = (
    "a trial that should start with the weights of another trial starts without them, because the train function does not "
    "call trial.inherited(): state = trial.restore() or trial.inherited()"
)

_REMEDY = (
    "no trial can be exported; call trial.checkpoint(model=model.state_dict(), ...) in the train function, then "
    "`ogive finalize` trains the best trials again and saves their weights"
)
# Reports look for `UNSAVED_PREFIX`, and show the text after the first colon.
NO_CHECKPOINT = (
    f"{UNSAVED_PREFIX}: the train function finished a trial without calling trial.checkpoint(), so {_REMEDY}"
)
NO_MODEL = f"{UNSAVED_PREFIX}: the train function calls trial.checkpoint() without model=, so {_REMEDY}"
NO_CHECKPOINT_YET = (
    f"{UNSAVED_PREFIX} of paused trials: the schedule paused or stopped a trial before the train function had called "
    f"trial.checkpoint(), so a trial that continues starts again from its first epoch, and {_REMEDY}"
)


class CheckpointUse:
    """Records how a train function uses checkpoints in one attempt, and warns if epochs or weights are lost.

    At most one warning is sent per attempt, because the controller shows them together.

    Args:
        evaluation: the attempt; receives the warnings.
        saved: the newest checkpoint of the trial at the start of the attempt; None if there is none.

    Attributes:
        model: the model that the train function trains; None if there is none.
        has_read_inherited: whether the train function has called `trial.inherited()`.
    """

    def __init__(self, evaluation: Evaluation, saved: SavedCheckpoint | None) -> None:
        self.model: Any = None
        self.has_read_inherited = False
        self._evaluation = evaluation
        self._has_checkpoint = saved is not None
        self._saves_states = saved is not None
        self._saves_model = saved is not None and saved.has_model
        self._has_warned = False

    def add_state(self, state: dict[str, Any]) -> None:
        """Record the state of a checkpoint."""
        self._saves_states |= bool(state)
        self._saves_model |= "model" in state

    def check_start(self) -> None:
        """Warn if an attempt that starts in the first epoch repeats epochs, or ignores the weights it should inherit."""
        if self._evaluation.attempt > 1 and self._evaluation.last_reported_step > 0:
            self._warn(NOT_RESTORED if self._has_checkpoint else NOT_SAVED)
        elif self._evaluation.inherit_from is not None and not self.has_read_inherited:
            self._warn(NOT_INHERITED)

    def check_end(self, ended_by_schedule: bool) -> None:
        """Warn if the train function has not saved the weights of its model.

        Args:
            ended_by_schedule: whether the schedule paused or stopped the trial. If it did, the train function might have
                saved the weights later, such as in every fifth epoch.
        """
        if not hasattr(self.model, "state_dict") or self._saves_model:
            return
        if self._saves_states:
            self._warn(NO_MODEL)
        else:
            self._warn(NO_CHECKPOINT_YET if ended_by_schedule else NO_CHECKPOINT)

    def _warn(self, message: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._evaluation.add_note(message)
