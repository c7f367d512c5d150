"""The folders of trials in a run's folder, and the names of checkpoint files in them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ogive.trial import Trial

CHECKPOINT_FILE = re.compile(r"checkpoint-\d+(-best)?\.(pt|pickle|json)(\.tmp)?")
"""Matches the names of Ogive's checkpoint files, but not `checkpoint-best.pt`, which a train function may have written."""


def get_trial_folder(run: Path, trial: Trial) -> Path:
    """Return the folder of a trial, with its checkpoints, its output, and the files of its train function.

    A trial whose training starts again at a new fidelity cannot use its earlier checkpoints. So it gets a separate folder
    for the new job, inside its first one.
    """
    return Path(get_trial_path(run, trial))


def get_trial_path(run: Path, trial: Trial) -> str:
    """Return the path of `get_trial_folder` as a text. (To create a `Path` takes ten times as long.)"""
    folder = f"{run}{os.sep}trials{os.sep}{trial.id:06d}"
    return f"{folder}{os.sep}from-{trial.step_offset}" if trial.step_offset else folder


def get_trials_folder(trial: Path) -> Path:
    """Return the folder of all trials, given the folder of one of them."""
    return next((parent for parent in trial.parents if parent.name == "trials"), trial.parent)


def delete_checkpoint_files(folder: Path) -> None:
    """Delete the checkpoints in `folder`, if it exists.

    Raises:
        OSError: a file cannot be deleted.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if CHECKPOINT_FILE.fullmatch(path.name):
                path.unlink(missing_ok=True)
