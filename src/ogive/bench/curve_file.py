"""Files of learning curves: writing them, and reading them as tabular benchmarks.

A file is an `.npz` archive without pickles. It contains:

- `meta`: JSON text with the decisions and the fingerprint of the space, the sizes of the splits, and further values;
- `choices`: int8 [n, decisions], the index of the label of each decision; -1 where it is inactive;
- for each of `COLUMNS`: an array [n, r, k] (architectures, seeds, epochs). Accuracies are stored as numbers of correct
  examples, all other columns in half precision (relative error at most 0.05%; values below `MIN_NORMAL` are stored as
  `MIN_NORMAL`).
"""

from __future__ import annotations

import io
import itertools
import json
import math
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
from ogive.stats.rank_correlation import spearman
from ogive.trial import Status, Trial

FORMAT = 1
COUNT_COLUMNS = {"accuracy": "validation", "test_accuracy": "test"}
"""The columns that are stored as numbers of correct examples, and the split that these examples are from."""
MIN_NORMAL = 2.0**-14
"""The smallest normal number in half precision; smaller numbers have fewer digits."""

POWERS_OF_TWO = tuple(2**n for n in range(12))
MAX_LEVELS = 8
"""If a table has more levels, correlations are computed only at powers of two and at the last level."""


def collect_curves(
    trials: Iterable[Trial], space: Space, seeds: int, epochs: int
) -> tuple[NDArray[np.int8], dict[str, FloatArray]]:
    """Return the label indices and the columns of the trials that `og.bench.Curves` evaluated, in the order of the grid.

    Args:
        trials: the trials; every architecture of the space needs a finished one.
        space: the search space.
        seeds: the number of seeds, r.
        epochs: the number of epochs, k.

    Returns:
        The array of label indices [n, decisions] and the columns [n, r, k], which the module docstring describes.

    Raises:
        JobError: an architecture has no finished trial, or a trial has another number of epochs.
    """
    finished_trials = {trial.architecture.id: trial for trial in trials if trial.status is Status.FINISHED}
    grid = list(space.grid())
    missing = [architecture for architecture in grid if architecture.id not in finished_trials]
    if missing:
        example = ", ".join(f"{name}={label}" for name, label in missing[0].items())
        raise JobError(f"{len(missing)} of {len(grid)} architectures have no finished trial, such as {example}")
    labels = _list_alternatives(space)
    label_indices = np.full((len(grid), len(labels)), -1, dtype=np.int8)
    values = {name: np.empty((len(grid), seeds, epochs)) for name in COLUMNS}
    for row, architecture in enumerate(grid):
        for column_index, (name, alternatives) in enumerate(labels.items()):
            if name in architecture:
                label_indices[row, column_index] = alternatives.index(architecture[name])
        reports = finished_trials[architecture.id].reports
        if len(reports) != epochs:
            raise JobError(
                f"trial {finished_trials[architecture.id].id} has {len(reports)} reports instead of {epochs}"
            )
        for name, column in values.items():
            column[row] = [[report.metrics[f"{name}_seed{seed}"] for report in reports] for seed in range(seeds)]
    return label_indices, values


def write(
    path: Path, space: Space, label_indices: NDArray[np.int8], values: Mapping[str, FloatArray], meta: Mapping[str, Any]
) -> None:
    """Write a file of learning curves. The same contents give the same bytes.

    Args:
        path: the file.
        space: the search space.
        label_indices: the indices of the labels, [n, decisions], from `collect_curves`.
        values: the columns, [n, r, k], from `collect_curves`.
        meta: JSON values; it must contain `sizes`, the number of examples in each split, and `space`, its fingerprint.
    """
    arrays: dict[str, NDArray[Any]] = {"choices": label_indices}
    for name, column in values.items():
        if name in COUNT_COLUMNS:
            arrays[name] = np.round(column * meta["sizes"][COUNT_COLUMNS[name]]).astype(np.uint16)
        else:
            arrays[name] = np.maximum(column, MIN_NORMAL).astype(np.float16)
    full_meta = {**meta, "format": FORMAT, "decisions": [decision.describe() for decision in space.decisions]}
    arrays["meta"] = np.array(json.dumps(full_meta, sort_keys=True))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, _to_planes(array), allow_pickle=False)
            # A `ZipInfo` without a date has always the same date, unlike a member that is named by a string.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_LZMA)


def _to_planes(array: NDArray[Any]) -> NDArray[Any]:
    """Split two-byte values into their high and low bytes, [2, ...], which compress much better. Return others unchanged."""
    if array.dtype.itemsize != 2:
        return array
    return np.ascontiguousarray(np.moveaxis(array[..., None].view(np.uint8), -1, 0)[::-1])


def _from_planes(planes: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the two-byte values [...] of the byte arrays [2, ...] that `_to_planes` made."""
    return np.asarray(np.ascontiguousarray(np.moveaxis(planes[::-1], 0, -1)).view(dtype)[..., 0])


def read(path: Path) -> tuple[dict[str, Any], NDArray[np.int8], dict[str, FloatArray]]:
    """Return `meta`, the label indices [n, decisions] and the columns [n, r, k] of a file.

    Raises:
        JobError: it is not a file of learning curves, or has another format.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            if meta["format"] != FORMAT:
                raise JobError(f"{path}: has format {meta['format']}, but this version of Ogive reads format {FORMAT}")
            values = {}
            for name in COLUMNS:
                if name in COUNT_COLUMNS:
                    values[name] = _from_planes(archive[name], np.uint16) / meta["sizes"][COUNT_COLUMNS[name]]
                else:
                    values[name] = _from_planes(archive[name], np.float16).astype(np.float64)
            return meta, archive["choices"], values
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise JobError(f"{path}: is not a file of learning curves: {error}") from error


def make_space(meta: Mapping[str, Any]) -> Space:
    """Return the space of a file from its `meta`. It has the decisions, but no layers to build a model from."""
    return Space.from_json({"decisions": meta["decisions"], "fingerprint": meta["space"]})


def load(
    path: str | Path,
    objectives: ObjectiveSpec = "log_loss",
    space: Space | None = None,
    name: str = "",
    source: str = "",
) -> Table:
    """Return the table of a file of learning curves: each epoch is a level, and each seed a repetition.

    Args:
        path: the file.
        objectives: "accuracy" (0 to 1), "log_loss" (nats per example), or both.
        space: the declared space, which is needed to build models; its decisions must be those of the file. By default the
            space in the file, which has no layers.
        name: the name of the problem; by default the name of the file.
        source: the origin of the values; by default the text in the file.

    Raises:
        JobError: the file cannot be read, or belongs to another space.
    """
    meta, label_indices, values = read(Path(path))
    table_space = space or make_space(meta)
    if space is not None and [d.describe() for d in space.decisions] != meta["decisions"]:
        raise JobError(
            f"{path}: its decisions differ from those of the space; leave the space out, or pass the "
            "space that the file was built for"
        )
    seconds = np.cumsum(values["seconds"], axis=2)
    metrics = ("accuracy", "log_loss", "train_loss", "test_accuracy", "test_log_loss")
    return Table(
        name or Path(path).stem,
        table_space,
        _list_row_keys(table_space, label_indices),
        {metric: values[metric] for metric in metrics},
        objectives,
        levels=range(1, seconds.shape[2] + 1),
        continuable=True,
        seconds=seconds,
        test={metric: f"test_{metric}" for metric in ("accuracy", "log_loss")},
        source=source or meta.get("source", ""),
    )


def _list_alternatives(space: Space) -> dict[str, list[Any]]:
    """Return all labels of each decision, in the order of the stored indices."""
    # The resolution is needed only for real numbers, which such a space does not have.
    return {decision.name: list(decision.domain.enumerate_labels(resolution=0)) for decision in space.decisions}


def _list_row_keys(space: Space, label_indices: NDArray[np.int8]) -> Sequence[str]:
    """Return the id of the architecture of each row of `label_indices` [n, decisions]."""
    alternatives_by_decision = _list_alternatives(space).items()
    row_keys = []
    for row in label_indices:
        labels_of_row = {
            name: alternatives[index]
            for (name, alternatives), index in zip(alternatives_by_decision, row, strict=True)
            if index >= 0
        }
        row_keys.append(space.architecture(labels_of_row).id)
    return row_keys


def compute_seed_correlations(table: Table, metric: str) -> dict[int, float]:
    """Return Spearman's rank correlation of a metric between single seeds, averaged over all pairs of seeds, by epoch.

    It measures how well a single training ranks architectures. If it is below 0.7 at the last epoch, the best architecture
    of a search is mostly determined by chance.
    """
    correlations = {}
    for epoch, level in _select_levels(table).items():
        values = table.values(metric, level)
        pairs = itertools.combinations(range(values.shape[1]), 2)
        correlations[epoch] = float(np.mean([_compute_spearman(values[:, a], values[:, b]) for a, b in pairs]))
    return correlations


def compute_level_correlations(table: Table, metric: str) -> dict[int, float]:
    """Return Spearman's rank correlation of a metric (mean over the seeds) between each epoch and the last, by epoch."""
    last_values = table.values(metric).mean(axis=1)
    return {
        epoch: _compute_spearman(table.values(metric, level).mean(axis=1), last_values)
        for epoch, level in _select_levels(table).items()
    }


def _select_levels(table: Table) -> dict[int, int]:
    """Return the indices of the levels at which correlations are computed, by epoch. A level without epochs has epoch 0."""
    levels = table.levels or (0,)
    epochs = levels if len(levels) <= MAX_LEVELS else [e for e in levels if e in POWERS_OF_TWO or e == levels[-1]]
    return {epoch: levels.index(epoch) for epoch in epochs}


def _compute_spearman(a: FloatArray, b: FloatArray) -> float:
    """Return Spearman's rho of the pairs without NaN; NaN if one of the two has equal values only."""
    is_known = np.isfinite(a) & np.isfinite(b)
    x, y = a[is_known], b[is_known]
    return float(spearman(x[None], y[None])[0]) if np.ptp(x) > 0 and np.ptp(y) > 0 else math.nan
