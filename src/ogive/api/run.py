"""A run as its user sees it: what was found, read from the journal whenever it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import MissingExtra, RunError
from ogive.run.journal import JOURNAL, Journal
from ogive.session.stored_run import StoredRun
from ogive.sinks.rows import row
from ogive.stages.delivery import Delivery, Stages
from ogive.stages.full_training_result import FullTrainingResult, read_full_training

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from ogive.api.replay import Replay
    from ogive.api.reproduce import Reproduction
    from ogive.run.observers import Observer
    from ogive.stages.finalize import Say


class Run(StoredRun):
    """A search: its trials, its best, its folder. Everything is read from the journal; `state` keeps up with it.

    Attributes:
        folder: with the journal, and a folder for each trial under `trials/`.
        trust: whether the user's code may be loaded from the folder, which runs it; see `open_run`.
    """

    @property
    def stages(self) -> Stages:
        """The search and what followed it: which network each stage chose."""
        return Stages(self.state, self.folder)

    def delivery(self, trial: str | int = "winner") -> Delivery:
        """A network as its stage left it: which trial, its metrics, and the weights that these are of.

        Args:
            trial: "winner" of the last stage with a result (full training, else the search); "best" of the search, with what
                the search left; or a trial's number, as full training left it where it was trained in full.

        Raises:
            RunError: there is no such trial, none has a value, or several objectives leave several to choose from.
        """
        return self.stages.delivery(trial)

    def model(self, trial: str | int = "winner") -> torch.nn.Module:
        """The trained network, on the CPU and in eval mode. A `UserWarning` names code of its layers that has changed since.

        Args:
            trial: as for `delivery`.

        Raises:
            RunError: as `delivery`; the run was opened without `trust`; or there are no weights, or they do not fit.
        """
        from ogive.stages.trained_model import load_model

        return load_model(self, self.delivery(trial))

    def export(
        self,
        trial: str | int = "winner",
        to: str = "torch",
        output: str | os.PathLike[str] | None = None,
        inputs: Any = None,
        say: Say | None = None,
    ) -> Path:
        """Write a network: "torch", its weights and a program that runs without Ogive, or "json", its architecture.

        Args:
            trial: as for `delivery`.
            to: "torch" or "json".
            output: a folder; for "json" also a file that ends in `.json`. `exports/TRIAL` in the run's folder where None.
            inputs: example inputs, where the space has none: a shape without the batch such as (1, 28, 28), a tensor, or a
                dict of these by name.
            say: called with messages: the form of the export, how far its outputs differ, warnings; prints them to standard
                error by default.

        Returns:
            the folder, or the JSON file.

        Raises:
            JobError, RunError: as `model`; also where it cannot be written.
        """
        from ogive.stages.finalize import to_stderr
        from ogive.stages.trained_model import export

        target = None if output is None else Path(output)
        return export(self, self.delivery(trial), to, target, inputs, say or to_stderr)

    def frame(self) -> pd.DataFrame:
        """A row for each trial: status, step, metrics, seconds, and a column for each decision."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("pandas", "pandas", "run.frame()") from None
        return pd.DataFrame([row(trial) for trial in self.trials])

    def finalize(
        self,
        top: int | None = None,
        *,
        seeds: Sequence[int] | None = None,
        epochs: int | None = None,
        recipe: Mapping[str, Any] | None = None,
        from_weights: bool | None = None,
        retrain: bool = False,
        retry_failed: bool = False,
        baseline: Callable[[], Any] | None = None,
        random: Run | None = None,
        workers: int | None = None,
        executor: str = "processes",
        say: Say | None = None,
        observer: Observer | None = None,
        **settings: Any,
    ) -> FullTrainingResult:
        """Train the best in full, rank them anew, and read the test split for the winner; see `ogive.stages.finalize`."""
        from ogive.stages.finalize import finalize, to_stderr

        return finalize(
            self,
            top,
            seeds=seeds,
            epochs=epochs,
            recipe=recipe,
            from_weights=from_weights,
            retrain=retrain,
            retry_failed=retry_failed,
            baseline=baseline,
            random=random,
            workers=workers,
            executor=executor,
            say=say or to_stderr,
            observer=observer,
            **settings,
        )

    @property
    def full_training(self) -> FullTrainingResult | None:
        """What the last second stage came to; None where there was none."""
        return read_full_training(self.folder)

    def log(self, to: str, **options: str) -> str:
        """Bring the run's journal into another form or tool: "jsonl", "csv", "tensorboard", "mlflow" or "wandb".

        What is there already is added to, never doubled. `search(..., sinks=...)` does the same while it runs.

        Args:
            to: a sink by name; see `ogive.sinks`.
            options: of the sink, such as `path`, relative to `sinks/` in the run's folder.

        Returns:
            where it is now: a file, a folder, or an address.

        Raises:
            JobError: there is no such sink or option.
            MissingExtra: the sink's package is not installed.
            RunError: its place holds something else, or cannot be written.
        """
        from ogive import sinks

        (sink,) = sinks.create([{to: options}], self.folder)
        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            sinks.write(sink, journal.read(), self.folder)
        except OSError as error:
            raise RunError(f"{sink.place} cannot be written: {error}") from error
        finally:
            journal.close()
        return sink.place

    def reproduce(
        self,
        trial: int,
        *,
        ignore: Sequence[str] = (),
        folder: str | os.PathLike[str] | None = None,
        say: Say = lambda message: None,
    ) -> Reproduction:
        """Repeat a trial in a fresh process and compare every metric at every step; see `ogive.api.reproduce`."""
        from ogive.api.reproduce import reproduce

        return reproduce(self, trial, ignore=ignore, folder=None if folder is None else Path(folder), say=say)

    def replay(self, **question: Any) -> Replay:
        """What would have been chosen, stopped and paid under other `objectives`, `constraints`, `price`, `stop`,
        `criteria`, `budget`, `max_trials` or `top`, of what was trained; see `ogive.api.replay`.
        """
        from ogive.api.replay import replay

        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            return replay(self.folder, list(journal.read()), self._space, **question)
        finally:
            journal.close()

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write one self-contained HTML page; by default `report.html` in the run's folder.

        Networks are drawn layer by layer where the run may load its code (see `open_run`), else as a list of decisions.
        """
        from ogive.report import write_report

        target = Path(path) if path is not None else self.folder / "report.html"
        if self.trust:
            self._load()
        return write_report(self.state, self.folder, target)


def open_run(folder: str | os.PathLike[str], trust: bool = False) -> Run:
    """A run that was begun earlier, possibly still going on elsewhere.

    Args:
        folder: of the run.
        trust: load the space's layers and the estimator too, so that architectures build, and `model`, `export`, `finalize`
            and `reproduce` work. That runs code: modules that the run names, and what `payload.pkl` in the folder holds.
            Without it only the journal is read.

    Raises:
        RunError: there is no readable journal in `folder`, or the code cannot be loaded.
    """
    return Run.open(folder, trust)
