"""An estimator that collects the learning curves of a benchmark: it trains each architecture with several seeds.

It reports test metrics at every epoch, which the estimator of a search must not do. The reports are written to a table; a
search on that table receives the validation columns only (see `ogive.bench.problem`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ogive.registry import check_whole_number
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.seeds import derive
from ogive.task import Recipe, Task

if TYPE_CHECKING:
    from ogive.task.trainer import Examples, Training

COLUMNS = ("accuracy", "log_loss", "test_accuracy", "test_log_loss", "train_loss", "seconds")
"""The metrics of each seed. `seconds` is the CPU time of one epoch of training and validation, without the test split."""


class Curves(Estimator):
    """Trains an architecture with several seeds, and reports `COLUMNS` for each seed at every epoch: `accuracy_seed0`, ...

    It also reports `accuracy` and `log_loss`, the means over the seeds on the validation split. It writes no checkpoints,
    because small networks are trained again faster than their states are stored.

    Args:
        task: the task, from `og.task.classification`.
        training: the recipe; its epochs are the length of the curves.
        seeds: the number of seeds.
    """

    def __init__(self, task: Task, training: Recipe, seeds: int = 3) -> None:
        self.task = task
        self.training = training
        self.seeds = check_whole_number("curves", "seeds", seeds, at_least=1)
        self.epochs = training.epochs
        self._splits: tuple[Examples, Examples, Examples] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_splits": None}

    def prepare(self) -> None:
        self._load_splits()

    def evaluate(self, evaluation: Evaluation) -> None:
        from ogive.task.trainer import Training

        train, _, _ = self._load_splits()
        trainings = []
        for number in range(self.seeds):
            seed = derive(evaluation.seed, "curve", number)
            model = evaluation.architecture.build(seed=seed)
            trainings.append(Training(model, train, self.task.classes, self.training, seed))
        for epoch in range(1, evaluation.until + 1):
            rows = [self._run_epoch(training, epoch) for training in trainings]
            metrics = {f"{name}_seed{n}": row[name] for n, row in enumerate(rows) for name in COLUMNS}
            for name in ("accuracy", "log_loss"):
                metrics[name] = sum(row[name] for row in rows) / len(rows)
            if epoch > evaluation.last_reported_step and evaluation.report(epoch, metrics) is not Action.CONTINUE:
                return

    def recipe(self) -> Mapping[str, Any]:
        return {"estimator": "curves", "seeds": self.seeds, **asdict(self.training), "task": self.task.fingerprints()}

    def fingerprints(self) -> Mapping[str, str]:
        return self.task.fingerprints()

    def _run_epoch(self, training: Training, number: int) -> dict[str, float]:
        """Train one epoch, and return the values of `COLUMNS`."""
        from ogive.task.trainer import evaluate

        _, validation, test = self._load_splits()
        start = time.process_time()
        train_loss = training.train_epoch(number)
        validation_metrics = evaluate(training.model, validation, self.task.classes)
        seconds = time.process_time() - start
        test_metrics = evaluate(training.model, test, self.task.classes)
        prefixed = {f"test_{name}": value for name, value in test_metrics.items()}
        return {**validation_metrics, **prefixed, "train_loss": train_loss, "seconds": seconds}

    def _load_splits(self) -> tuple[Examples, Examples, Examples]:
        """Return the examples for training, validation and test; they are read once in each process."""
        if self._splits is None:
            task = self.task
            self._splits = task.train(), task.validation(), task.test(lambda fingerprint: None)
        return self._splits
