"""MLflow: a parent run for the search, and a nested run for each trial with its parameters, metrics per step and tags.

By default the store is a database file in the run's folder, or what MLFLOW_TRACKING_URI names. Open the file with
`mlflow ui --backend-store-uri sqlite:///RUN/sinks/mlflow.db`. Characters that MLflow does not allow in names become `_`.

Metrics have the times of the journal. MLflow keeps one value for each metric, step and time, so a metric that is sent twice
after a crash is stored once.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from ogive.errors import MissingExtra
from ogive.run.events import Event, Kind
from ogive.sinks.base import Entry, Sink, run_identity
from ogive.sinks.rows import RESULT_KINDS, NameMapping, best_values, decisions_and_settings, tags
from ogive.trial import Trial, TrialId

SEQ, RUN, TRIAL = "ogive.seq", "ogive.run", "ogive.trial"
"""The tags of an MLflow run: the number of the last event that was sent, the identity of the search, and the number of the
trial ("search" for the parent run).
"""
FORBIDDEN = r"[^\w\-. /]"
"""Matches the characters that MLflow does not allow in names."""
MAX_NAME_LENGTH, MAX_VALUE_LENGTH = 250, 5000
"""MLflow accepts at most this many characters in a name, and in the value of a parameter or a tag."""
MAX_METRICS, MAX_PARAMETERS = 1000, 100
"""MLflow accepts at most this many metrics, and this many parameters, in one batch."""


class MLflow(Sink):
    """Writes to the tracking store at `uri`, in the experiment named `experiment`.

    Raises:
        MissingExtra: MLflow is not installed.
    """

    name = "mlflow"

    def __init__(self, folder: Path, uri: str | None = None, experiment: str = "ogive") -> None:
        os.environ.setdefault(
            "MLFLOW_DISABLE_TELEMETRY", "true"
        )  # a search sends nothing that its user did not ask for
        try:
            import alembic  # noqa: F401 - needed by its databases
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise MissingExtra("mlflow-skinny", "mlflow", "the sink 'mlflow'") from None
        for noisy in ("mlflow.store.db.utils", "alembic"):  # their messages would disturb the live view
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._folder = folder
        self.target = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
        self._make_client = MlflowClient
        self._client: Any = None
        self._experiment = experiment
        self._run = ""  # the identity of the search, a tag of all its MLflow runs
        self._parent = ""  # the id of the MLflow run of the search
        self._trials: dict[TrialId, str] = {}  # the id of the MLflow run of each trial
        self._keys = NameMapping(FORBIDDEN, MAX_NAME_LENGTH)
        # Buffered until `flush`, by the id of the MLflow run: metrics, tags, and the new status with the time of the end in
        # milliseconds (0 if the run has not ended).
        self._metrics: dict[str, list[Any]] = defaultdict(list)
        self._tags: dict[str, dict[str, str]] = defaultdict(dict)
        self._statuses: dict[str, tuple[str, int]] = {}

    def open(self, created: Event) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._client = self._make_client(self.target)
        self._run = run_identity(created)
        experiment = self._client.get_experiment_by_name(self._experiment)
        self._experiment_id = (
            experiment.experiment_id if experiment else self._client.create_experiment(self._experiment)
        )
        parents = self._search(f"tags.`{RUN}` = '{self._run}' and tags.`{TRIAL}` = 'search'")
        if not parents:
            self._parent = self._create_run(self._folder.parent.name, created.time, {TRIAL: "search", SEQ: "0"})
            self._log_parameters(self._parent, _declaration(created))
            return 0
        self._parent = parents[0].info.run_id
        nested = self._search(f"tags.`mlflow.parentRunId` = '{self._parent}'")
        self._trials = {int(run.data.tags[TRIAL]): run.info.run_id for run in nested}
        return int(parents[0].data.tags[SEQ])

    def _search(self, query: str) -> list[Any]:
        """Return all MLflow runs of the experiment that match the query."""
        runs: list[Any] = []
        token: str | None = None
        while True:
            page = self._client.search_runs([self._experiment_id], query, max_results=1000, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def _create_run(self, name: str, time: float, run_tags: dict[str, str]) -> str:
        """Create an MLflow run that starts at `time`, in seconds, and return its id."""
        run = self._client.create_run(
            self._experiment_id, start_time=_milliseconds(time), run_name=name, tags={RUN: self._run, **run_tags}
        )
        return str(run.info.run_id)

    def _log_parameters(self, run: str, values: dict[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(self._keys[name], str(value)[:MAX_VALUE_LENGTH]) for name, value in values.items()]
        for first in range(0, len(params), MAX_PARAMETERS):
            self._client.log_batch(run, params=params[first : first + MAX_PARAMETERS])

    def write(self, entry: Entry) -> None:
        event, trial = entry.event, entry.trial
        self._tags[self._parent][SEQ] = str(event.seq)
        if trial is not None:
            self._write_trial(trial, event)
        if event.kind in RESULT_KINDS:
            best = best_values(entry.best, entry.state.objectives)
            values = {f"best/{metric}": value for metric, value in best.items()}
            values |= {"failed": entry.state.failed_count, "trials": len(entry.state.trials)}
            self._add_metrics(self._parent, values, event, entry.inactive_count)
            if entry.is_improvement:
                numbers = ", ".join(str(trial.id) for trial in entry.best)
                self._tags[self._parent]["ogive.best"] = numbers[:MAX_VALUE_LENGTH]
        elif event.kind is Kind.ENDED:
            self._tags[self._parent]["ogive.ended"] = event.data["why"][:MAX_VALUE_LENGTH]
            self._statuses[self._parent] = "FINISHED", _milliseconds(event.time)
        elif event.kind is Kind.OPENED:
            self._statuses[self._parent] = "RUNNING", 0

    def _write_trial(self, trial: Trial, event: Event) -> None:
        """Buffer what an event changes in the MLflow run of its trial, which is created if it does not exist."""
        if trial.id not in self._trials:
            run_tags = {TRIAL: str(trial.id), "mlflow.parentRunId": self._parent}
            self._trials[trial.id] = self._create_run(f"trial {trial.id}", event.time, run_tags)
        run = self._trials[trial.id]
        if event.kind is Kind.PROPOSED:
            self._log_parameters(run, decisions_and_settings(trial))
            self._add_metrics(run, trial.screened, event, 0)
        elif event.kind is Kind.REPORTED:
            self._add_metrics(run, event.data["metrics"], event, event.step or 0)
        # A trial that has ended without a reason may have a tag with the reason why an earlier attempt ended.
        trial_tags = {f"ogive.{name}": value[:MAX_VALUE_LENGTH] for name, value in tags(trial).items()}
        self._tags[run] |= {"ogive.reason": "", **trial_tags} if trial.status.ended else trial_tags
        if event.kind in RESULT_KINDS and trial.status.ended:
            self._statuses[run] = "FAILED" if trial.status.failed else "FINISHED", _milliseconds(event.time)

    def _add_metrics(self, run: str, values: Any, event: Event, step: int) -> None:
        from mlflow.entities import Metric

        time = _milliseconds(event.time)
        self._metrics[run] += [Metric(self._keys[name], float(value), time, step) for name, value in values.items()]

    def flush(self) -> None:
        """Send all buffered data, the number of the last event at the end: a crash repeats events, but loses none."""
        from mlflow.entities import RunTag

        seq = self._tags[self._parent].pop(SEQ, None)
        for run in dict.fromkeys([*self._metrics, *self._tags]):
            metrics = self._metrics.pop(run, [])
            run_tags = [RunTag(name, value) for name, value in self._tags.pop(run, {}).items()]
            # Send at least one batch, since there may be tags without metrics.
            for first in range(0, max(len(metrics), 1), MAX_METRICS):
                self._client.log_batch(run, metrics=metrics[first : first + MAX_METRICS], tags=run_tags)
        for run, (status, time) in self._statuses.items():
            if status == "RUNNING":
                self._client.update_run(run, status)
            else:
                self._client.set_terminated(run, status, end_time=time)
        self._statuses.clear()
        if seq is not None:
            self._client.set_tag(self._parent, SEQ, seq)

    def close(self) -> None:
        self.flush()


def _declaration(created: Event) -> dict[str, Any]:
    """Return the declaration of the search, as parameters of the parent run."""
    data = created.data
    values = {name: data[name]["name"] for name in ("strategy", "schedule")}
    for name in ("strategy", "schedule"):
        values |= {f"{name}.{option}": value for option, value in data[name]["options"].items()}
    values |= {"seed": data["seed"], "epochs": data["epochs"], "space": data["space"].get("fingerprint", "")}
    values["objectives"] = ", ".join(f"{item['goal']} {item['metric']}" for item in data["objectives"])
    return values


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
