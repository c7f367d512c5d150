"""The checkpoints of a trial on disk, written so that a crash cannot damage them.

A checkpoint of step 5 is a pair of files in the folder of the trial: `checkpoint-5.pt` (or `.pickle` if it contains no
tensors) with the state, and `checkpoint-5.json` with the metrics. Both are written to temporary files and flushed. The JSON
is renamed first, then the state; older checkpoints are deleted last. Therefore, once a trial has a checkpoint, it always
has a complete one.

If the value of a trial is that of its best epoch, `checkpoint-3-best.pt` and its JSON are the checkpoint of that epoch.
Training continues from the newest checkpoint, not from the best.
"""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ogive.errors import JobError, RunError
from ogive.files import flush_folder, replace_text, write_flushed
from ogive.run.trial_folder import CHECKPOINT_FILE
from ogive.trial import BestEpoch, Step

_STATE_FILE = re.compile(r"checkpoint-(\d+)\.(pt|pickle)")
_BEST_STATE_FILE = re.compile(r"checkpoint-(\d+)-best\.(pt|pickle)")
_READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    ImportError,
)
"""The errors that reading a damaged file can raise."""
REMEDY = (
    "the file is damaged, or was written by another program. The reports of its trial are in the journal. Restore the file "
    "from a copy, or train the architecture again in another run (initial=)"
)
"""The end of error messages about unreadable checkpoints; it follows a semicolon or the word "or"."""
_PLAIN_TYPES = (type(None), bool, int, float, str)
_NUMERIC_CODES = "?bhilqBHILQefdFD"
"""The codes of the NumPy dtypes that a checkpoint may contain: booleans, integers, floats and complex numbers."""

# NumPy pickles arrays and scalars with these functions and classes. torch.load(weights_only=True) rejects them unless they
# are listed as safe.
_NUMPY_GLOBALS: tuple[Any, ...] = (
    np.zeros(1).__reduce__()[0],
    np.float64(1).__reduce__()[0],
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in _NUMERIC_CODES},
)
_SAFE_GLOBALS = {(entry.__module__, entry.__qualname__): entry for entry in (*_NUMPY_GLOBALS, OrderedDict)}


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint on disk.

    Attributes:
        step: the number of epochs trained.
        metrics: all metrics known at that step.
        reported: whether the step was reported; if not, the metrics are those of earlier steps.
        path: the file of the state, for `load_checkpoint`.
        keys: the names in the state; None for a checkpoint of an earlier version of Ogive, which did not store them.
    """

    step: Step
    metrics: Mapping[str, float]
    reported: bool
    path: Path
    keys: tuple[str, ...] | None = None

    @property
    def has_model(self) -> bool:
        """Whether the state contains weights under the name `model`; true if the names are unknown."""
        return self.keys is None or "model" in self.keys


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state that a train function passed to `trial.checkpoint`, with tensors on the CPU.

    Code in the file is not run.

    Args:
        path: the file of a checkpoint, or the folder of a trial for its newest checkpoint.

    Raises:
        RunError: there is no checkpoint, or it cannot be read.
    """
    if path.is_dir():
        saved = find_newest_checkpoint(path)
        if saved is None:
            raise RunError(f"{path}: contains no checkpoint; the train function has not called trial.checkpoint(...)")
        path = saved.path
    try:
        with path.open("rb") as file:
            state = _load_with_torch(file) if path.suffix == ".pt" else _Unpickler(file).load()
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no such checkpoint; only the newest one of a trial is kept") from error
    except (*_READ_ERRORS, pickle.UnpicklingError) as error:
        raise RunError(f"{path}: the checkpoint cannot be read: {summarize_error(error)}; {REMEDY}") from error
    if not isinstance(state, dict):
        raise RunError(f"{path}: contains a {type(state).__name__}, not a checkpoint of Ogive")
    return state


def summarize_error(error: Exception) -> str:
    """Return the class of an error and the first two lines of its message; messages of PyTorch can be very long."""
    lines = (line.strip() for line in str(error).splitlines()[:2])
    return f"{type(error).__name__}: {' '.join(filter(None, lines))}"


def find_newest_checkpoint(folder: Path) -> SavedCheckpoint | None:
    """Return the checkpoint of the highest step in `folder`, from which training continues; None if there is none.

    Raises:
        RunError: its JSON cannot be read.
    """
    return _find_latest(folder, _STATE_FILE)


def find_value_checkpoint(folder: Path) -> SavedCheckpoint | None:
    """Return the checkpoint in `folder` whose weights have the value of the trial; None if there is none.

    This is the checkpoint of the best epoch if there is one, otherwise the newest checkpoint.

    Raises:
        RunError: its JSON cannot be read.
    """
    return _find_latest(folder, _BEST_STATE_FILE) or find_newest_checkpoint(folder)


def _find_latest(folder: Path, file_name: re.Pattern[str]) -> SavedCheckpoint | None:
    """Return the checkpoint of the highest step among those whose state file matches `file_name`; None if there is none.

    Raises:
        RunError: its JSON cannot be read.
    """
    # There can be several after a crash. A state is renamed into place after its JSON, so every state has its JSON.
    states = {int(match[1]): path for path in folder.iterdir() if (match := file_name.fullmatch(path.name))}
    if not states:
        return None
    step = max(states)
    json_path = states[step].with_suffix(".json")
    try:
        content = json.loads(json_path.read_text())
        keys = tuple(content["keys"]) if "keys" in content else None
        return SavedCheckpoint(step, content["metrics"], content["reported"], states[step], keys)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{json_path}: cannot be read ({summarize_error(error)}); {REMEDY}") from error


class CheckpointWriter:
    """Writes the checkpoints of one trial: `stage` writes the state of a step, and `commit` makes it the newest checkpoint.

    Args:
        folder: the folder of the trial.
        best_epoch_rule: the rule that selects the best epoch, whose checkpoint is kept too; None to keep the newest only.
    """

    def __init__(self, folder: Path, best_epoch_rule: BestEpoch | None = None) -> None:
        self._folder = folder
        self._best_epoch_rule = best_epoch_rule
        # The step, the path that the state will have, and the names in the state.
        self._staged: tuple[Step, Path, list[str]] | None = None
        # An earlier attempt may have been killed between writing the newest checkpoint and updating the best one.
        if best_epoch_rule is not None and (saved := find_newest_checkpoint(folder)) is not None:
            self._update_best(saved, best_epoch_rule)

    @property
    def staged_step(self) -> Step | None:
        """The step of the state that is staged but not committed; None if there is none."""
        return self._staged[0] if self._staged else None

    def stage(self, step: Step, state: dict[str, Any]) -> None:
        """Write `state` to a temporary file.

        Raises:
            JobError: `state` contains a value that could not be read safely.
            OSError: the disk is full, or cannot be written.
        """
        self.discard()
        # A state without tensors is pickled, so that a train function without PyTorch does not import PyTorch here.
        has_tensors = check_state(state, "state")
        path = self._folder / f"checkpoint-{step}.{'pt' if has_tensors else 'pickle'}"
        save = _save_with_torch if has_tensors else _save_with_pickle
        write_flushed(path.with_name(path.name + ".tmp"), lambda file: save(state, file))
        self._staged = step, path, list(state)

    def commit(self, metrics: Mapping[str, float], reported: bool) -> None:
        """Make the staged state the newest checkpoint, with its metrics, and delete older ones.

        Args:
            metrics: all metrics known at the step.
            reported: whether these metrics are the report of this step.
        """
        if self._staged is None:
            return
        step, path, keys = self._staged
        json_path = self._folder / f"checkpoint-{step}.json"
        # The state is renamed last, because a checkpoint exists as soon as its state file does, and then needs its JSON.
        replace_text(
            json_path, json.dumps({"step": step, "metrics": dict(metrics), "reported": reported, "keys": keys})
        )
        path.with_name(path.name + ".tmp").replace(path)
        current_files = {path, json_path}
        if self._best_epoch_rule is not None:
            current_files |= self._update_best(SavedCheckpoint(step, metrics, reported, path), self._best_epoch_rule)
        # The renames must be on disk before older checkpoints are deleted.
        flush_folder(self._folder)
        self._staged = None
        for file in _list_checkpoint_files(self._folder):  # includes temporary files of killed attempts
            if file not in current_files:
                file.unlink()

    def _update_best(self, saved: SavedCheckpoint, rule: BestEpoch) -> set[Path]:
        """Make `saved` the best checkpoint if its epoch is the best of the reported epochs.

        Returns:
            The files of the best checkpoint; none if no epoch is eligible yet.
        """
        best = _find_latest(self._folder, _BEST_STATE_FILE)
        is_eligible = saved.reported and rule.is_eligible(saved.metrics)
        if is_eligible and (best is None or rule.cost(saved.metrics) < rule.cost(best.metrics)):
            # The JSON is linked before the state, for the same reason as in `commit`.
            best = SavedCheckpoint(saved.step, saved.metrics, True, saved.path.with_stem(f"{saved.path.stem}-best"))
            for source, target in (
                (saved.path.with_suffix(".json"), best.path.with_suffix(".json")),
                (saved.path, best.path),
            ):
                target.unlink(missing_ok=True)
                _link_or_copy(source, target)
        return set() if best is None else {best.path, best.path.with_suffix(".json")}

    def discard(self) -> None:
        """Delete the staged state."""
        if self._staged is not None:
            self._staged[1].with_name(self._staged[1].name + ".tmp").unlink(missing_ok=True)
            self._staged = None


def check_state(value: Any, path: str) -> bool:
    """Check that a value can be read back without running code. Return whether it contains tensors.

    Args:
        value: the value.
        path: the position of the value in the state, such as "state['model']", for the message.

    Raises:
        JobError: it contains something other than tensors, NumPy arrays, numbers, strings, None, and lists, tuples and
            dicts of these.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, (torch.Tensor, torch.Size, torch.dtype, torch.device)):
        return True
    if type(value) in _PLAIN_TYPES or (
        isinstance(value, (np.ndarray, np.generic)) and value.dtype.char in _NUMERIC_CODES
    ):
        return False
    if type(value) in (list, tuple):
        # With `max`, unlike `any`, all items are checked, also those after the first item with tensors.
        return max((check_state(item, f"{path}[{index}]") for index, item in enumerate(value)), default=False)
    if type(value) in (dict, OrderedDict):
        items = [(key, f"a key of {path}") for key in value]
        items += [(item, f"{path}[{key!r}]") for key, item in value.items()]
        return max((check_state(item, item_path) for item, item_path in items), default=False)
    raise JobError(
        f"trial.checkpoint: {path} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be read back "
        "safely; allowed are state_dict()s, tensors, NumPy arrays, numbers, strings, None, and lists, tuples and dicts of "
        "these"
    )


class _Unpickler(pickle.Unpickler):
    """An unpickler for numbers, strings, containers and NumPy arrays; anything that could run code is an error."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _SAFE_GLOBALS:
            raise pickle.UnpicklingError(f"the file contains a {module}.{name}, which checkpoints never contain")
        return _SAFE_GLOBALS[module, name]


def _load_with_torch(file: IO[bytes]) -> Any:
    """Read a state with tensors, without running code."""
    import torch

    with torch.serialization.safe_globals(list(_NUMPY_GLOBALS)):
        return torch.load(file, map_location="cpu", weights_only=True)


def _save_with_torch(state: Any, file: IO[bytes]) -> None:
    sys.modules["torch"].save(state, file)


def _save_with_pickle(state: Any, file: IO[bytes]) -> None:
    pickle.dump(state, file)


def _link_or_copy(source: Path, target: Path) -> None:
    """Create a hard link to a file; copy the file if the file system has no hard links."""
    try:
        target.hardlink_to(source)
    except OSError:
        temporary = target.with_name(target.name + ".tmp")
        shutil.copyfile(source, temporary)
        temporary.replace(target)


def _list_checkpoint_files(folder: Path) -> list[Path]:
    """Return the files of checkpoints, but not files that a train function wrote itself, such as `checkpoint-best.pt`."""
    return [path for path in folder.iterdir() if CHECKPOINT_FILE.fullmatch(path.name)]
