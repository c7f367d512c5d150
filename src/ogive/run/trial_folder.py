"""Where things are in a run's folder, and which files of checkpoints can go."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ogive.trial import Trial

CHECKPOINT_FILE = re.compile(r"checkpoint-\d+(-best)?\.(pt|pickle|json)(\.tmp)?")
"""The files of Ogive's own checkpoints; a train function's own `checkpoint-best.pt` is none of them."""


def trial_folder(run: Path, trial: Trial) -> Path:
    """The folder of a trial: checkpoints, output, and what its train function leaves there. A trial that started again, at
    a fidelity that cannot be continued, has one inside it for its present job, since older checkpoints are not for it.
    """
    return Path(trial_path(run, trial))


def trial_path(run: Path, trial: Trial) -> str:
    """The same as text, in a tenth of the time."""
    own = f"{run}{os.sep}trials{os.sep}{trial.id:06d}"
    return f"{own}{os.sep}from-{trial.began}" if trial.began else own


def trials_folder(trial: Path) -> Path:
    """The folder of all trials, given that of one of them."""
    return next((parent for parent in trial.parents if parent.name == "trials"), trial.parent)


def drop_checkpoints(folder: Path) -> None:
    """Delete the checkpoints in `folder`, if it is there.

    Raises:
        OSError: a file cannot be deleted.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if CHECKPOINT_FILE.fullmatch(path.name):
                path.unlink(missing_ok=True)
