"""The table of NAS-Bench-201 as first published: X. Dong and Y. Yang, NAS-Bench-201, ICLR 2020; files of `torch.save`.

A file contains a dictionary with `meta_archs` (a string for each cell), `arch2infos` (by the index of the string: `less`,
the training of 12 epochs, and `full`, the training of 200 epochs) and `evaluated_indexes`. A training is a state dict of the
authors' class `ArchResults`; it contains a state dict of `ResultsCount` for each data set and seed. NATS-Bench uses the same
classes, so `nats.build_table` builds the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ogive.bench import nats
from ogive.bench.pickles import load_torch_file
from ogive.bench.table_problem import Table
from ogive.errors import JobError

TRAININGS = {"12": "less", "200": "full"}
"""The name of each training in the file, by the number of epochs."""
PARTS = ("meta_archs", "arch2infos")
"""The keys of the file that are read."""


def load(path: str | Path, data: str = "cifar10", hp: str | int = "200") -> Table:
    """Return the table in `NAS-Bench-201-v1_1-096897.pth` or `NAS-Bench-201-v1_0-e61699.pth`.

    The objective is the validation accuracy in per cent; the test accuracy is known as well. On CIFAR-10 both belong to the
    training on half of the training data (`cifar10-valid`). The levels are the epochs at which every training has a
    validation accuracy. If some trainings were validated only at the end, the last epoch is the only level.

    Args:
        path: the file.
        data: cifar10, cifar100 or ImageNet16-120.
        hp: the number of epochs of the training, "12" or "200". Version 1.0 has trainings of 12 epochs on CIFAR-10 only.

    Raises:
        JobError: the file does not exist or has another format, or lacks this training or a cell.
    """
    return read(path, data, str(hp)).check_complete()


def read(path: str | Path, data: str = "cifar10", hp: str = "200") -> Table:
    """Return the table as `load` does, but accept a file that contains only some of the cells."""
    if hp not in TRAININGS:
        raise JobError(f"hp={hp!r}: NAS-Bench-201 has trainings of {' and '.join(TRAININGS)} epochs")
    file = Path(path)
    source = f"NAS-Bench-201 (Dong and Yang 2020), {data}, {hp} epochs"
    return nats.build_table(f"nasbench201-{data}", _read_cells(file), path=file, data=data, hp=hp, source=source)


def _read_cells(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the published string of each cell, with its results by training, in the form of NATS-Bench."""
    saved = load_torch_file(path)
    if not isinstance(saved, dict) or any(part not in saved for part in PARTS):
        content = ", ".join(map(str, saved)) if isinstance(saved, dict) else f"a {type(saved).__name__}"
        raise JobError(
            f"{path}: is not the table of NAS-Bench-201, which has {' and '.join(PARTS)}; the file contains {content}"
        )
    names, infos = saved["meta_archs"], saved["arch2infos"]
    try:
        for number in sorted(infos):
            yield names[number], {hp: infos[number][name] for hp, name in TRAININGS.items() if name in infos[number]}
    except (KeyError, TypeError, IndexError) as error:
        raise JobError(f"{path}: is not the table of NAS-Bench-201: {error!r}") from error
