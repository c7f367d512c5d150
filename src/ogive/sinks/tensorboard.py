"""TensorBoard: a run called `search` with the best so far, and one for each trial with its curves and hyperparameters.

Written with TensorBoard's own records; neither TensorFlow nor PyTorch is needed. Look at it with
`tensorboard --logdir RUN/sinks/tensorboard`. TensorBoard keeps 32-bit numbers.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ogive.errors import MissingExtra
from ogive.run.events import Event, Kind
from ogive.sinks.base import Entry, OwnFolder, Sink
from ogive.sinks.rows import AT_REST, best_values, parameters, tags
from ogive.space import Space

SEARCH = "search"


class TensorBoard(Sink):
    """Writes event files below the folder `path`.

    In `search`, `best/METRIC`, `failed` and `trials` are drawn over the number of times that a trial came to rest; with
    several objectives `best` is the end of the front in each, and `front` the number of trials on it.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    name = "tensorboard"

    def __init__(self, folder: Path, path: str = "tensorboard") -> None:
        try:
            import tensorboard.summary.writer.record_writer  # noqa: F401
        except ImportError:
            raise MissingExtra("tensorboard", "tensorboard", "the sink 'tensorboard'") from None
        self._folder = OwnFolder(folder / path, "events.out.tfevents.*")
        self.place = str(folder / path)
        self._file = ""
        self._waiting: dict[str, list[tuple[float, int, Any]]] = defaultdict(list)
        self._seq = 0

    def open(self, created: Event) -> int:
        self._file = f"events.out.tfevents.{int(created.time)}.ogive"
        self._seq = self._folder.open(created)
        if self._seq == 0:
            self._put(SEARCH, created.time, 0, _experiment(created))
        return self._seq

    def write(self, entry: Entry) -> None:
        event, trial = entry.event, entry.trial
        self._seq = event.seq
        if trial is not None:
            name = f"trial-{trial.id:06d}"
            if event.kind is Kind.PROPOSED:
                self._put(name, event.time, 0, _hyperparameters(parameters(trial), name, event.time))
            elif event.kind is Kind.REPORTED:
                self._scalars(name, event, event.step or 0, event.data["metrics"])
            if event.kind in AT_REST:
                words = ", ".join(f"{key}: {value}" for key, value in tags(trial).items())
                self._put(name, event.time, trial.step, _text("trial", words))
        if event.kind in AT_REST:
            self._progress(entry)
        elif event.kind in (Kind.WARNING, Kind.ALERT, Kind.ENDED):
            words = str(event.data.get("message") or event.data.get("why", ""))
            self._put(SEARCH, event.time, entry.rests, _text(event.kind.value, words))

    def _progress(self, entry: Entry) -> None:
        best = best_values(entry.best, entry.state.objectives)
        values = {f"best/{metric}": value for metric, value in best.items()}
        if len(entry.state.objectives) > 1:
            values["front"] = float(len(entry.best))
        values |= {"failed": float(entry.state.failed), "trials": float(len(entry.state.trials))}
        self._scalars(SEARCH, entry.event, entry.rests, values)

    def _scalars(self, name: str, event: Event, step: int, values: Any) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for metric, value in values.items():
            self._put(name, event.time, step, scalar_pb(metric, value))

    def _put(self, name: str, time: float, step: int, summary: Any) -> None:
        self._waiting[name].append((time, step, summary))

    def flush(self) -> None:
        for name, records in self._waiting.items():
            path = self._folder.path / name / self._file
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(_records(records, begin=file.tell() == 0))
        self._waiting.clear()

    def close(self) -> None:
        self.flush()
        self._folder.close(self._seq)


def _records(summaries: Iterable[tuple[float, int, Any]], begin: bool) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event as Record
    from tensorboard.summary.writer.record_writer import RecordWriter

    target = io.BytesIO()
    writer = RecordWriter(target)
    for time, step, summary in summaries:
        if begin:
            writer.write(Record(wall_time=time, file_version="brain.Event:2").SerializeToString())
            begin = False
        writer.write(Record(wall_time=time, step=step, summary=summary).SerializeToString())
    return target.getvalue()


def _text(tag: str, words: str) -> Any:
    from tensorboard.plugins.text.summary_v2 import text_pb

    return text_pb(tag, words)


def _hyperparameters(values: Any, trial: str, time: float) -> Any:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return hparams_pb(values, trial_id=trial, start_time_secs=time)


def _experiment(created: Event) -> Any:
    """What the page of hyperparameters has as columns: the decisions, and the metrics of the objectives."""
    from tensorboard.plugins.hparams.summary_v2 import HParam, Metric, hparams_config_pb

    decisions = Space.from_json(created.data["space"]).decisions
    metrics = [Metric(item["metric"]) for item in created.data["objectives"]]
    return hparams_config_pb([HParam(d.name) for d in decisions], metrics, time_created_secs=created.time)
