"""The sink `wandb` (Weights & Biases): one run for the search, with a history row for each report and result, and a table.

There is only one run, because a run for each trial would take seconds to begin and end. The row of a report has `trial`,
`epoch` and `metric/NAME`. When a trial has ended or was paused, a row with `best/METRIC`, `failed` and `trials` is added,
plotted over `rests`, the number of these rows. The table `trials_table`, which is written at the end, has a row for each
trial with its decisions, for parallel coordinates and scatter plots.

By default no data leave the machine (mode "offline", or the value of WANDB_MODE); `wandb sync` sends the data later. An
offline run cannot be extended. When a search is continued, the run is therefore written again from the journal, with the
same id.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from ogive.errors import JobError, MissingExtra
from ogive.run.events import Event, Kind
from ogive.run.state import State
from ogive.sinks.base import Entry, Sink, SinkFolder, run_identity
from ogive.sinks.rows import RESULT_KINDS, best_values, scalar, trial_row

MODES = ("offline", "online")


class WeightsAndBiases(Sink):
    """Writes below the folder `path`, and in mode "online" to the project.

    Raises:
        MissingExtra: wandb is not installed.
        JobError: the mode is neither "offline" nor "online".
    """

    name = "wandb"

    def __init__(
        self,
        folder: Path,
        path: str = "wandb",
        project: str = "ogive",
        entity: str | None = None,
        mode: str | None = None,
    ) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # a search sends nothing that its user did not ask for
        try:
            import wandb
        except ImportError:
            raise MissingExtra("wandb", "wandb", "the sink 'wandb'") from None
        self._mode = mode or os.environ.get("WANDB_MODE") or "offline"
        if self._mode not in MODES:
            raise JobError(f"the sink 'wandb' has no mode {self._mode!r}; allowed: {' and '.join(MODES)}")
        self._wandb: Any = wandb
        self._title = folder.parent.name
        self._path = folder / path
        self._folder = SinkFolder(self._path)
        self.target = str(self._path)
        self._project, self._entity = project, entity
        self._run: Any = None
        self._state: State | None = None
        self._seq = 0

    def open(self, created: Event) -> int:
        self._folder.open(created)
        if self._mode == "offline":
            shutil.rmtree(self._path / "wandb", ignore_errors=True)
        settings = self._wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
        )
        (self._path / "wandb").mkdir(exist_ok=True)  # without it wandb would write to a temporary folder
        self._run = self._wandb.init(
            project=self._project,
            entity=self._entity,
            name=self._title,
            id=run_identity(created),
            dir=str(self._path),
            mode=self._mode,
            resume="allow" if self._mode == "online" else None,
            reinit="create_new",
            config=_config(created),
            settings=settings,
        )
        for name in ("best/*", "failed", "trials"):
            self._run.define_metric(name, step_metric="inactive_trials")
        # Steps are numbers of events. `step` is the next step of a run that is resumed, and 0 for a new run.
        self._seq = max(0, int(self._run.step) - 1) if self._mode == "online" else 0
        return self._seq

    def write(self, entry: Entry) -> None:
        event, self._state = entry.event, entry.state
        self._seq = event.seq
        if event.kind is Kind.REPORTED:
            values = {f"metric/{name}": value for name, value in event.data["metrics"].items()}
            self._run.log({"trial": event.trial, "epoch": event.step, **values}, step=event.seq)
        elif event.kind in RESULT_KINDS:
            best = best_values(entry.best, entry.state.objectives)
            values = {f"best/{metric}": value for metric, value in best.items()}
            values |= {
                "failed": entry.state.failed_count,
                "trials": len(entry.state.trials),
                "inactive_trials": entry.inactive_count,
            }
            self._run.log(values, step=event.seq)
            if entry.is_improvement:
                self._run.summary["best_trials"] = [trial.id for trial in entry.best]
        elif event.kind is Kind.ENDED:
            self._run.summary["ended"] = event.data["why"]

    def flush(self) -> None:
        """Do nothing: wandb's own process writes what it receives."""

    def close(self) -> None:
        if self._state is not None and self._state.trials:
            self._run.log({"trials_table": self._table(self._state)}, step=self._seq)
        self._run.finish()
        # `finish` returns before everything is in the file; `teardown` waits for that. It would also end a run that the
        # user has open, so it is not called if there is one.
        if self._wandb.run is None:
            self._wandb.teardown()
        self._folder.close(self._seq)

    def _table(self, state: State) -> Any:
        """Return the table `trials_table`."""
        rows = [{name: scalar(value) for name, value in trial_row(trial).items()} for trial in state.trials.values()]
        columns = list(dict.fromkeys(name for cells in rows for name in cells))
        return self._wandb.Table(
            columns=columns, data=[[cells.get(name) for name in columns] for cells in rows], allow_mixed_types=True
        )


def _config(created: Event) -> dict[str, Any]:
    """Return the declaration of the search, as the configuration of the wandb run."""
    data = created.data
    names = ("strategy", "schedule", "epochs", "seed", "objectives", "constraints", "estimator", "recipe")
    return {name: data[name] for name in names}
