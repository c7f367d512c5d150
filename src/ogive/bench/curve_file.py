"""Learning curves in one small file, and the same file as a problem.

An `.npz` archive without pickles: `meta`, the JSON text of what was done; `choices`, for each architecture the position of
each decision's label (-1 where inactive), int8 [n, decisions]; and for each of `COLUMNS` an array [n, r, k] (architectures,
seeds, epochs). Accuracies are stored as counts of correct examples, everything else in half precision (relative error at
most 0.05 %).
"""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ogive.arrays import FloatArray
from ogive.bench.curve_estimator import COLUMNS
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import ObjectiveSpec
from ogive.space import Space
from ogive.trial import Status, Trial

FORMAT = 1
COUNTED = {"accuracy": "validation", "test_accuracy": "test"}
"""Columns that are a share of the examples of a part."""
SMALLEST = 2.0**-14
"""The smallest normal number in half precision; below it digits are lost."""

DOUBLED = tuple(2**n for n in range(12))
MANY = 8
"""Levels that are all looked at."""


def collect(
    trials: Iterable[Trial], space: Space, seeds: int, epochs: int
) -> tuple[NDArray[np.int8], dict[str, FloatArray]]:
    """The choices and the columns of what `og.bench.Curves` reported of every architecture of `space`, in the grid's order.

    Raises:
        JobError: architectures are missing, or were not trained to the end.
    """
    done = {trial.architecture.id: trial for trial in trials if trial.status is Status.FINISHED}
    grid = list(space.grid())
    missing = [architecture for architecture in grid if architecture.id not in done]
    if missing:
        shown = ", ".join(f"{name}={label}" for name, label in missing[0].items())
        raise JobError(f"{len(missing)} of {len(grid)} architectures were not trained to the end, such as {shown}")
    labels = {decision.name: list(decision.domain.all(0)) for decision in space.decisions}
    choices = np.full((len(grid), len(labels)), -1, dtype=np.int8)
    values = {name: np.empty((len(grid), seeds, epochs)) for name in COLUMNS}
    for row, architecture in enumerate(grid):
        for place, (name, known) in enumerate(labels.items()):
            if name in architecture:
                choices[row, place] = known.index(architecture[name])
        reports = done[architecture.id].reports
        if len(reports) != epochs:
            raise JobError(f"trial {done[architecture.id].id} has {len(reports)} reports instead of {epochs}")
        for name, column in values.items():
            column[row] = [[report.metrics[f"{name}_seed{seed}"] for report in reports] for seed in range(seeds)]
    return choices, values


def write(
    path: Path, space: Space, choices: NDArray[np.int8], values: Mapping[str, FloatArray], meta: Mapping[str, Any]
) -> None:
    """Write the file. `meta` needs `sizes`, the number of examples in each part; equal contents give equal bytes."""
    stored: dict[str, NDArray[Any]] = {"choices": choices}
    for name, column in values.items():
        if name in COUNTED:
            stored[name] = np.round(column * meta["sizes"][COUNTED[name]]).astype(np.uint16)
        else:
            stored[name] = np.maximum(column, SMALLEST).astype(np.float16)
    head = {**meta, "format": FORMAT, "decisions": [decision.describe() for decision in space.decisions]}
    stored["meta"] = np.array(json.dumps(head, sort_keys=True))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in stored.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, _packed(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_LZMA)


def _packed(array: NDArray[Any]) -> NDArray[Any]:
    """Two-byte values as two planes of bytes, the high ones first, which compress far better: [2, ...]."""
    if array.dtype.itemsize != 2:
        return array
    return np.ascontiguousarray(np.moveaxis(array[..., None].view(np.uint8), -1, 0)[::-1])


def _unpacked(planes: NDArray[Any], dtype: Any) -> NDArray[Any]:
    return np.asarray(np.ascontiguousarray(np.moveaxis(planes[::-1], 0, -1)).view(dtype)[..., 0])


def read(path: Path) -> tuple[dict[str, Any], NDArray[np.int8], dict[str, FloatArray]]:
    """`meta`, the choices and the columns of a file.

    Raises:
        JobError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["format"] != FORMAT:
                raise JobError(f"{path}: has format {meta['format']}, and this Ogive reads {FORMAT}")
            values = {}
            for name in COLUMNS:
                if name in COUNTED:
                    values[name] = _unpacked(archive[name], np.uint16) / meta["sizes"][COUNTED[name]]
                else:
                    values[name] = _unpacked(archive[name], np.float16).astype(np.float64)
            return meta, archive["choices"], values
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise JobError(f"{path}: is no file of learning curves: {error}") from error


def space_of(meta: Mapping[str, Any]) -> Space:
    """The table of decisions that the curves were made for; without layers."""
    return Space.from_json({"decisions": meta["decisions"], "fingerprint": meta["space"]})


def load(
    path: str | Path,
    objectives: ObjectiveSpec = "log_loss",
    space: Space | None = None,
    name: str = "",
    source: str = "",
) -> Table:
    """The curves as a problem: every epoch is a level, every seed a repetition, test is for the report alone.

    Args:
        path: of the file.
        objectives: "accuracy" (0 to 1), "log_loss" (nats an example), or both.
        space: the declared one where its layers are wanted; it must have the file's decisions.
        name: of the problem; by default the file's.
        source: where the numbers come from; by default what the file says.

    Raises:
        JobError: the file cannot be read, or is of another space.
    """
    meta, choices, values = read(Path(path))
    found = space or space_of(meta)
    if space is not None and [d.describe() for d in space.decisions] != meta["decisions"]:
        raise JobError(f"{path}: was made for other decisions than the space's; leave the space out, or give its own")
    seconds = np.cumsum(values["seconds"], axis=2)
    shown = ("accuracy", "log_loss", "train_loss")
    tested = {f"test_{metric}": values[f"test_{metric}"] for metric in ("accuracy", "log_loss")}
    return Table(
        name or Path(path).stem,
        found,
        _keys(found, choices),
        {**{metric: values[metric] for metric in shown}, **tested},
        objectives,
        levels=range(1, seconds.shape[2] + 1),
        continuable=True,
        seconds=seconds,
        test={metric: f"test_{metric}" for metric in ("accuracy", "log_loss")},
        source=source or meta.get("source", ""),
    )


def _keys(space: Space, choices: NDArray[np.int8]) -> Sequence[str]:
    labels = [(decision.name, list(decision.domain.all(0))) for decision in space.decisions]
    found = []
    for row in choices:
        chosen = {name: known[place] for (name, known), place in zip(labels, row, strict=True) if place >= 0}
        found.append(space.architecture(chosen).id)
    return found


def rank_correlations(table: Table, metric: str) -> dict[int, float]:
    """Spearman's correlation of a metric between single seeds, mean over all pairs of seeds, at some epochs.

    A table is only as good as this signal: below 0.7 at the last epoch, who wins is decided by luck.
    """
    found = {}
    for epoch, place in _marks(table).items():
        values = table.values(metric, place)
        pairs = itertools.combinations(range(values.shape[1]), 2)
        found[epoch] = float(np.mean([_spearman(values[:, a], values[:, b]) for a, b in pairs]))
    return found


def level_correlations(table: Table, metric: str) -> dict[int, float]:
    """Spearman's correlation of a metric at some epochs with the last, means over the seeds: what few epochs tell."""
    last = table.values(metric).mean(axis=1)
    return {epoch: _spearman(table.values(metric, place).mean(axis=1), last) for epoch, place in _marks(table).items()}


def _marks(table: Table) -> dict[int, int]:
    """Some levels, the last among them: their epochs and their places; one level without epochs is epoch 0."""
    levels = table.levels or (0,)
    chosen = levels if len(levels) <= MANY else [e for e in levels if e in DOUBLED or e == levels[-1]]
    return {epoch: levels.index(epoch) for epoch in chosen}


def _spearman(a: FloatArray, b: FloatArray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b, nan_policy="omit").statistic)
