"""HW-NAS-Bench: latency and energy of the cells of NAS-Bench-201 on six devices (C. Li et al., ICLR 2021)."""

from __future__ import annotations

from pathlib import Path

from ogive.bench.nasbench201 import make_key, parse_operations
from ogive.bench.pickles import load_pickle
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import Objective

HARDWARE_METRICS = (
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


def read_measurements(path: str | Path, data: str = "cifar10") -> dict[tuple[str, ...], dict[str, float]]:
    """Return the measurements of each cell from `HW-NAS-Bench-v1_0.pickle`: latencies in ms, energies in mJ.

    Raises:
        JobError: the file does not exist, or has another format.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            table = load_pickle(stream, file)["nasbench201"][data]
        cells = [parse_operations(config["arch_str"]) for config in table["config"]]
        return {
            cell: {name: float(table[name][number]) for name in HARDWARE_METRICS if name in table}
            for number, cell in enumerate(cells)
        }
    except OSError as error:
        raise JobError(f"{file}: cannot be read: {error}") from error
    except (KeyError, TypeError, IndexError) as error:
        raise JobError(f"{file}: is not the table of HW-NAS-Bench for {data!r}: {error!r}") from error


def add_hardware_metric(
    accuracies: Table, path: str | Path, metric: str = "edgegpu_latency", data: str = "cifar10"
) -> Table:
    """Return a table with two objectives: the error (100 - accuracy) of `accuracies`, and a metric of HW-NAS-Bench.

    The metric of HW-NAS-Bench is known before training.

    Args:
        accuracies: a table on the space of NAS-Bench-201, with the column `accuracy` in per cent.
        path: the file `HW-NAS-Bench-v1_0.pickle`.
        metric: one of `HARDWARE_METRICS`.
        data: the data set of the networks whose hardware metrics were measured.

    Raises:
        JobError: the file has no such metric, or lacks a cell.
    """
    measurements = read_measurements(path, data)
    available = next(iter(measurements.values()), {})
    if metric not in available:
        raise JobError(f"{path}: has no metric {metric!r}; the metrics are {', '.join(available)}")
    rows = {make_key(architecture): accuracies.find_row(architecture) for architecture in accuracies.space.grid()}
    missing = [cell for cell in rows if cell not in measurements]
    if missing:
        raise JobError(f"{path}: has no measurements of {len(missing)} cells, such as {missing[0]}")
    accuracy = accuracies.columns["accuracy"]
    rows_in_order = list(rows.values())
    return Table(
        f"{accuracies.name} and {metric}",
        accuracies.space,
        list(rows),
        {"error": 100 - accuracy[rows_in_order], metric: [measurements[cell][metric] for cell in rows]},
        [Objective("error", "minimize"), Objective(metric, "minimize")],
        levels=accuracies.levels,
        continuable=accuracies.continuable,
        screened=(metric,),
        split=accuracies.split,
        key=make_key,
        source=f"{accuracies.source}; {metric} of HW-NAS-Bench (Li et al., ICLR 2021)",
    )
