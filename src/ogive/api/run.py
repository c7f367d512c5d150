"""The class `Run`, the Python interface to a run: its trials, its best networks, export, full training and reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import MissingExtra, RunError
from ogive.run.journal import JOURNAL, Journal
from ogive.session.stored_run import StoredRun
from ogive.sinks.rows import trial_row
from ogive.stages.delivery import Delivery, Stages
from ogive.stages.full_training_result import FullTrainingResult, read_full_training

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from ogive.api.replay import Replay
    from ogive.api.trial_reproduction import Reproduction
    from ogive.run.observers import Observer
    from ogive.stages.finalize import MessageFunction


class Run(StoredRun):
    """A search with its trials, its best networks and its folder; returned by `ogive.search` and `ogive.open_run`.

    Everything is read from the journal. A run can be read at any time, also while another process is working on it: each
    access to `state`, or to a property that depends on it, reads the new events.

    Attributes:
        folder: The folder of the run, with the journal and a folder for each trial in `trials/`.
        trust: Whether user code may be loaded from the folder; see `open_run`.
    """

    @property
    def stages(self) -> Stages:
        """The search and full training, each with the networks that it selects."""
        return Stages(self.state, self.folder)

    def delivery(self, trial: str | int = "winner") -> Delivery:
        """Return a network with its metrics and the weights that they belong to.

        Args:
            trial: "winner": the winner of full training, or of the search if there was no full training. "best": the best
                trial of the search, with the search's weights. A number: that trial, with the weights of full training if it
                was a finalist. Default: "winner".

        Raises:
            RunError: There is no such trial, no trial has a value, or there are several winners because there are several
                objectives.
        """
        return self.stages.select_delivery(trial)

    def model(self, trial: str | int = "winner") -> torch.nn.Module:
        """Return a trained network, on the CPU and in eval mode.

        If the code of its layers has changed since the training, a `UserWarning` names the changes.

        Args:
            trial: As for `delivery`. Default: "winner".

        Raises:
            RunError: As for `delivery`; or the run was opened without `trust`, there are no weights, or they do not fit.
        """
        from ogive.stages.trained_model import load_model

        return load_model(self, self.delivery(trial))

    def export(
        self,
        trial: str | int = "winner",
        to: str = "torch",
        output: str | os.PathLike[str] | None = None,
        inputs: Any = None,
        say: MessageFunction | None = None,
    ) -> Path:
        """Export a network with its weights as a program that runs without Ogive, or export its architecture as JSON.

        Args:
            trial: As for `delivery`. Default: "winner".
            to: "torch" for the program, which needs only PyTorch, or "json" for the architecture. Default: "torch".
            output: A folder; for "json" also a file that ends in `.json`. Default: `exports/TRIAL` in the run's folder.
            inputs: Example inputs, if the space has none: a shape without the batch dimension such as (1, 28, 28), a tensor,
                or a dict of shapes and tensors by name. Default: the example inputs of the task or the space.
            say: A function that receives messages: a note if the model cannot be traced and its source is exported instead,
                the largest difference of the outputs from the model's, and warnings. Default: messages are printed to
                standard error.

        Returns:
            The path of the folder or the JSON file.

        Raises:
            JobError: `to` has another value.
            RunError: As for `model`; or the export and the model have different outputs, or a file cannot be written.
        """
        from ogive.stages.finalize import print_to_stderr
        from ogive.stages.trained_model import export

        target = None if output is None else Path(output)
        return export(self, self.delivery(trial), to, target, inputs=inputs, say=say or print_to_stderr)

    def frame(self) -> pd.DataFrame:
        """Return a table with a row for each trial: status, step, metrics, seconds, and a column for each decision.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("pandas", "pandas", "run.frame()") from None
        return pd.DataFrame([trial_row(trial) for trial in self.trials])

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
        say: MessageFunction | None = None,
        observer: Observer | None = None,
        **settings: Any,
    ) -> FullTrainingResult:
        """Train the best trials of the search for all epochs, rank them again, and test the winner.

        The built-in trainer trains the finalists on all data except the test split and a second validation split. The second
        validation split was not used by the search, and it selects the winner. The test split is read once, after the
        selection, for the winner and the baseline. A train function is called as in the search, with the epochs, seeds and
        settings of full training. It must read the test data itself.

        Trainings are stored in `final/` in the run's folder. They are not repeated if epochs, recipe and code are the same;
        otherwise the previous full training is moved to `final-1`, `final-2`, and so on. For `top`, `seeds`, `epochs`,
        `recipe` and `from_weights`, None means the value of the last call, if its full training is in the folder.

        If `ogive.search` returned this run, the train function that was passed to it is used. If `ogive.open_run` returned
        it, the present version of the train function is imported. A train function that was defined in a script cannot be
        imported; then the version that is stored with the run is used. If code has changed since the search, a message to
        `say` names it.

        Args:
            top: The number of finalists, at least 1, in the order of `run.top`: with several objectives, the Pareto front
                first, then the following fronts. Default: 10.
            seeds: The seeds, each at least 0; every network is trained once with each seed. Default: (0,).
            epochs: The number of epochs of a training, at least 1. Default: the number in the search's recipe; for a train
                function, the argument `epochs` of the search.
            recipe: Values that replace values of the search's recipe, such as {"flip": True}; for a train function, values
                of `trial.settings`. Default: none.
            from_weights: Whether training starts from the weights that the search saved instead of from scratch. A train
                function receives them from `trial.inherited()`. Default: False.
            retrain: Whether to repeat trainings whose weights were not saved or were deleted. Default: False.
            retry_failed: Whether to repeat trainings that failed. Default: False.
            baseline: A function that returns a hand-drawn model to compare with, such as `og.zoo.baselines.small_cnn`.
                It is trained like the finalists. Default: no baseline.
            random: The run of a random search of the same space with the same estimator. The report compares this run with
                it. Default: none.
            workers: The number of parallel trainings, at least 1. Default: as in the search.
            executor: "processes" or "inline", as for `ogive.search`. Default: "processes".
            say: A function that receives messages on the progress. Default: messages are printed to standard error.
            observer: As for `ogive.search`.
            settings: Arguments of `ogive.search` that may change while a run is continued, such as `budget`, `time_limit` or
                `retries`. Default: retries, price and startup limit of the search.

        Returns:
            The ranked networks with their metrics and the winners.

        Raises:
            KeyboardInterrupt: Interrupted by Ctrl-C or SIGTERM; the same call continues full training.
            JobError: An argument has a wrong type or is out of its range, or no trial of the search has a value.
            RunError: No training succeeded, not all trainings were carried out, or files are missing.
        """
        from ogive.stages.finalize import finalize, print_to_stderr

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
            say=say or print_to_stderr,
            observer=observer,
            **settings,
        )

    @property
    def full_training(self) -> FullTrainingResult | None:
        """The result of full training; None if there is none."""
        return read_full_training(self.folder)

    def log(self, to: str, **options: str) -> str:
        """Write the metrics in the run's journal to a sink: "jsonl", "csv", "tensorboard", "mlflow" or "wandb".

        If the sink already holds a part of the run, only the missing part is written. `search(..., sinks=...)` writes to a
        sink while the search runs.

        Args:
            to: The name of a sink; see `ogive.sinks`.
            options: Options of the sink, such as `path`, which is relative to `sinks/` in the run's folder.

        Returns:
            The location of the data: a file, a folder, or an address.

        Raises:
            JobError: There is no such sink or option.
            MissingExtra: The package of the sink is not installed.
            RunError: The sink holds data that are not from this run, or it cannot be written.
        """
        from ogive import sinks

        (sink,) = sinks.create_sinks([{to: options}], self.folder)
        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            sinks.write_events(sink, journal.read(), self.folder)
        except OSError as error:
            raise RunError(f"{sink.target} cannot be written: {error}") from error
        finally:
            journal.close()
        return sink.target

    def reproduce(
        self,
        trial: int,
        *,
        ignore: Sequence[str] = (),
        folder: str | os.PathLike[str] | None = None,
        say: MessageFunction = lambda message: None,
    ) -> Reproduction:
        """Repeat a trial in a fresh process and compare every metric at every step. The run itself is not changed.

        Args:
            trial: The number of the trial.
            ignore: Patterns of metrics that are not compared, such as "latency*". Metrics that measure time (`seconds`, and
                names that end in `_seconds`) are never compared.
            folder: The folder of the repetition; existing files are replaced. Default: `reproduced/TRIAL` in the run's
                folder.
            say: A function that receives messages: first the changes in the environment, then the progress. Default:
                messages are dropped.

        Returns:
            The compared values, and the differences between the trial and its repetition.

        Raises:
            RunError: There is no such trial, or the trial has no metrics to compare, or it cannot be repeated.
        """
        from ogive.api.reproduce import reproduce

        return reproduce(self, trial, ignore=ignore, folder=None if folder is None else Path(folder), say=say)

    def replay(self, **arguments: Any) -> Replay:
        """Evaluate the run under other arguments of the search. Nothing is trained.

        Args:
            arguments: Any of `objectives`, `constraints`, `price`, `criteria`, `budget`, `max_trials` (as for
                `ogive.search`), `stop` (names of stop rules) and `top` (the number of trials); see `ogive.api.replay`.

        Returns:
            The trials that would be selected, when each stop rule would have stopped the search, and what it would have
            cost.

        Raises:
            JobError: A metric was not recorded, or an argument is out of its range.
            RunError: There is no readable journal.
        """
        from ogive.api.replay import replay

        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            return replay(self.folder, list(journal.read()), self._space, **arguments)
        finally:
            journal.close()

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write a report as one HTML page, and return its path.

        Networks are drawn layer by layer if the run was opened with `trust` (see `open_run`), else as a list of decisions.

        Args:
            path: The file. Default: `report.html` in the run's folder.
        """
        from ogive.report import write_report

        target = Path(path) if path is not None else self.folder / "report.html"
        if self.trust:
            self._load()
        return write_report(self.state, self.folder, target)


def open_run(folder: str | os.PathLike[str], trust: bool = False) -> Run:
    """Open a run that was started earlier and may still be running.

    Args:
        folder: The folder of the run.
        trust: Whether to load the space's layers and the estimator, so that architectures can be built and `model`,
            `export`, `finalize` and `reproduce` work. This executes code: the modules that the run names, and the contents
            of `payload.pkl` in the folder. If False, only the journal is read. Default: False.

    Raises:
        RunError: There is no readable journal in `folder`, or the code cannot be loaded.
    """
    return Run.open(folder, trust)
