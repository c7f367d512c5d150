"""Readers of the files of the sinks; those of other tools where they have one."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import Any


def jsonl(folder: Path, run: str) -> Any:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def tables(folder: Path, run: str) -> Any:
    rows = {}
    for name in ("trials", "reports"):
        with (folder / "csv" / f"{name}.csv").open(newline="") as file:
            rows[name] = list(csv.DictReader(file))
    return rows


def tensorboard(folder: Path, run: str) -> Any:
    """Return, for each run and tag, all events of the event files, duplicates included."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    events: dict[str, list[Any]] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                plugin = value.metadata.plugin_data.content.hex()
                tensor = str(value.tensor)
                events.setdefault(f"{path.parent.name}/{value.tag}", []).append(
                    (event.step, event.wall_time, tensor, plugin)
                )
    return events


def mlflow(folder: Path, run: str) -> Any:
    """Return, for each run of the search, tags, parameters, the history of each metric, status and times."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("ogive")
    runs = {}
    for item in client.search_runs([experiment.experiment_id], f"tags.`ogive.run` = '{run}'"):
        tags = {key: value for key, value in item.data.tags.items() if key != "mlflow.parentRunId"}
        history = {
            key: [(m.step, m.timestamp, repr(m.value)) for m in client.get_metric_history(item.info.run_id, key)]
            for key in item.data.metrics
        }
        times = item.info.start_time, item.info.end_time
        name = tags["ogive.trial"]
        assert name not in runs, f"there are two runs of trial {name}"
        runs[name] = (tags, item.data.params, history, item.info.status, times)
    return runs


VARYING = ("_runtime", "_timestamp", "trials_table/")
"""Keys whose values differ between two runs of the same search: times, and the path of the table."""


def wandb(folder: Path, run: str) -> Any:
    """Return the rows of the history, the configuration, the summary and the table, from the transaction log of the run."""
    from wandb.proto.wandb_internal_pb2 import Record

    (log,) = (folder / "wandb" / "wandb").glob("offline-run-*/*.wandb")
    rows, config, summary = [], {}, {}
    for data in _records(log.read_bytes()):
        record = Record.FromString(data)
        if record.HasField("history"):
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            rows.append({key: value for key, value in sorted(row.items()) if not key.startswith(VARYING)})
        for item in record.run.config.update if record.HasField("run") else ():
            config[item.key] = json.loads(item.value_json)
        for item in record.summary.update if record.HasField("summary") else ():
            summary[item.key or "/".join(item.nested_key)] = item.value_json
    config.pop("_wandb", None)
    return repr((rows, config, summary.get("ended"), summary.get("best_trials"), _table(log.parent)))


def _table(folder: Path) -> Any:
    tables = [json.loads(path.read_text()) for path in (folder / "files" / "media" / "table").glob("trials_table_*")]
    return [(table["columns"], table["data"]) for table in tables]


def _records(data: bytes) -> Any:
    """Yield the records of a LevelDB log: blocks of 32 KiB, a header of 7 bytes for the file and for each chunk."""
    block, position, record = 32768, 7, b""
    while position + 7 <= len(data):
        if block - position % block < 7:
            position += block - position % block
            continue
        _, size, kind = struct.unpack_from("<IHB", data, position)
        if kind == 0:
            return
        chunk = data[position + 7 : position + 7 + size]
        position += 7 + size
        record = chunk if kind in (1, 2) else record + chunk
        if kind in (1, 4):
            yield record


READERS = {"jsonl": jsonl, "csv": tables, "tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
