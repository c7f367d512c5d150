"""Warnings about train functions that do not save or restore checkpoints. A run journals each of them once."""

from __future__ import annotations

from ogive.run.unsaved_weights import UNSAVED_PREFIX

_REPEATS = "a trial that was paused or interrupted starts again from its first epoch, because the train function"
NOT_SAVED = (
    f"{_REPEATS} writes no checkpoint: call trial.restore() first and trial.checkpoint(...) before trial.report(...), or "
    "choose a schedule that does not pause trials"
)
NOT_RESTORED = f"{_REPEATS} does not call trial.restore(), although it writes checkpoints"
NOT_INHERITED = (
    "a trial that should start with the weights of another trial starts without them, because the train function does not "
    "call trial.inherited(): state = trial.restore() or trial.inherited()"
)

_REMEDY = (
    "no trial can be exported; call trial.checkpoint(model=model.state_dict(), ...) in the train function, then "
    "`ogive finalize` trains the best again and keeps their weights"
)
# Reports look for the prefix UNSAVED, and show what follows the first colon.
NO_CHECKPOINT = (
    f"{UNSAVED_PREFIX}: the train function finished a trial without calling trial.checkpoint(), so {_REMEDY}"
)
NO_MODEL = f"{UNSAVED_PREFIX}: the train function calls trial.checkpoint() without model=, so {_REMEDY}"
NO_CHECKPOINT_YET = (
    f"{UNSAVED_PREFIX} of paused trials: the schedule paused or stopped a trial before the train function had called "
    f"trial.checkpoint(), so a trial that continues starts again from its first epoch, and {_REMEDY}"
)
