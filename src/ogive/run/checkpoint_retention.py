"""The checkpoints that a run's folder keeps, so that trials can start from the weights of other trials.

- The folder of a trial contains its newest checkpoint.
- `handed_on/000003` contains the checkpoint of trial 3 at its last comparison, while trial 3 is trained further.
- `inherited/000012` contains the checkpoint that trial 12 starts from. It stays even if the donor of the weights ends.

The files in `handed_on` and `inherited` are hard links, which take no space. They are created before the journal has the
events that depend on them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ogive.run.trial_folder import delete_checkpoint_files, get_trial_folder
from ogive.trial import Status, Step, Trial, TrialId


def get_inherited_folder(run: Path, child: TrialId) -> Path:
    """Return the folder of the checkpoint that trial `child` starts from; `run` is the folder of the run."""
    return run / "inherited" / f"{child:06d}"


def _get_kept_folder(run: Path, donor: TrialId) -> Path:
    return run / "handed_on" / f"{donor:06d}"


def keep_checkpoint(run: Path, donor: Trial, step: Step) -> None:
    """Keep the checkpoint that `donor` wrote after `step`, and delete the one that was kept before.

    If the donor has no such checkpoint, do nothing.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    files = _find_checkpoint_files(get_trial_folder(run, donor), step - donor.step_offset)
    if files:
        _link(files, _get_kept_folder(run, donor.id))


def inherit_checkpoint(run: Path, donor: Trial, step: Step, child: TrialId) -> bool:
    """Link the checkpoint that `donor` wrote after `step` for trial `child`; return False if there is none.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    checkpoint_step = step - donor.step_offset
    files = _find_checkpoint_files(get_trial_folder(run, donor), checkpoint_step)
    files = files or _find_checkpoint_files(_get_kept_folder(run, donor.id), checkpoint_step)
    folder = get_inherited_folder(run, child)
    if files:
        _link(files, folder)
    elif folder.is_dir():
        shutil.rmtree(folder)  # a killed session linked it for a trial with this id that never reached the journal
    return bool(files)


def delete_unneeded(run: Path, trial: Trial) -> None:
    """Delete the unneeded checkpoints of a trial that has ended.

    A finished trial keeps its last checkpoint, and the one of its last comparison, which other trials may inherit. Other
    trials keep none.

    Raises:
        OSError: a file cannot be deleted.
    """
    folders = [get_inherited_folder(run, trial.id)] if trial.proposal.inherit is not None else []
    if trial.status is not Status.FINISHED:
        delete_checkpoint_files(get_trial_folder(run, trial))
        folders.append(_get_kept_folder(run, trial.id))
    for folder in folders:
        if folder.is_dir():
            shutil.rmtree(folder)


def delete_leftovers(run: Path, trials: Iterable[Trial]) -> None:
    """Delete the checkpoints that a killed session left.

    These are the unneeded checkpoints of ended trials, and those that were linked for trials that were never journalled.

    Raises:
        OSError: a file cannot be deleted.
    """
    needed = set()
    for trial in trials:
        needed.add(get_inherited_folder(run, trial.id))
        if trial.status.ended:
            delete_unneeded(run, trial)
    for folder in (run / "inherited").glob("*"):
        if folder not in needed:
            shutil.rmtree(folder)


def delete_kept(run: Path) -> None:
    """Delete the checkpoints that `keep_checkpoint` kept, at the end of a search, when no further trial can inherit them.

    Raises:
        OSError: a file cannot be deleted.
    """
    if (run / "handed_on").is_dir():
        shutil.rmtree(run / "handed_on")


def _find_checkpoint_files(folder: Path, step: Step) -> list[Path]:
    """Return the files of a checkpoint; empty if there is none.

    The JSON file comes first, so that it is linked first: the other file cannot be read without it.
    """
    description = folder / f"checkpoint-{step}.json"
    states = (folder / f"checkpoint-{step}.{suffix}" for suffix in ("pt", "pickle"))
    return [description, *(state for state in states if state.exists())] if description.exists() else []


def _link(files: list[Path], folder: Path) -> None:
    """Make `folder` contain links to `files` and nothing else. Copy the files if the file system has no hard links."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        draft = folder / f"{file.name}.tmp"
        draft.unlink(missing_ok=True)
        try:
            os.link(file, draft)
        except OSError:
            shutil.copyfile(file, draft)
        draft.replace(folder / file.name)
    # Delete the files of an earlier checkpoint.
    names = {file.name for file in files}
    for file in folder.iterdir():
        if file.name not in names:
            file.unlink()
