"""HW-NAS-Bench: C. Li et al., ICLR 2021: latency and energy of NAS-Bench-201's cells on six devices."""

from __future__ import annotations

from pathlib import Path

from ogive.bench.nasbench201 import key, operations
from ogive.bench.pickles import load_pickle
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import Objective

HARDWARE = (
    "edgegpu_latency",
    "edgegpu_energy",
    "raspi4_latency",
    "edgetpu_latency",
    "pixel3_latency",
    "eyeriss_latency",
    "eyeriss_energy",
    "fpga_latency",
    "fpga_energy",
)


def measurements(path: str | Path, data: str = "cifar10") -> dict[tuple[str, ...], dict[str, float]]:
    """HW-NAS-Bench's measurements, from `HW-NAS-Bench-v1_0.pickle`: by cell, latencies in ms and energies in mJ.

    Raises:
        JobError: the file is not there or not of this format.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            table = load_pickle(stream, file)["nasbench201"][data]
        cells = [operations(config["arch_str"]) for config in table["config"]]
        return {
            cell: {name: float(table[name][number]) for name in HARDWARE if name in table}
            for number, cell in enumerate(cells)
        }
    except OSError as error:
        raise JobError(f"{file}: cannot be read: {error}") from error
    except (KeyError, TypeError, IndexError) as error:
        raise JobError(f"{file}: is not HW-NAS-Bench's table for {data!r}: {error!r}") from error


def beside(accuracies: Table, path: str | Path, metric: str = "edgegpu_latency", data: str = "cifar10") -> Table:
    """`accuracies` (of this space) with one of HW-NAS-Bench's measurements as the second objective, known before training.

    Raises:
        JobError: the measurement is not there, or a cell has none.
    """
    measured = measurements(path, data)
    known = next(iter(measured.values()), {})
    if metric not in known:
        raise JobError(f"{path}: has no {metric!r}; it has {', '.join(known)}")
    rows = {key(architecture): accuracies.row(architecture) for architecture in accuracies.space.grid()}
    missing = [cell for cell in rows if cell not in measured]
    if missing:
        raise JobError(f"{path}: has no measurement of {len(missing)} cells, the first is {missing[0]}")
    accuracy = accuracies.columns["accuracy"]
    order = list(rows.values())
    return Table(
        f"{accuracies.name} and {metric}",
        accuracies.space,
        list(rows),
        {"error": 100 - accuracy[order], metric: [measured[cell][metric] for cell in rows]},
        [Objective("error", "minimize"), Objective(metric, "minimize")],
        levels=accuracies.levels,
        continuable=accuracies.continuable,
        screened=(metric,),
        split=accuracies.split,
        key=key,
        source=f"{accuracies.source}; {metric} of HW-NAS-Bench (Li et al., ICLR 2021)",
    )
