"""The arguments of the last call of `run.finalize`. They are stored in the run's folder, as defaults of the next call."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER

REQUEST_FILE = "finalize.json"
"""The file in a run's folder that holds the arguments."""
DEFAULT_TOP, DEFAULT_SEEDS = 10, (0,)


@dataclass(frozen=True, kw_only=True)
class FinalizeRequest:
    """The arguments of `run.finalize` that define the trainings.

    Attributes:
        top: the number of finalists.
        seeds: each network is trained once with each of these seeds.
        epochs: the epochs of each training; None for the number in the recipe.
        recipe: values that replace values of the search's recipe; None without changes.
        from_weights: whether training starts from the weights that the search saved.
    """

    top: int = DEFAULT_TOP
    seeds: Sequence[int] = DEFAULT_SEEDS
    epochs: int | None = None
    recipe: Mapping[str, Any] | None = None
    from_weights: bool = False

    @property
    def command(self) -> str:
        """The command with these arguments, such as `ogive finalize --top 3 --epochs 4`.

        Arguments that have their default values are left out. Seeds other than 0, 1, ... are left out too, because the
        command has no option for them: it takes them from the stored request, unless the job has the key `finalize`.
        """
        words = ["ogive", "finalize"]
        words += ["--top", str(self.top)] if self.top != DEFAULT_TOP else []
        count = len(self.seeds)
        words += ["--seeds", str(count)] if tuple(self.seeds) == tuple(range(count)) and count > 1 else []
        words += ["--epochs", str(self.epochs)] if self.epochs is not None else []
        for name, value in (self.recipe or {}).items():
            words += ["--set", f"{name}={json.dumps(value)}"]
        return shlex.join([*words, *(["--from-weights"] if self.from_weights else [])])


def write_request(request: FinalizeRequest, run: Path) -> None:
    """Write a request to `finalize.json` in the folder of the run.

    Raises:
        RunError: the file cannot be written.
    """
    path = run / REQUEST_FILE
    try:
        replace_text(path, json.dumps({**asdict(request), "seeds": list(request.seeds)}) + "\n")
    except (OSError, TypeError) as error:
        raise RunError(f"{path} cannot be written: {error}") from error


def read_request(run: Path | None) -> FinalizeRequest | None:
    """Return the stored request; None if the run's folder has no request or no full training.

    Raises:
        RunError: the file cannot be read.
    """
    if run is None or not (run / FULL_TRAINING_FOLDER).exists() or not (run / REQUEST_FILE).exists():
        return None
    try:
        data = json.loads((run / REQUEST_FILE).read_text(encoding="utf-8"))
        return FinalizeRequest(**{**data, "seeds": tuple(data["seeds"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{run / REQUEST_FILE} cannot be read: {error}; delete the file and give top, seeds and epochs again"
        ) from error
