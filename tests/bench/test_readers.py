"""Published formats, read from small files written as their publishers do; pickles that run code are refused."""

from __future__ import annotations

import base64
import bz2
import json
import os
import pickle
import struct
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ogive.bench import hw_nasbench, nasbench101, nasbench201, nasbench_graph, nats
from ogive.bench.pickles import load_pickle
from ogive.bench.tfrecord import masked_crc, records
from ogive.errors import JobError


def string(operations: tuple[str, ...]) -> str:
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


# -- NAS-Bench-101 -----------------------------------------------------------------------------------------------------


def test_the_checksum_is_castagnolis() -> None:
    crc = masked_crc(b"123456789") - 0xA282EAD8 & 0xFFFFFFFF
    assert (crc << 15 | crc >> 17) & 0xFFFFFFFF == 0xE3069283  # the check value of CRC-32C (RFC 3720, appendix B.4)


@pytest.mark.parametrize(("vertices", "cells"), [(2, 1), (3, 6), (4, 84), (5, 2441)])
def test_cells_of_nasbench101_are_as_many_as_the_authors_count(vertices: int, cells: int) -> None:
    assert sum(1 for _ in nasbench101.graphs(vertices)) == cells


def double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def message(field: int, body: bytes) -> bytes:
    return bytes([field << 3 | 2, len(body)]) + body


def metrics(seconds: float, valid: float, test: float, parameters: int) -> bytes:
    """`ModelMetrics`: evaluations at the start, half-way and at the end, and the number of parameters as a varint."""
    ends = [(0.0, 0.1, 0.1), (seconds / 2, valid / 2, test / 2), (seconds, valid, test)]
    evaluations = b"".join(
        message(1, double(1, 0.0) + double(2, s) + double(3, 1.0) + double(4, v) + double(5, t)) for s, v, t in ends
    )
    low, high = parameters & 0x7F | 0x80, parameters >> 7
    return evaluations + bytes([2 << 3, low, high])


def write_records(path: Path, bodies: list[bytes]) -> Path:
    with path.open("wb") as file:
        for body in bodies:
            head = struct.pack("<Q", len(body))
            file.write(head + struct.pack("<I", masked_crc(head)) + body + struct.pack("<I", masked_crc(body)))
    return path


def record(name: str, epochs: int, matrix: str, operations: str, body: bytes) -> bytes:
    return json.dumps([name, epochs, matrix, operations, base64.b64encode(body).decode()]).encode()


def test_nasbench101_as_published(tmp_path: Path) -> None:
    line, skip = "010001000", "0100"
    bodies = []
    for epochs, factor in ((4, 0.5), (108, 1.0)):
        for repeat in range(3):
            body = metrics(10.0 * epochs, factor * (0.9 + repeat / 100), factor * 0.88, 8500)
            bodies.append(record("abc", epochs, line, "input,conv3x3-bn-relu,output", body))
            bodies.append(record("def", epochs, skip, "input,output", metrics(1.0 * epochs, factor * 0.5, 0.4, 300)))
    table = nasbench101.load(write_records(tmp_path / "nasbench.tfrecord", bodies))
    assert (table.size, table.repetitions, table.levels) == (2, 3, (4, 108))
    # an architecture of seven vertices whose only path is input, conv3x3, output; all else is cut off
    choices: dict[str, Any] = {f"edge{i}-{j}": 0 for i, j in nasbench101.PAIRS}
    choices |= {f"operation{v}": "maxpool3x3" for v in range(1, 6)}
    choices |= {"edge0-4": 1, "edge4-6": 1, "operation4": "conv3x3-bn-relu", "edge0-2": 1}
    architecture = table.space.architecture(choices)
    (seen,) = table.evaluate(architecture, {"epochs": 108}, seed=1)
    assert seen.metrics["accuracy"] == pytest.approx(91.0)
    assert seen.seconds == 1080
    assert table.truth(architecture)["test_accuracy"] == pytest.approx(88.0)
    assert table.screen(architecture) == {"parameters": 8500}


def test_a_broken_tfrecord_is_told(tmp_path: Path) -> None:
    path = write_records(tmp_path / "x.tfrecord", [b"[1]", b"[2]"])
    assert list(records(path)) == [b"[1]", b"[2]"]
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(JobError, match="record 2 is cut off"):
        list(records(path))
    path.write_bytes(b"this is no TFRecord file at all")
    with pytest.raises(JobError, match="record 1 has a wrong checksum"):
        list(records(path))


# -- NATS-Bench --------------------------------------------------------------------------------------------------------


def nats_cell(accuracy: float) -> dict[str, Any]:
    """One cell's results as NATS-Bench's state dicts have them: two seeds of three epochs."""

    def run(seed: int) -> dict[str, Any]:
        accuracies = {f"x-valid@{e}": accuracy * (e + 1) / 3 + seed / 1000 for e in range(3)}
        accuracies |= {f"ori-test@{e}": accuracy * (e + 1) / 3 - 1 for e in range(3)}
        times = OrderedDict((e, np.float64(2.0)) for e in range(3))
        return {"epochs": 3, "seed": seed, "eval_acc1es": accuracies, "train_times": times, "net_state_dict": None}

    runs = {("cifar10-valid", seed): run(seed) for seed in (777, 888)}
    return {"200": {"all_results": runs, "dataset_seed": {"cifar10-valid": [777, 888]}, "arch_index": 0}}


def small_nats(tmp_path: Path) -> tuple[Path, list[tuple[str, ...]]]:
    cells = [(op, "none", "none", "skip_connect", "none", "nor_conv_3x3") for op in nasbench201.OPERATIONS[:3]]
    folder = tmp_path / "NATS-tss-v1_0-simple"
    folder.mkdir()
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": [string(c) for c in cells]})))
    for number in range(len(cells)):
        content = pickle.dumps(nats_cell(60.0 + 10 * number), protocol=4)
        (folder / f"{number:06d}.pickle.pbz2").write_bytes(bz2.compress(content))
    return folder, cells


def test_nats_bench_as_published(tmp_path: Path) -> None:
    folder, cells = small_nats(tmp_path)
    table = nats.load(folder)
    assert (table.size, table.repetitions, table.levels) == (3, 2, (1, 2, 3))
    architecture = table.space.architecture(dict(zip(nasbench201.EDGES, cells[2], strict=True)))
    seen = list(table.evaluate(architecture, {"epochs": 3}, seed=0))
    assert [item.metrics["accuracy"] for item in seen] == pytest.approx([80 / 3 + 0.777, 160 / 3 + 0.777, 80.777])
    assert [item.seconds for item in seen] == [2.0, 2.0, 2.0]
    assert table.truth(architecture)["test_accuracy"] == pytest.approx(79.0)
    whole = {
        "meta_archs": [string(c) for c in cells],
        "arch2infos": {n: nats_cell(60.0 + 10 * n) for n in range(3)},
        "evaluated_indexes": {0, 1, 2},
    }
    one = tmp_path / "NATS-tss.pickle.pbz2"
    one.write_bytes(bz2.compress(pickle.dumps(whole)))
    assert nats.load(one).fingerprint == table.fingerprint
    with pytest.raises(JobError, match="no training '12'"):
        nats.load(folder, hp="12")


class Trap:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/this-must-not-happen",)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "table.pickle"
    path.write_bytes(pickle.dumps({"nasbench201": Trap()}, protocol=protocol))
    with pytest.raises(JobError, match=r"asks for (posix|os)\.system"), path.open("rb") as file:
        load_pickle(file, path)
    with pytest.raises(JobError, match="system"):
        hw_nasbench.measurements(path)


def test_hw_nas_bench_as_published(tmp_path: Path) -> None:
    cells = [(op, *["nor_conv_1x1"] * 5) for op in nasbench201.OPERATIONS]
    table = {
        "config": [{"name": "infer.tiny", "C": 16, "N": 5, "arch_str": string(c), "num_classes": 10} for c in cells],
        "edgegpu_latency": [np.float64(5.5 + n) for n in range(5)],
        "fpga_energy": np.arange(5.0),
    }
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps({"nasbench201": {"cifar10": table}}))
    found = hw_nasbench.measurements(path)
    assert found[cells[3]] == {"edgegpu_latency": 8.5, "fpga_energy": 3.0}


# -- packages ----------------------------------------------------------------------------------------------------------


def test_analog_nasbench_is_the_digital_baseline_by_another_order_of_edges() -> None:
    if find_spec("analognasbench") is None:
        pytest.skip("analog-nasbench is not installed")
    table = nasbench201.analog()
    best = dict(zip(nasbench201.EDGES, table.best()[0], strict=True))
    # the best cell of the condensed table, and the two ends of what it holds
    assert list(best.values()) == ["nor_conv_3x3"] * 3 + ["skip_connect", "nor_conv_1x1", "nor_conv_3x3"]
    assert table.bounds["accuracy"] == (94.0664, 10.0)
    with pytest.raises(JobError, match="no metric 'digital'; it has analog_accuracy"):
        nasbench201.analog("digital")


def test_nasbench_graph_merges_what_its_authors_merge() -> None:
    pytest.importorskip("nas_bench_graph")
    from nas_bench_graph.architecture import Arch

    table = nasbench_graph.load("cora").check_complete()
    assert table.size == 26_206
    for number, architecture in enumerate(table.space.grid()):
        if number % 7:
            continue
        operations = [architecture[f"operation{node}"] for node in range(1, 5)]
        code = Arch([int(link) for link in str(architecture["links"])], operations).valid_hash()
        assert nasbench_graph._decoded(code, Path("x")) == nasbench_graph.key(architecture), dict(architecture)
    assert nasbench_graph.load("proteins").size == 2_021
