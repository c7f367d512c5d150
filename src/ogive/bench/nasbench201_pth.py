"""NAS-Bench-201's table as first published: X. Dong and Y. Yang, NAS-Bench-201, ICLR 2020; files of `torch.save`.

The file is a dictionary of `meta_archs` (a published string for each cell), `arch2infos` (by the string's position: `less`,
the training of 12 epochs, and `full`, that of 200) and `evaluated_indexes`. Each training is a state dict of the authors'
`ArchResults`, with one of `ResultsCount` for each data set and seed. NATS-Bench has kept these, so `nats` makes the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ogive.bench import nats
from ogive.bench.pickles import load_saved
from ogive.bench.table_problem import Table
from ogive.errors import JobError

TRAININGS = {"12": "less", "200": "full"}
PARTS = ("meta_archs", "arch2infos")


def load(path: str | Path, data: str = "cifar10", hp: str | int = "200") -> Table:
    """NAS-Bench-201's table as first published: `NAS-Bench-201-v1_1-096897.pth` or `NAS-Bench-201-v1_0-e61699.pth`.

    The objective is the validation accuracy in per cent; reports judge by the test accuracy too. On CIFAR-10 both are
    those of the training on half of the data (`cifar10-valid`). Epochs after which every training has a validation
    accuracy are levels: where some of them were validated at the end only, that is the one level.

    Args:
        path: of the file.
        data: cifar10, cifar100 or ImageNet16-120.
        hp: the training: "12" or "200" epochs. In v1.0 that of 12 epochs is of CIFAR-10 only.

    Raises:
        JobError: the file is not there or not of this format, or lacks this training or a cell.
    """
    return read(path, data, str(hp)).check_complete()


def read(path: str | Path, data: str = "cifar10", hp: str = "200") -> Table:
    """As `load`, of whatever cells are there."""
    if hp not in TRAININGS:
        raise JobError(f"hp={hp!r}: NAS-Bench-201 has trainings of {' and '.join(TRAININGS)} epochs")
    where = Path(path)
    source = f"NAS-Bench-201 (Dong and Yang 2020), {data}, {hp} epochs"
    return nats.table(f"nasbench201-{data}", _rows(where), where, data, hp, source)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The published string of each cell and its results by training, as NATS-Bench has them."""
    saved = load_saved(path)
    if not isinstance(saved, dict) or any(part not in saved for part in PARTS):
        there = ", ".join(map(str, saved)) if isinstance(saved, dict) else f"a {type(saved).__name__}"
        raise JobError(f"{path}: is not NAS-Bench-201's table, which has {' and '.join(PARTS)}; it holds {there}")
    names, infos = saved["meta_archs"], saved["arch2infos"]
    try:
        for number in sorted(infos):
            yield names[number], {hp: infos[number][name] for hp, name in TRAININGS.items() if name in infos[number]}
    except (KeyError, TypeError, IndexError) as error:
        raise JobError(f"{path}: is not NAS-Bench-201's table: {error!r}") from error
