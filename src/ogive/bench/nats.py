"""NATS-Bench's topology table as published: X. Dong et al., NATS-Bench, TPAMI 2021. Its cells are those of NAS-Bench-201."""

from __future__ import annotations

import bz2
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ogive.bench.nasbench201 import key, operations, space
from ogive.bench.pickles import load_pickle
from ogive.bench.table import Table
from ogive.errors import JobError

DATA_SETS = ("cifar10", "cifar100", "ImageNet16-120")


def load(path: str | Path, data: str = "cifar10", hp: str = "200") -> Table:
    """NATS-Bench's topology table, as published: `NATS-tss-v1_0-3ffb9.pickle.pbz2`, or the folder `...-simple`.

    The objective is the validation accuracy in per cent; reports judge by the test accuracy too. On CIFAR-10 the
    validation values are those of the training on half of the data (`cifar10-valid`), and the test values too.

    Args:
        path: of the file or the folder.
        data: cifar10, cifar100 or ImageNet16-120.
        hp: the training: "12" or "200" epochs, of which every epoch that has a validation value is a level.

    Raises:
        JobError: the files are not there or not of this format, or lack this training.
    """
    if data not in DATA_SETS:
        raise JobError(f"data={data!r}: NATS-Bench has {', '.join(DATA_SETS)}")
    training, test = ("cifar10-valid", "ori-test") if data == "cifar10" else (data, "x-test")
    where = Path(path)
    found = [(text, _curves(info, hp, training, test, where)) for text, info in _nats_rows(where)]
    if not found:
        raise JobError(f"{where}: holds no architecture")
    levels = sorted(set.intersection(*(set(run) for _, runs in found for run in runs)))
    repetitions = max(len(runs) for _, runs in found)
    values = np.empty((len(found), repetitions, len(levels), 3))
    for row, (_, runs) in enumerate(found):
        for repetition in range(repetitions):
            run = runs[repetition % len(runs)]  # some cells were trained fewer times
            values[row, repetition] = [run[level] for level in levels]
    return Table(
        f"nats-{data}",
        space(),
        [operations(text) for text, _ in found],
        {"accuracy": values[..., 0], "test_accuracy": values[..., 1]},
        "accuracy",
        levels=levels,
        continuable=True,
        seconds=values[..., 2],
        test={"accuracy": "test_accuracy"},
        key=key,
        source=f"NATS-Bench topology (Dong et al. 2021), {data}, {hp} epochs",
    )


def _nats_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The published string of each cell and its results by training."""
    if path.is_dir():
        names = _bz2(path / "meta.pickle.pbz2")["meta_archs"]
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
        raise JobError(f"{path}: is not NATS-Bench's table: {error!r} is missing") from error


def _bz2(path: Path) -> Any:
    try:
        with bz2.open(path, "rb") as file:
            return load_pickle(file, path)
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error}") from error


def _curves(
    info: Mapping[str, Any], hp: str, training: str, test: str, where: Path
) -> list[dict[int, tuple[float, float, float]]]:
    """By repetition and epoch (from 1): validation accuracy, test accuracy, seconds since the start."""
    try:
        results = info[hp]["all_results"]
        runs = [results[training, seed] for seed in sorted(info[hp]["dataset_seed"][training])]
        return [_curve(run, test) for run in runs]
    except (KeyError, TypeError) as error:
        raise JobError(
            f"{where}: an architecture has no training {hp!r} on {training!r} ({error} is missing)"
        ) from error


def _curve(run: Mapping[str, Any], test: str) -> dict[int, tuple[float, float, float]]:
    accuracies, times = run["eval_acc1es"], run["train_times"] or {}
    curve, spent = {}, 0.0
    for epoch in range(run["epochs"]):
        spent += float(times.get(epoch, 1.0))
        valid = accuracies.get(f"x-valid@{epoch}")
        if valid is not None and f"{test}@{epoch}" in accuracies:
            curve[epoch + 1] = float(valid), float(accuracies[f"{test}@{epoch}"]), spent
    return curve
