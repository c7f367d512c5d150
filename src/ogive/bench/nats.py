"""The topology table of NATS-Bench, with the cells of NAS-Bench-201: X. Dong et al., NATS-Bench, TPAMI 2021."""

from __future__ import annotations

import bz2
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ogive.bench.nasbench201 import make_key, make_space, parse_operations
from ogive.bench.pickles import load_pickle
from ogive.bench.table_problem import Table
from ogive.errors import JobError

DATA_SETS = ("cifar10", "cifar100", "ImageNet16-120")


def load(path: str | Path, data: str = "cifar10", hp: str | int = "200") -> Table:
    """Return the table in `NATS-tss-v1_0-3ffb9.pickle.pbz2`, or in the folder `...-simple`.

    The objective is the validation accuracy in per cent; the test accuracy is known as well. On CIFAR-10 both belong to the
    training on half of the training data (`cifar10-valid`).

    Args:
        path: the file or the folder.
        data: cifar10, cifar100 or ImageNet16-120.
        hp: the number of epochs of the training, "12" or "200". The levels of the table are the epochs after which every
            training has a validation accuracy.

    Raises:
        JobError: a file does not exist or has another format, or lacks this training or a cell.
    """
    return read(path, data, str(hp)).check_complete()


def read(path: str | Path, data: str = "cifar10", hp: str = "200") -> Table:
    """Return the table as `load` does, but accept a file that contains only some of the cells."""
    file = Path(path)
    source = f"NATS-Bench topology (Dong et al. 2021), {data}, {hp} epochs"
    return build_table(f"nats-{data}", _read_cells(file), path=file, data=data, hp=hp, source=source)


def build_table(
    name: str, cells: Iterable[tuple[str, Mapping[str, Any]]], *, path: Path, data: str, hp: str, source: str
) -> Table:
    """Return the table of cells whose results are state dicts of the authors' class `ArchResults`.

    Args:
        name: the name of the problem.
        cells: the published string of each cell, with its results by training: {hp: state dict}.
        path: the file, for error messages.
        data: one of `DATA_SETS`.
        hp: the number of epochs of the training, such as "200".
        source: the origin of the values.

    Raises:
        JobError: there is no such data set, a cell lacks this training or appears twice, or a string describes no cell.
    """
    if data not in DATA_SETS:
        raise JobError(f"data={data!r}: {path.name} has {', '.join(DATA_SETS)}")
    # The names in the file: of the training data, and the prefix of the test accuracies.
    training, test = ("cifar10-valid", "ori-test") if data == "cifar10" else (data, "x-test")
    curves = [
        (_parse_cell(text, path), _read_curves(text, cell_results, hp, training, test, path))
        for text, cell_results in cells
    ]
    if not curves:
        raise JobError(f"{path}: contains no architecture")
    levels = sorted(set.intersection(*(set(curve) for _, cell_curves in curves for curve in cell_curves)))
    if not levels:
        raise JobError(f"{path}: there is no epoch after which every cell has a validation accuracy on {training!r}")
    # Some cells have fewer trainings than others. The number of repetitions is the least common multiple, so that each
    # training of a cell is repeated equally often and the means are correct.
    repetitions = math.lcm(*(len(cell_curves) for _, cell_curves in curves))
    values = np.empty((len(curves), repetitions, len(levels), 3))
    for row, (_, cell_curves) in enumerate(curves):
        for repetition in range(repetitions):
            curve = cell_curves[repetition % len(cell_curves)]
            values[row, repetition] = [curve[level] for level in levels]
    if np.isnan(values[:, :, -1, 1]).any():
        raise JobError(f"{path}: a cell has no test accuracy after the last epoch, which the report needs")
    is_timed = not np.isnan(values[..., 2]).any()
    return Table(
        name,
        make_space(),
        [key for key, _ in curves],
        {"accuracy": values[..., 0], "test_accuracy": values[..., 1]},
        "accuracy",
        levels=levels,
        continuable=True,
        seconds=values[..., 2] if is_timed else None,
        test={"accuracy": "test_accuracy"},
        key=make_key,
        source=source if is_timed else f"{source}; some trainings were not timed, so each epoch counts as one second",
    )


def _read_cells(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the published string of each cell, with its results by training."""
    if path.is_dir():
        meta = _load_bz2(path / "meta.pickle.pbz2")
        try:
            names = meta["meta_archs"]
        except (KeyError, TypeError) as error:
            raise JobError(f"{path / 'meta.pickle.pbz2'}: is not the table of NATS-Bench: {error!r}") from error
        for number, text in enumerate(names):
            file = path / f"{number:06d}.pickle.pbz2"
            if file.exists():
                yield text, _load_bz2(file)
        return
    table = _load_bz2(path)
    try:
        for number in sorted(table["arch2infos"]):
            yield table["meta_archs"][number], table["arch2infos"][number]
    except (KeyError, TypeError, IndexError) as error:
        raise JobError(f"{path}: is not the table of NATS-Bench: {error!r}") from error


def _parse_cell(text: str, path: Path) -> tuple[str, ...]:
    try:
        return parse_operations(text)
    except JobError as error:
        raise JobError(f"{path}: {error}") from None


def _load_bz2(path: Path) -> Any:
    try:
        with bz2.open(path, "rb") as file:
            return load_pickle(file, path)
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error}") from error


def _read_curves(
    text: str, cell_results: Mapping[str, Any], hp: str, training: str, test: str, path: Path
) -> list[dict[int, tuple[float, float, float]]]:
    """Return the curve of each training (see `_read_curve`).

    Args:
        text: the string of the cell.
        cell_results: the results of the cell, by `hp`.
        hp: the number of epochs of the training, such as "200".
        training: the name of the training data in the file.
        test: the prefix of the test accuracies in the file.
        path: the file, for error messages.
    """
    try:
        if hp not in cell_results:
            raise JobError(f"{path}: {text} has no training {hp!r}; the trainings are {', '.join(cell_results)}")
        seeds, results = cell_results[hp]["dataset_seed"], cell_results[hp]["all_results"]
        if not seeds.get(training):
            raise JobError(
                f"{path}: {text} has no training {hp!r} on {training!r}; the data sets are {', '.join(seeds)}"
            )
        for seed in seeds[training]:
            if (training, seed) not in results:
                raise JobError(f"{path}: {text} lists seed {seed} on {training!r}, but has no result of it")
        return [_read_curve(results[training, seed], test) for seed in sorted(seeds[training])]
    except (KeyError, TypeError, AttributeError) as error:
        raise JobError(f"{path}: the results of {text} have another format: {error!r}") from error


def _read_curve(result: Mapping[str, Any], test: str) -> dict[int, tuple[float, float, float]]:
    """Return (validation accuracy, test accuracy, seconds since the start) by epoch, from 1.

    Epochs without a validation accuracy are left out. A test accuracy that was not measured is NaN.
    """
    accuracies, times = result["eval_acc1es"], result["train_times"] or {}
    curve, seconds = {}, 0.0
    for epoch in range(result["epochs"]):
        seconds += float(times.get(epoch, math.nan))
        validation = accuracies.get(f"x-valid@{epoch}")
        if validation is not None:
            curve[epoch + 1] = float(validation), float(accuracies.get(f"{test}@{epoch}", math.nan)), seconds
    return curve
