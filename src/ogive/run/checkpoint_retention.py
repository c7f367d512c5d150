"""Which checkpoints of a run's folder are kept for whom.

A trial's own folder has its newest checkpoint. `handed_on/000003` has the one of trial 3's last comparison while trial 3 is
trained further, and `inherited/000012` the one that trial 12 begins with, whatever becomes of its donor. Both are hard
links, put into place before the journal has what depends on them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ogive.run.trial_folder import drop_checkpoints, trial_folder
from ogive.trial import Status, Step, Trial, TrialId


def inherited_folder(run: Path, child: TrialId) -> Path:
    """Where the checkpoint is that trial `child` begins with."""
    return run / "inherited" / f"{child:06d}"


def _kept_folder(run: Path, donor: TrialId) -> Path:
    return run / "handed_on" / f"{donor:06d}"


def keep(run: Path, donor: Trial, step: Step) -> None:
    """Keep the checkpoint that `donor` has after `step`, instead of any kept before; nothing where it has none.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    files = _checkpoint(trial_folder(run, donor), step - donor.began)
    if files:
        _link(files, _kept_folder(run, donor.id))


def inherit(run: Path, donor: Trial, step: Step, child: TrialId) -> bool:
    """Give trial `child` the checkpoint that `donor` had after `step`; False where it is not there.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    at = step - donor.began
    files = _checkpoint(trial_folder(run, donor), at) or _checkpoint(_kept_folder(run, donor.id), at)
    place = inherited_folder(run, child)
    if files:
        _link(files, place)
    elif place.is_dir():
        shutil.rmtree(place)  # of a start that never reached the journal
    return bool(files)


def forget(run: Path, trial: Trial) -> None:
    """Delete what nothing goes on from any more, of a trial that has ended; the last checkpoint of a finished one stays.

    Raises:
        OSError: a file cannot be deleted.
    """
    gone = [inherited_folder(run, trial.id)] if trial.proposal.inherit is not None else []
    if trial.status is not Status.FINISHED:
        drop_checkpoints(trial_folder(run, trial))
        gone.append(_kept_folder(run, trial.id))
    for folder in gone:
        if folder.is_dir():
            shutil.rmtree(folder)


def tidy(run: Path, trials: Iterable[Trial]) -> None:
    """Delete what `forget` had no time for, and what was to be inherited by starts that never reached the journal.

    Raises:
        OSError: a file cannot be deleted.
    """
    known = set()
    for trial in trials:
        known.add(inherited_folder(run, trial.id))
        if trial.status.ended:
            forget(run, trial)
    for folder in (run / "inherited").glob("*"):
        if folder not in known:
            shutil.rmtree(folder)


def forget_all_kept(run: Path) -> None:
    """Delete what was kept to be handed on, since nothing will be any more.

    Raises:
        OSError: a file cannot be deleted.
    """
    if (run / "handed_on").is_dir():
        shutil.rmtree(run / "handed_on")


def _checkpoint(folder: Path, step: Step) -> list[Path]:
    """The files of a whole checkpoint, in the order in which they are put into place."""
    beside = folder / f"checkpoint-{step}.json"
    states = (folder / f"checkpoint-{step}.{suffix}" for suffix in ("pt", "pickle"))
    return [beside, *(state for state in states if state.exists())] if beside.exists() else []


def _link(files: list[Path], folder: Path) -> None:
    """Make `folder` hold `files` and nothing else; they take no room where the file system has hard links."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        aside = folder / f"{file.name}.tmp"
        aside.unlink(missing_ok=True)
        try:
            os.link(file, aside)
        except OSError:  # no hard links here
            shutil.copyfile(file, aside)
        aside.replace(folder / file.name)
    names = {file.name for file in files}
    for former in folder.iterdir():
        if former.name not in names:
            former.unlink()
