"""NATS-Bench's topology table as published: X. Dong et al., NATS-Bench, TPAMI 2021. Its cells are those of NAS-Bench-201."""

from __future__ import annotations

import bz2
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ogive.bench.nasbench201 import key, operations, space
from ogive.bench.pickles import load_pickle
from ogive.bench.table_problem import Table
from ogive.errors import JobError

DATA_SETS = ("cifar10", "cifar100", "ImageNet16-120")


def load(path: str | Path, data: str = "cifar10", hp: str | int = "200") -> Table:
    """NATS-Bench's topology table, as published: `NATS-tss-v1_0-3ffb9.pickle.pbz2`, or the folder `...-simple`.

    The objective is the validation accuracy in per cent; reports judge by the test accuracy too. On CIFAR-10 the
    validation values are those of the training on half of the data (`cifar10-valid`), and the test values too.

    Args:
        path: of the file or the folder.
        data: cifar10, cifar100 or ImageNet16-120.
        hp: the training: "12" or "200" epochs, of which every epoch that has a validation value is a level.

    Raises:
        JobError: the files are not there or not of this format, or lack this training or a cell.
    """
    return read(path, data, str(hp)).check_complete()


def read(path: str | Path, data: str = "cifar10", hp: str = "200") -> Table:
    """As `load`, of whatever cells are there."""
    where = Path(path)
    source = f"NATS-Bench topology (Dong et al. 2021), {data}, {hp} epochs"
    return table(f"nats-{data}", _nats_rows(where), where, data, hp, source)


def table(
    name: str, rows: Iterable[tuple[str, Mapping[str, Any]]], where: Path, data: str, hp: str, source: str
) -> Table:
    """The table of cells whose results are state dicts of the authors' `ArchResults`.

    Args:
        name: of the problem.
        rows: the published string of each cell, and its results by training: {hp: state dict}.
        where: the file, for errors.
        data: one of `DATA_SETS`.
        hp: the training.
        source: where the numbers come from.

    Raises:
        JobError: there is no such data set, a cell lacks this training or is there twice, or a string names no cell.
    """
    if data not in DATA_SETS:
        raise JobError(f"data={data!r}: {where.name} has {', '.join(DATA_SETS)}")
    training, test = ("cifar10-valid", "ori-test") if data == "cifar10" else (data, "x-test")
    found = [(_cell(text, where), _curves(text, info, hp, training, test, where)) for text, info in rows]
    if not found:
        raise JobError(f"{where}: holds no architecture")
    levels = sorted(set.intersection(*(set(run) for _, runs in found for run in runs)))
    if not levels:
        raise JobError(f"{where}: there is no epoch after which every cell has a validation accuracy on {training!r}")
    # some cells were trained fewer times; each of a cell's trainings stands there equally often, so that means are theirs
    repetitions = math.lcm(*(len(runs) for _, runs in found))
    values = np.empty((len(found), repetitions, len(levels), 3))
    for row, (_, runs) in enumerate(found):
        for repetition in range(repetitions):
            run = runs[repetition % len(runs)]
            values[row, repetition] = [run[level] for level in levels]
    if np.isnan(values[:, :, -1, 1]).any():
        raise JobError(f"{where}: a cell has no test accuracy after the last epoch, by which reports judge")
    timed = not np.isnan(values[..., 2]).any()
    return Table(
        name,
        space(),
        [key for key, _ in found],
        {"accuracy": values[..., 0], "test_accuracy": values[..., 1]},
        "accuracy",
        levels=levels,
        continuable=True,
        seconds=values[..., 2] if timed else None,
        test={"accuracy": "test_accuracy"},
        key=key,
        source=source if timed else f"{source}; not all trainings were timed, so that an epoch counts as one second",
    )


def _nats_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The published string of each cell and its results by training."""
    if path.is_dir():
        meta = _bz2(path / "meta.pickle.pbz2")
        try:
            names = meta["meta_archs"]
        except (KeyError, TypeError) as error:
            raise JobError(f"{path / 'meta.pickle.pbz2'}: is not NATS-Bench's table: {error!r}") from error
        for number, text in enumerate(names):
            file = path / f"{number:06d}.pickle.pbz2"
            if file.exists():
                yield text, _bz2(file)
        return
    table = _bz2(path)
    try:
        for number in sorted(table["arch2infos"]):
            yield table["meta_archs"][number], table["arch2infos"][number]
    except (KeyError, TypeError, IndexError) as error:
        raise JobError(f"{path}: is not NATS-Bench's table: {error!r}") from error


def _cell(text: str, where: Path) -> tuple[str, ...]:
    try:
        return operations(text)
    except JobError as error:
        raise JobError(f"{where}: {error}") from None


def _bz2(path: Path) -> Any:
    try:
        with bz2.open(path, "rb") as file:
            return load_pickle(file, path)
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error}") from error


def _curves(
    text: str, info: Mapping[str, Any], hp: str, training: str, test: str, where: Path
) -> list[dict[int, tuple[float, float, float]]]:
    """By repetition and epoch (from 1): validation accuracy, test accuracy, seconds since the start."""
    try:
        if hp not in info:
            raise JobError(f"{where}: {text} has no training {hp!r}; it has {', '.join(info)}")
        seeds, results = info[hp]["dataset_seed"], info[hp]["all_results"]
        if not seeds.get(training):
            raise JobError(f"{where}: {text} has no training {hp!r} on {training!r}; it has {', '.join(seeds)}")
        for seed in seeds[training]:
            if (training, seed) not in results:
                raise JobError(f"{where}: {text} has no result of seed {seed} on {training!r}, but lists it")
        return [_curve(results[training, seed], test) for seed in sorted(seeds[training])]
    except (KeyError, TypeError, AttributeError) as error:
        raise JobError(f"{where}: the results of {text} are not of this format: {error!r}") from error


def _curve(run: Mapping[str, Any], test: str) -> dict[int, tuple[float, float, float]]:
    accuracies, times = run["eval_acc1es"], run["train_times"] or {}
    curve, spent = {}, 0.0
    for epoch in range(run["epochs"]):
        spent += float(times.get(epoch, math.nan))
        valid = accuracies.get(f"x-valid@{epoch}")
        if valid is not None:  # the test accuracy of the last epoch is the only one that is used
            curve[epoch + 1] = float(valid), float(accuracies.get(f"{test}@{epoch}", math.nan)), spent
    return curve
