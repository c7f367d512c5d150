"""The sink `tensorboard`: a TensorBoard run `search` with the best values so far, and a run for each trial.

The run of a trial has its curves and hyperparameters. The files are written in the format of TensorBoard, so neither
TensorFlow nor PyTorch is needed. `tensorboard --logdir RUN/sinks/tensorboard` shows them. TensorBoard stores numbers with 32
bits.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ogive.errors import MissingExtra
from ogive.run.events import Event, Kind
from ogive.sinks.base import Entry, Sink, SinkFolder
from ogive.sinks.rows import RESULT_KINDS, best_values, decisions_and_settings, tags
from ogive.space import Space

SEARCH = "search"


class TensorBoard(Sink):
    """Writes event files below the folder `path`.

    In the run `search`, the step of `best/METRIC`, `failed` and `trials` is the number of times that a trial has ended or
    was paused. With several objectives, `best/METRIC` is the best value of each objective on the Pareto front, and `front`
    is the size of the front.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    name = "tensorboard"

    def __init__(self, folder: Path, path: str = "tensorboard") -> None:
        try:
            import tensorboard.summary.writer.record_writer  # noqa: F401
        except ImportError:
            raise MissingExtra("tensorboard", "tensorboard", "the sink 'tensorboard'") from None
        self._folder = SinkFolder(folder / path, "events.out.tfevents.*")
        self.target = str(folder / path)
        self._file = ""  # the name of the event file in the folder of each TensorBoard run
        # Buffered until `flush`, by the name of the TensorBoard run: the time, step and content of each record.
        self._buffer: dict[str, list[tuple[float, int, Any]]] = defaultdict(list)
        self._seq = 0

    def open(self, created: Event) -> int:
        self._file = f"events.out.tfevents.{int(created.time)}.ogive"
        self._seq = self._folder.open(created)
        if self._seq == 0:
            self._add(SEARCH, created.time, 0, _experiment(created))
        return self._seq

    def write(self, entry: Entry) -> None:
        event, trial = entry.event, entry.trial
        self._seq = event.seq
        if trial is not None:
            name = f"trial-{trial.id:06d}"
            if event.kind is Kind.PROPOSED:
                self._add(name, event.time, 0, _hyperparameters(decisions_and_settings(trial), name, event.time))
            elif event.kind is Kind.REPORTED:
                self._add_scalars(name, event, event.step or 0, event.data["metrics"])
            if event.kind in RESULT_KINDS:
                text = ", ".join(f"{key}: {value}" for key, value in tags(trial).items())
                self._add(name, event.time, trial.step, _text("trial", text))
        if event.kind in RESULT_KINDS:
            self._add_progress(entry)
        elif event.kind in (Kind.WARNING, Kind.ALERT, Kind.ENDED):
            text = str(event.data.get("message") or event.data.get("why", ""))
            self._add(SEARCH, event.time, entry.inactive_count, _text(event.kind.value, text))

    def _add_progress(self, entry: Entry) -> None:
        best = best_values(entry.best, entry.state.objectives)
        values = {f"best/{metric}": value for metric, value in best.items()}
        if len(entry.state.objectives) > 1:
            values["front"] = float(len(entry.best))
        values |= {"failed": float(entry.state.failed_count), "trials": float(len(entry.state.trials))}
        self._add_scalars(SEARCH, entry.event, entry.inactive_count, values)

    def _add_scalars(self, name: str, event: Event, step: int, values: Any) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for metric, value in values.items():
            self._add(name, event.time, step, scalar_pb(metric, value))

    def _add(self, name: str, time: float, step: int, summary: Any) -> None:
        self._buffer[name].append((time, step, summary))

    def flush(self) -> None:
        for name, records in self._buffer.items():
            path = self._folder.path / name / self._file
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(_encode(records, with_header=file.tell() == 0))
        self._buffer.clear()

    def close(self) -> None:
        self.flush()
        self._folder.close(self._seq)


def _encode(summaries: Iterable[tuple[float, int, Any]], with_header: bool) -> bytes:
    """Return summaries as TensorBoard's records; a new file begins with a header that names the format."""
    from tensorboard.compat.proto.event_pb2 import Event as Record
    from tensorboard.summary.writer.record_writer import RecordWriter

    target = io.BytesIO()
    writer = RecordWriter(target)
    for time, step, summary in summaries:
        if with_header:
            writer.write(Record(wall_time=time, file_version="brain.Event:2").SerializeToString())
            with_header = False
        writer.write(Record(wall_time=time, step=step, summary=summary).SerializeToString())
    return target.getvalue()


def _text(tag: str, text: str) -> Any:
    from tensorboard.plugins.text.summary_v2 import text_pb

    return text_pb(tag, text)


def _hyperparameters(values: Any, trial: str, time: float) -> Any:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return hparams_pb(values, trial_id=trial, start_time_secs=time)


def _experiment(created: Event) -> Any:
    """Return the columns of the HParams page: the decisions, and the metrics of the objectives."""
    from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb

    decisions = Space.from_json(created.data["space"]).decisions
    metrics = [Metric(item["metric"]) for item in created.data["objectives"]]
    return hparams_config_pb([HParam(d.name) for d in decisions], metrics, time_created_secs=created.time)
