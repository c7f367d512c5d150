"""Readers of published benchmarks, on small files in their formats; pickles that run code are not loaded."""

from __future__ import annotations

import base64
import bz2
import itertools
import json
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ogive.bench import hw_nasbench, load, nasbench101, nasbench201, nasbench201_pth, nasbench_graph, nats
from ogive.bench.pickles import load_pickle
from ogive.bench.tfrecord import compute_masked_crc, read_records
from ogive.errors import JobError


def format_cell(operations: tuple[str, ...]) -> str:
    a, b, c, d, e, f = operations
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


# -- NAS-Bench-101 -----------------------------------------------------------------------------------------------------


def test_the_checksum_is_crc32c() -> None:
    crc = compute_masked_crc(b"123456789") - 0xA282EAD8 & 0xFFFFFFFF
    assert (crc << 15 | crc >> 17) & 0xFFFFFFFF == 0xE3069283  # the check value of CRC-32C (RFC 3720, appendix B.4)


@pytest.mark.parametrize(("vertices", "cells"), [(2, 1), (3, 6), (4, 84), (5, 2441)])
def test_the_numbers_of_cells_of_nasbench101_are_the_published_ones(vertices: int, cells: int) -> None:
    assert sum(1 for _ in nasbench101.enumerate_graphs(vertices)) == cells


def encode_double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def encode_message(field: int, body: bytes) -> bytes:
    return bytes([field << 3 | 2, len(body)]) + body


def encode_metrics(seconds: float, valid: float, test: float, parameters: int) -> bytes:
    """`ModelMetrics`: evaluations at the start, half-way and at the end, and the number of parameters as a varint."""
    ends = [(0.0, 0.1, 0.1), (seconds / 2, valid / 2, test / 2), (seconds, valid, test)]
    evaluations = b"".join(
        encode_message(
            1,
            encode_double(1, 0.0)
            + encode_double(2, s)
            + encode_double(3, 1.0)
            + encode_double(4, v)
            + encode_double(5, t),
        )
        for s, v, t in ends
    )
    low, high = parameters & 0x7F | 0x80, parameters >> 7
    return evaluations + bytes([2 << 3, low, high])


def write_records(path: Path, bodies: list[bytes]) -> Path:
    with path.open("wb") as file:
        for body in bodies:
            head = struct.pack("<Q", len(body))
            file.write(
                head + struct.pack("<I", compute_masked_crc(head)) + body + struct.pack("<I", compute_masked_crc(body))
            )
    return path


def encode_record(name: str, epochs: int, matrix: str, operations: str, body: bytes) -> bytes:
    return json.dumps([name, epochs, matrix, operations, base64.b64encode(body).decode()]).encode()


def test_the_published_format_of_nasbench101(tmp_path: Path) -> None:
    line, skip = "010001000", "0100"
    bodies = []
    for epochs, factor in ((4, 0.5), (108, 1.0)):
        for repeat in range(3):
            body = encode_metrics(10.0 * epochs, factor * (0.9 + repeat / 100), factor * 0.88, 8500)
            bodies.append(encode_record("abc", epochs, line, "input,conv3x3-bn-relu,output", body))
            bodies.append(
                encode_record("def", epochs, skip, "input,output", encode_metrics(1.0 * epochs, factor * 0.5, 0.4, 300))
            )
    path = write_records(tmp_path / "nasbench.tfrecord", bodies)
    table = nasbench101.read(path)
    assert (table.size, table.repetitions, table.levels) == (2, 3, (4, 108))
    # an architecture of seven vertices whose only path is input, conv3x3, output; all other vertices are pruned
    choices: dict[str, Any] = {f"edge{i}-{j}": 0 for i, j in nasbench101.PAIRS}
    choices |= {f"operation{v}": "maxpool3x3" for v in range(1, 6)}
    choices |= {"edge0-4": 1, "edge4-6": 1, "operation4": "conv3x3-bn-relu", "edge0-2": 1}
    architecture = table.space.architecture(choices)
    (result,) = table.evaluate(architecture, {"epochs": 108}, seed=1)
    assert result.metrics["accuracy"] == pytest.approx(91.0)
    assert result.seconds == 1080
    assert table.truth(architecture)["test_accuracy"] == pytest.approx(88.0)
    assert table.screen(architecture) == {"parameters": 8500}
    with pytest.raises(JobError, match="has 2 cells, but NAS-Bench-101 has 423,624"):
        nasbench101.load(path)


@pytest.mark.parametrize(
    ("matrix", "operations", "body", "message"),
    [
        (
            "010001000",
            "input,conv9x9,output",
            encode_metrics(1.0, 0.9, 0.9, 300),
            "'input,conv9x9,output' do not describe a cell",
        ),
        ("0100", "input,conv3x3-bn-relu,output", encode_metrics(1.0, 0.9, 0.9, 300), "do not describe a cell"),
        ("0100", "input,output", b"\xff", "a protocol-buffer message is truncated"),
        ("0100", "input,output", b"", "the record contains no evaluation"),
    ],
)
def test_an_invalid_record_is_reported_with_its_file(
    tmp_path: Path, matrix: str, operations: str, body: bytes, message: str
) -> None:
    path = write_records(tmp_path / "wrong.tfrecord", [encode_record("abc", 108, matrix, operations, body)])
    with pytest.raises(JobError, match=f"wrong.tfrecord: a record is not one of NAS-Bench-101: .*{message}"):
        nasbench101.read(path)


def test_a_damaged_tfrecord_file_is_an_error(tmp_path: Path) -> None:
    path = write_records(tmp_path / "x.tfrecord", [b"[1]", b"[2]"])
    assert list(read_records(path)) == [b"[1]", b"[2]"]
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(JobError, match="record 2 is truncated"):
        list(read_records(path))
    path.write_bytes(b"this is no TFRecord file at all")
    with pytest.raises(JobError, match="record 1 has a wrong checksum"):
        list(read_records(path))


# -- NATS-Bench --------------------------------------------------------------------------------------------------------


def make_nats_cell(accuracy: float) -> dict[str, Any]:
    """The results of a cell as in the state dicts of NATS-Bench: two seeds of three epochs."""

    def run(seed: int) -> dict[str, Any]:
        accuracies = {f"x-valid@{e}": accuracy * (e + 1) / 3 + seed / 1000 for e in range(3)}
        accuracies |= {f"ori-test@{e}": accuracy * (e + 1) / 3 - 1 for e in range(3)}
        times = OrderedDict((e, np.float64(2.0)) for e in range(3))
        return {"epochs": 3, "seed": seed, "eval_acc1es": accuracies, "train_times": times, "net_state_dict": None}

    runs = {("cifar10-valid", seed): run(seed) for seed in (777, 888)}
    return {"200": {"all_results": runs, "dataset_seed": {"cifar10-valid": [777, 888]}, "arch_index": 0}}


def write_small_nats(tmp_path: Path) -> tuple[Path, list[tuple[str, ...]]]:
    cells = [(op, "none", "none", "skip_connect", "none", "nor_conv_3x3") for op in nasbench201.OPERATIONS[:3]]
    folder = tmp_path / "NATS-tss-v1_0-simple"
    folder.mkdir()
    (folder / "meta.pickle.pbz2").write_bytes(
        bz2.compress(pickle.dumps({"meta_archs": [format_cell(c) for c in cells]}))
    )
    for number in range(len(cells)):
        content = pickle.dumps(make_nats_cell(60.0 + 10 * number), protocol=4)
        (folder / f"{number:06d}.pickle.pbz2").write_bytes(bz2.compress(content))
    return folder, cells


def test_the_published_formats_of_nats_bench(tmp_path: Path) -> None:
    folder, cells = write_small_nats(tmp_path)
    table = nats.read(folder)
    assert (table.size, table.repetitions, table.levels) == (3, 2, (1, 2, 3))
    architecture = table.space.architecture(dict(zip(nasbench201.EDGES, cells[2], strict=True)))
    results = list(table.evaluate(architecture, {"epochs": 3}, seed=0))
    assert [item.metrics["accuracy"] for item in results] == pytest.approx([80 / 3 + 0.777, 160 / 3 + 0.777, 80.777])
    assert [item.seconds for item in results] == [2.0, 2.0, 2.0]
    assert table.truth(architecture)["test_accuracy"] == pytest.approx(79.0)
    single_file = {
        "meta_archs": [format_cell(c) for c in cells],
        "arch2infos": {n: make_nats_cell(60.0 + 10 * n) for n in range(3)},
        "evaluated_indexes": {0, 1, 2},
    }
    path = tmp_path / "NATS-tss.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps(single_file)))
    assert nats.read(path).fingerprint == table.fingerprint
    with pytest.raises(JobError, match="no training '12'"):
        load(f"nats:path={folder},hp=12")
    with pytest.raises(JobError, match="15622 of 15625 architectures have no row"):
        load(f"nats:path={folder},hp=200")


def test_nats_bench_needs_test_accuracies_after_the_last_epoch_only(tmp_path: Path) -> None:
    folder, _ = write_small_nats(tmp_path)
    for file in folder.glob("0*.pbz2"):
        cell = pickle.loads(bz2.decompress(file.read_bytes()))
        for run in cell["200"]["all_results"].values():
            del run["eval_acc1es"]["ori-test@0"]
        file.write_bytes(bz2.compress(pickle.dumps(cell)))
    assert nats.read(folder).levels == (1, 2, 3)
    del run["eval_acc1es"]["ori-test@2"]
    file.write_bytes(bz2.compress(pickle.dumps(cell)))
    with pytest.raises(JobError, match="no test accuracy after the last epoch"):
        nats.read(folder)


# -- NAS-Bench-201 as first published ----------------------------------------------------------------------------------

EVALUATED = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
}
"""The splits on which NAS-Bench-201 evaluates after each epoch, by data set (two of its three data sets)."""
CELLS = [(op, "none", "none", "skip_connect", "none", "nor_conv_3x3") for op in nasbench201.OPERATIONS[:3]]


def make_results_count(data: str, seed: int, epochs: int, accuracy: float) -> dict[str, Any]:
    """A training as in `ResultsCount.state_dict` of the authors' code; `accuracy` is reached in equal steps."""
    level = {"x-valid": 0.0, "x-test": -1.0, "ori-test": -2.0}
    keys = [(f"{split}@{e}", split, e) for split in EVALUATED[data] for e in range(epochs)]
    return {
        "name": data,
        "net_state_dict": None,
        "train_acc1es": dict.fromkeys(range(epochs), 50.0),
        "train_acc5es": dict.fromkeys(range(epochs), 90.0),
        "train_losses": dict.fromkeys(range(epochs), 1.0),
        "train_times": OrderedDict((e, 2.0) for e in range(epochs)),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": "", "class_num": 10},
        "params": np.float64(0.3),
        "flop": np.float64(47.0),
        "seed": str(seed),
        "epochs": epochs,
        "latency": [0.013],
        "eval_names": list(EVALUATED[data]),
        "eval_acc1es": {key: accuracy * (e + 1) / epochs + level[split] for key, split, e in keys},
        "eval_times": {key: 0.5 for key, _, _ in keys},
        "eval_losses": {key: 1.0 for key, _, _ in keys},
    }


def make_arch_results(number: int, epochs: int, accuracies: dict[str, dict[int, float]]) -> dict[str, Any]:
    """The trainings of a cell as in `ArchResults.state_dict`; `accuracies` are by data set and seed."""
    return {
        "arch_index": number,
        "arch_str": format_cell(CELLS[number]),
        "all_results": {
            (data, seed): make_results_count(data, seed, epochs, accuracy)
            for data, seeds in accuracies.items()
            for seed, accuracy in seeds.items()
        },
        "dataset_seed": {data: sorted(seeds) for data, seeds in accuracies.items()},
        "clear_net_done": True,
    }


def make_first_published() -> dict[str, Any]:
    """Three cells, the first trained with one seed only; `less` has CIFAR-10 only, as in v1.0."""
    full = [
        {"cifar10-valid": {777: 60.0}, "cifar10": {777: 99.0}, "cifar100": {777: 30.0}},
        {"cifar10-valid": {777: 70.0, 888: 76.0}, "cifar10": {777: 99.0}, "cifar100": {777: 40.0}},
        {"cifar10-valid": {888: 80.0, 777: 81.0, 999: 88.0}, "cifar10": {777: 99.0}, "cifar100": {777: 50.0}},
    ]
    return {
        "meta_archs": [format_cell(cell) for cell in CELLS],
        "total_archs": len(CELLS),
        "arch2infos": {
            number: {
                "full": make_arch_results(number, 4, accuracies),
                "less": make_arch_results(number, 2, {"cifar10-valid": {777: 20.0 + number}}),
            }
            for number, accuracies in enumerate(full)
        },
        "evaluated_indexes": [0, 1, 2],
    }


def save_with_torch(content: Any, tmp_path: Path, legacy: bool = True) -> Path:
    """Save with PyTorch, in the format of the versions before 1.6 (that of the published files) or in today's."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "NAS-Bench-201.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    if legacy:  # the module of NumPy had another name
        path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    return path


@pytest.mark.parametrize("legacy", [True, False])
def test_the_first_published_format_of_nasbench201(tmp_path: Path, legacy: bool) -> None:
    table = nasbench201_pth.read(save_with_torch(make_first_published(), tmp_path, legacy))
    assert (table.size, table.levels, table.repetitions) == (3, (1, 2, 3, 4), 6)
    cells = [table.space.architecture(dict(zip(nasbench201.EDGES, cell, strict=True))) for cell in CELLS]
    truths = [table.truth(cell) for cell in cells]
    assert [truth["accuracy"] for truth in truths] == pytest.approx([60, 73, 83]), "means over each cell's trainings"
    assert [truth["test_accuracy"] for truth in truths] == pytest.approx([58, 71, 81])
    results = list(table.evaluate(cells[2], {"epochs": 4}, seed=1))
    assert [item.metrics for item in results] == [{"accuracy": pytest.approx(20.0 * n)} for n in (1, 2, 3, 4)]
    assert [item.seconds for item in results] == [2.0] * 4


def test_trainings_of_12_epochs_and_other_data_sets_of_the_first_publication(tmp_path: Path) -> None:
    path = save_with_torch(make_first_published(), tmp_path)
    short_trainings, other = nasbench201_pth.read(path, hp="12"), nasbench201_pth.read(path, "cifar100")
    cell = short_trainings.space.architecture(dict(zip(nasbench201.EDGES, CELLS[2], strict=True)))
    assert (short_trainings.levels, dict(short_trainings.truth(cell))) == (
        (1, 2),
        {"accuracy": 22.0, "test_accuracy": 20.0},
    )
    assert (other.levels, dict(other.truth(cell))) == ((1, 2, 3, 4), {"accuracy": 50.0, "test_accuracy": 49.0})
    with pytest.raises(JobError, match=r"~2\| has no training '12' on 'cifar100'; the data sets are cifar10-valid"):
        nasbench201_pth.read(path, "cifar100", "12")
    with pytest.raises(JobError, match="15622 of 15625 architectures have no row"):
        load(f"nasbench201-pth:path={path},hp=200")
    with pytest.raises(JobError, match="hp='90': NAS-Bench-201 has trainings of 12 and 200 epochs"):
        load(f"nasbench201-pth:path={path},hp=90")
    with pytest.raises(JobError, match=r"data='cifar': NAS-Bench-201.pth has cifar10, cifar100, ImageNet16-120"):
        load(f"nasbench201-pth:path={path},data=cifar")


def test_trainings_without_times_and_early_validation_have_one_level(tmp_path: Path) -> None:
    content = make_first_published()
    run = content["arch2infos"][1]["full"]["all_results"]["cifar100", 777]
    run["train_times"], run["eval_times"] = None, {}
    for key in [f"{split}@{e}" for split in ("x-valid", "x-test") for e in range(3)]:
        del run["eval_acc1es"][key], run["eval_losses"][key]
    table = nasbench201_pth.read(save_with_torch(content, tmp_path), "cifar100")
    assert table.levels == (4,)
    assert table.full_seconds == 4, "one second per epoch for all, not a mixture of measured and assumed times"
    assert "some trainings were not timed" in table.source


def remove_part(content: dict[str, Any]) -> None:
    del content["arch2infos"]


def duplicate_name(content: dict[str, Any]) -> None:
    content["meta_archs"][2] = content["meta_archs"][0]


def remove_name(content: dict[str, Any]) -> None:
    del content["meta_archs"][2]


def remove_seed(content: dict[str, Any]) -> None:
    del content["arch2infos"][1]["full"]["all_results"]["cifar10-valid", 888]


def remove_curve(content: dict[str, Any]) -> None:
    del content["arch2infos"][1]["full"]["all_results"]["cifar10-valid", 888]["eval_acc1es"]


def remove_validation(content: dict[str, Any]) -> None:
    for info in content["arch2infos"].values():
        for run in info["full"]["all_results"].values():
            run["eval_acc1es"] = {}


def remove_training(content: dict[str, Any]) -> None:
    del content["arch2infos"][1]["full"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            remove_part,
            "which has meta_archs and arch2infos; the file contains meta_archs, total_archs",
        ),
        (duplicate_name, "rows 1 and 3 have the same architecture"),
        (remove_name, "is not the table of NAS-Bench-201: IndexError"),
        (remove_seed, r"skip_connect~0\|.* lists seed 888 on 'cifar10-valid', but has no result of it"),
        (remove_curve, "have another format: KeyError\\('eval_acc1es'"),
        (remove_validation, "there is no epoch after which every cell has a validation accuracy on 'cifar10-valid'"),
        (remove_training, r"skip_connect~0\|.* has no training '200'; the trainings are 12"),
    ],
)
def test_damaged_files_of_nasbench201_are_errors(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = make_first_published()
    damage(content)
    with pytest.raises(JobError, match=message):
        nasbench201_pth.read(save_with_torch(content, tmp_path))


@pytest.mark.parametrize("legacy", [True, False])
def test_saved_files_that_run_code_or_are_truncated_are_not_loaded(tmp_path: Path, legacy: bool) -> None:
    with pytest.raises(JobError, match=r"requests (posix|os)\.system"):
        nasbench201_pth.read(save_with_torch({"meta_archs": Trap()}, tmp_path, legacy))
    torch = pytest.importorskip("torch")
    with pytest.raises(JobError, match=r"requests torch\._utils\._rebuild_tensor_v2"):
        nasbench201_pth.read(save_with_torch({"net_state_dict": {"weight": torch.ones(2)}}, tmp_path, legacy))
    path = save_with_torch(make_first_published(), tmp_path, legacy)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(JobError, match=r"NAS-Bench-201\.pth: (cannot be read|is not a file of torch\.save)"):
        nasbench201_pth.read(path)


@pytest.mark.parametrize(
    "content", [b"", b"architecture,accuracy\n", pickle.dumps({"meta_archs": []}), pickle.dumps(7) * 4]
)
def test_other_files_are_not_read_as_files_of_pytorch(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(JobError, match=r"other\.pth: is not a file of torch\.save"):
        nasbench201_pth.read(path)
    with pytest.raises(JobError, match=r"nowhere\.pth: cannot be read: .*No such file"):
        nasbench201_pth.read(tmp_path / "nowhere.pth")


# -- NAS-Bench-201 as a CSV --------------------------------------------------------------------------------------------


def write_cells(change: dict[int, str], tmp_path: Path) -> Path:
    """All 15,625 cells with an accuracy; `change` replaces lines by number."""
    all_cells = itertools.product(nasbench201.OPERATIONS, repeat=6)
    lines = ["architecture,accuracy", *(f"{format_cell(ops)},{n % 97}" for n, ops in enumerate(all_cells))]
    path = tmp_path / "cells.csv"
    path.write_text("\n".join(change.get(number, line) for number, line in enumerate(lines, 1) if line) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({9: format_cell(("none",) * 6) + ",good"}, r"line 9, column 'accuracy': 'good' is not a number"),
        ({9: format_cell(("none",) * 6)}, r"line 9, column 'accuracy': '' is not a number"),
        ({9: "|none~0|,1"}, r"line 9: '\|none~0\|' does not describe a cell"),
        ({9: format_cell(("none",) * 6) + ",1"}, "rows 1 and 8 have the same architecture"),
        ({9: ""}, "has 15624 rows, but NAS-Bench-201 has 15625 cells"),
    ],
)
def test_an_invalid_row_of_the_cells_is_named(tmp_path: Path, change: dict[int, str], message: str) -> None:
    with pytest.raises(JobError, match=message):
        nasbench201.load(write_cells(change, tmp_path), "accuracy")


def write_cells_with_latency(tmp_path: Path) -> Path:
    all_cells = list(itertools.product(nasbench201.OPERATIONS, repeat=6))
    lines = [
        "architecture,accuracy,latency",
        *(f"{format_cell(ops)},{n % 97},{n % 1000}" for n, ops in enumerate(all_cells)),
    ]
    path = tmp_path / "latency.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_second_column_is_an_objective_or_a_constraint_known_before_or_after_training(tmp_path: Path) -> None:
    path = write_cells_with_latency(tmp_path)
    both = nasbench201.load(path, "accuracy", second="latency")
    assert [(o.metric, o.goal) for o in both.objectives] == [("error", "minimize"), ("latency", "minimize")]
    latencies = [n % 1000 for n in range(15_625)]
    assert both.reference == (20.0, pytest.approx(np.quantile(latencies, 0.9)))
    cell = both.space.architecture(dict.fromkeys(nasbench201.EDGES, "avg_pool_3x3"))  # the last of all
    assert both.truth(cell) == {"error": 100 - 15_624 % 97, "latency": 624}
    before = nasbench201.load(path, "accuracy", second="latency", at_most=30)
    after = nasbench201.load(path, "accuracy", second="latency", at_most=30, screened=False)
    assert [(c.hard, dict(t.screen(cell))) for t in (before, after) for c in t.constraints] == [
        (True, {"latency": 624}),
        (False, {}),
    ]
    assert before.bounds == after.bounds


def test_a_bound_without_its_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="at_most=30 bounds the column `second`"):
        nasbench201.load(write_cells({}, tmp_path), "accuracy", at_most=30)


class Trap:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/this-must-not-happen",)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_runs_code_is_not_loaded(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "table.pickle"
    path.write_bytes(pickle.dumps({"nasbench201": Trap()}, protocol=protocol))
    with pytest.raises(JobError, match=r"requests (posix|os)\.system"), path.open("rb") as file:
        load_pickle(file, path)
    with pytest.raises(JobError, match="system"):
        hw_nasbench.read_measurements(path)


def test_the_published_format_of_hw_nas_bench(tmp_path: Path) -> None:
    cells = [(op, *["nor_conv_1x1"] * 5) for op in nasbench201.OPERATIONS]
    table = {
        "config": [
            {"name": "infer.tiny", "C": 16, "N": 5, "arch_str": format_cell(c), "num_classes": 10} for c in cells
        ],
        "edgegpu_latency": [np.float64(5.5 + n) for n in range(5)],
        "fpga_energy": np.arange(5.0),
    }
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps({"nasbench201": {"cifar10": table}}))
    measured = hw_nasbench.read_measurements(path)
    assert measured[cells[3]] == {"edgegpu_latency": 8.5, "fpga_energy": 3.0}


def test_measurements_of_hw_nas_bench_are_added_to_the_accuracies_of_the_same_cells(tmp_path: Path) -> None:
    all_cells = list(itertools.product(nasbench201.OPERATIONS, repeat=6))
    order = (
        np.random.default_rng(0).permutation(len(all_cells)).tolist()
    )  # the rows of the two files have different orders
    table = {
        "config": [{"arch_str": format_cell(all_cells[n])} for n in order],
        "edgegpu_latency": [float(n) for n in order],
    }
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps({"nasbench201": {"cifar10": table}}))
    lines = [
        "architecture,cifar10_test_accuracy_full_training",
        *(f"{format_cell(all_cells[n])},{n / 200}" for n in order[::-1]),
    ]
    (tmp_path / "accuracies.csv").write_text("\n".join(lines) + "\n")
    problem = load(f"hw-nasbench:path={path},accuracies={tmp_path}/accuracies.csv")
    for n in (0, 7, 9_999, 15_624):
        cell = problem.space.architecture(dict(zip(nasbench201.EDGES, all_cells[n], strict=True)))
        assert problem.truth(cell) == {"error": pytest.approx(100 - n / 200), "edgegpu_latency": n}
        assert problem.screen(cell) == {"edgegpu_latency": n}
    path.write_bytes(pickle.dumps({"nasbench201": {"cifar10": {**table, "config": table["config"][2:]}}}))
    with pytest.raises(JobError, match="has no measurements of 2 cells, such as"):
        load(f"hw-nasbench:path={path},accuracies={tmp_path}/accuracies.csv")


# -- packages ----------------------------------------------------------------------------------------------------------


def test_analog_nasbench_has_another_order_of_edges() -> None:
    if find_spec("analognasbench") is None:
        pytest.skip("analog-nasbench is not installed")
    table = nasbench201.load_analog()
    best = dict(zip(nasbench201.EDGES, table.best()[0], strict=True))
    # the best cell of the condensed table, and its highest and lowest accuracy
    assert list(best.values()) == ["nor_conv_3x3"] * 3 + ["skip_connect", "nor_conv_1x1", "nor_conv_3x3"]
    assert table.bounds["accuracy"] == (94.0664, 10.0)
    with pytest.raises(JobError, match="no metric 'digital'; the metrics are analog_accuracy"):
        nasbench201.load_analog("digital")


def test_nasbench_graph_has_the_equivalences_of_its_authors() -> None:
    pytest.importorskip("nas_bench_graph")
    from nas_bench_graph.architecture import Arch

    table = nasbench_graph.load("cora").check_complete()
    assert table.size == 26_206
    for number, architecture in enumerate(table.space.grid()):
        if number % 7:
            continue
        operations = [architecture[f"operation{node}"] for node in range(1, 5)]
        code = Arch([int(link) for link in str(architecture["links"])], operations).valid_hash()
        assert nasbench_graph._decode_key(code, Path("x")) == nasbench_graph.make_key(architecture), dict(architecture)
    assert nasbench_graph.load("proteins").size == 2_021
