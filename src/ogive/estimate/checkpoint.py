"""Checkpoints of one trial on disk: a state, the metrics known with it, and renames that a crash cannot tear.

In the trial's folder a checkpoint of step 5 is the pair `checkpoint-5.pt` (or `.pickle`, where no tensor is in it) and
`checkpoint-5.json`. The state is written aside, flushed to the disk, and renamed into place after its JSON; only then
are older ones removed. So there is always one whole checkpoint once there was one.

Where the best epoch is a trial's value, `checkpoint-3-best.pt` and its JSON are the checkpoint of that epoch, kept beside
the newest one, from which training goes on.
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
from ogive.files import flush_folder, write_flushed
from ogive.run.trial_folder import CHECKPOINT_FILE
from ogive.trial import BestEpoch, Step

_STATE = re.compile(r"checkpoint-(\d+)\.(pt|pickle)")
_BEST_STATE = re.compile(r"checkpoint-(\d+)-best\.(pt|pickle)")
_DAMAGED = (
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
"""What reading a damaged file may raise."""
REMEDY = (  # behind "or", too
    "the file is damaged, or another program wrote it. What its trial has reported is in the journal; put the file back "
    "from a copy, or train the architecture anew in another run (initial=)"
)
_PLAIN = (type(None), bool, int, float, str)
_NUMERIC = "?bhilqBHILQefdFD"

# What NumPy pickles arrays and scalars with. torch.load(weights_only=True) must be told that these are harmless.
_NUMPY: tuple[Any, ...] = (
    np.zeros(1).__reduce__()[0],
    np.float64(1).__reduce__()[0],
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in _NUMERIC},
)
_SAFE = {(entry.__module__, entry.__qualname__): entry for entry in (*_NUMPY, OrderedDict)}


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint on disk.

    Attributes:
        step: epochs done.
        metrics: all metrics known at that step.
        reported: whether they were reported as this step's report, or only carried forward from earlier ones.
        path: of the state; `load_checkpoint` reads it.
        keys: the names in the state; None in checkpoints of earlier versions.
    """

    step: Step
    metrics: Mapping[str, float]
    reported: bool
    path: Path
    keys: tuple[str, ...] | None = None

    @property
    def has_model(self) -> bool:
        """Whether the state holds weights under `model`, as far as that is recorded."""
        return self.keys is None or "model" in self.keys


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state that a train function gave to `trial.checkpoint`, with tensors on the CPU; runs no code from the file.

    Args:
        path: a checkpoint, or a trial's folder for the newest in it.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    if path.is_dir():
        saved = newest(path)
        if saved is None:
            raise RunError(f"{path}: holds no checkpoint; its train function never called trial.checkpoint(...)")
        path = saved.path
    try:
        with path.open("rb") as file:
            state = _torch_load(file) if path.suffix == ".pt" else _Unpickler(file).load()
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no such checkpoint; only a trial's newest one is kept") from error
    except (*_DAMAGED, pickle.UnpicklingError) as error:
        raise RunError(f"{path}: the checkpoint cannot be read: {first_line(error)}; {REMEDY}") from error
    if not isinstance(state, dict):
        raise RunError(f"{path}: holds a {type(state).__name__}, not a checkpoint of Ogive")
    return state


def first_line(error: Exception) -> str:
    """What an error of PyTorch's begins with."""
    lines = (line.strip() for line in str(error).splitlines()[:2])
    return f"{type(error).__name__}: {' '.join(filter(None, lines))}"


def newest(folder: Path) -> SavedCheckpoint | None:
    """The checkpoint of the highest step in `folder`, from which training goes on, or None.

    Raises:
        RunError: what is beside it cannot be read.
    """
    return _latest(folder, _STATE)


def of_value(folder: Path) -> SavedCheckpoint | None:
    """The checkpoint in `folder` whose weights have the trial's value: that of the best epoch where that one was kept,
    else the newest; None where there is none.

    Raises:
        RunError: what is beside it cannot be read.
    """
    return _latest(folder, _BEST_STATE) or newest(folder)


def _latest(folder: Path, name: re.Pattern[str]) -> SavedCheckpoint | None:
    states = {int(match[1]): path for path in folder.iterdir() if (match := name.fullmatch(path.name))}
    if not states:
        return None
    step = max(states)
    beside = states[step].with_suffix(".json")
    try:
        content = json.loads(beside.read_text())
        keys = tuple(content["keys"]) if "keys" in content else None
        return SavedCheckpoint(step, content["metrics"], content["reported"], states[step], keys)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{beside}: cannot be read ({first_line(error)}); {REMEDY}") from error


class CheckpointWriter:
    """Writes the checkpoints of one trial: `stage` the state of a step, then `commit` it. The newest is kept, and the best
    of those whose epochs were reported where `best_epoch_of` is given.

    Args:
        folder: of the trial.
        best_epoch_of: the rule by which an epoch is best; None to keep the newest checkpoint alone.
    """

    def __init__(self, folder: Path, best_epoch_of: BestEpoch | None = None) -> None:
        self._folder = folder
        self._best_epoch_of = best_epoch_of
        self._staged: tuple[Step, Path, list[str]] | None = None
        if best_epoch_of is not None and (saved := newest(folder)) is not None:
            self._keep_best(saved, best_epoch_of)  # an attempt may have been killed before it did

    @property
    def staged(self) -> Step | None:
        """The step of the state that waits for `commit`."""
        return self._staged[0] if self._staged else None

    def stage(self, step: Step, state: dict[str, Any]) -> None:
        """Write `state` to disk as it is now, without putting it into place.

        Raises:
            JobError: something in `state` could not be read back.
            OSError: the disk is full, or cannot be written.
        """
        self.discard()
        has_tensors = check_state(state, "state")
        path = self._folder / f"checkpoint-{step}.{'pt' if has_tensors else 'pickle'}"
        save = _torch_save if has_tensors else _pickle
        write_flushed(path.with_name(path.name + ".tmp"), lambda file: save(state, file))
        self._staged = step, path, list(state)

    def commit(self, metrics: Mapping[str, float], reported: bool) -> None:
        """Put the staged state into place with its metrics, and remove older checkpoints."""
        if self._staged is None:
            return
        step, path, keys = self._staged
        beside = self._folder / f"checkpoint-{step}.json"
        aside = beside.with_name(beside.name + ".tmp")
        content = json.dumps({"step": step, "metrics": dict(metrics), "reported": reported, "keys": keys})
        write_flushed(aside, lambda file: file.write(content.encode()))
        aside.replace(beside)
        path.with_name(path.name + ".tmp").replace(path)
        kept = {path, beside}
        if self._best_epoch_of is not None:
            kept |= self._keep_best(SavedCheckpoint(step, metrics, reported, path), self._best_epoch_of)
        flush_folder(self._folder)
        self._staged = None
        for file in _own_files(self._folder):  # what a killed attempt left half written is among them
            if file not in kept:
                file.unlink()

    def _keep_best(self, saved: SavedCheckpoint, rule: BestEpoch) -> set[Path]:
        """Keep `saved` as the best checkpoint if its epoch is the best reported so far; returns the files of the best."""
        best = _latest(self._folder, _BEST_STATE)
        counts = saved.reported and rule.counts(saved.metrics)
        if counts and (best is None or rule.cost(saved.metrics) < rule.cost(best.metrics)):
            # The JSON first: a state without it would not be readable.
            best = SavedCheckpoint(saved.step, saved.metrics, True, saved.path.with_stem(f"{saved.path.stem}-best"))
            for source, target in (
                (saved.path.with_suffix(".json"), best.path.with_suffix(".json")),
                (saved.path, best.path),
            ):
                target.unlink(missing_ok=True)
                _link(source, target)
        return set() if best is None else {best.path, best.path.with_suffix(".json")}

    def discard(self) -> None:
        """Forget the staged state."""
        if self._staged is not None:
            self._staged[1].with_name(self._staged[1].name + ".tmp").unlink(missing_ok=True)
            self._staged = None


def check_state(value: Any, place: str) -> bool:
    """See that `value` can be read back safely; whether tensors are in it.

    Raises:
        JobError: it holds something else than tensors, NumPy arrays, numbers, strings, None, and lists, tuples and
            dicts of these.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, (torch.Tensor, torch.Size, torch.dtype, torch.device)):
        return True
    if type(value) in _PLAIN or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.char in _NUMERIC):
        return False
    if type(value) in (list, tuple):
        return max((check_state(item, f"{place}[{index}]") for index, item in enumerate(value)), default=False)
    if type(value) in (dict, OrderedDict):
        inside = [(key, f"a key of {place}") for key in value]
        inside += [(item, f"{place}[{key!r}]") for key, item in value.items()]
        return max((check_state(item, where) for item, where in inside), default=False)
    raise JobError(
        f"trial.checkpoint: {place} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be read back "
        "safely; give state_dict()s, tensors, NumPy arrays, numbers, strings, None, or lists, tuples and dicts of these"
    )


class _Unpickler(pickle.Unpickler):
    """Reads numbers, strings, containers and NumPy arrays, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _SAFE:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}, which no checkpoint does")
        return _SAFE[module, name]


def _torch_load(file: IO[bytes]) -> Any:
    import torch

    with torch.serialization.safe_globals(list(_NUMPY)):
        return torch.load(file, map_location="cpu", weights_only=True)


def _torch_save(state: Any, file: IO[bytes]) -> None:
    sys.modules["torch"].save(state, file)


def _pickle(state: Any, file: IO[bytes]) -> None:
    pickle.dump(state, file)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system has no links."""
    try:
        target.hardlink_to(source)
    except OSError:
        aside = target.with_name(target.name + ".tmp")
        shutil.copyfile(source, aside)
        aside.replace(target)


def _own_files(folder: Path) -> list[Path]:
    """What was written here; a train function's own `checkpoint-best.pt` is not."""
    return [path for path in folder.iterdir() if CHECKPOINT_FILE.fullmatch(path.name)]
