"""What full training was last asked for, kept with the run, so that it can be asked for again without its arguments."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.files import replace_text
from ogive.stages.full_training_result import FOLDER

FILE = "finalize.json"
TOP, SEEDS = 10, (0,)


@dataclass(frozen=True, kw_only=True)
class FinalizeRequest:
    """The arguments of `run.finalize` that say what is trained.

    Attributes:
        top: how many of the best.
        seeds: each network is trained once with each.
        epochs: of full training; None for those of the recipe.
        recipe: what replaces values of the search's recipe.
        from_weights: whether training starts from the weights that the search left.
    """

    top: int = TOP
    seeds: Sequence[int] = SEEDS
    epochs: int | None = None
    recipe: Mapping[str, Any] | None = None
    from_weights: bool = False

    @property
    def command(self) -> str:
        """The command that asks for it: `ogive finalize --top 3 --epochs 4`; without options where it is the default."""
        words = ["ogive", "finalize"]
        words += ["--top", str(self.top)] if self.top != TOP else []
        count = len(self.seeds)
        words += ["--seeds", str(count)] if tuple(self.seeds) == tuple(range(count)) and count > 1 else []
        words += ["--epochs", str(self.epochs)] if self.epochs is not None else []
        for name, value in (self.recipe or {}).items():
            words += ["--set", f"{name}={json.dumps(value)}"]
        return shlex.join([*words, *(["--from-weights"] if self.from_weights else [])])


def write_request(request: FinalizeRequest, run: Path) -> None:
    """Write it into the run's folder.

    Raises:
        RunError: it cannot be written.
    """
    path = run / FILE
    try:
        replace_text(path, json.dumps({**asdict(request), "seeds": list(request.seeds)}) + "\n")
    except (OSError, TypeError) as error:
        raise RunError(f"{path} cannot be written: {error}") from error


def read_request(run: Path | None) -> FinalizeRequest | None:
    """The last request whose full training is in the run's folder; None where there is none.

    Raises:
        RunError: it cannot be read.
    """
    if run is None or not (run / FOLDER).exists() or not (run / FILE).exists():
        return None
    try:
        data = json.loads((run / FILE).read_text(encoding="utf-8"))
        return FinalizeRequest(**{**data, "seeds": tuple(data["seeds"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{run / FILE} cannot be read: {error}; delete it and name top, seeds and epochs again"
        ) from error
