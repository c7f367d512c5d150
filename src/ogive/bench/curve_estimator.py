"""An estimator that collects the learning curves of a benchmark: it trains each architecture with several seeds.

It reports test metrics at every epoch. The estimator of a search must not report test metrics. The reports are written to a
table, and a search on that table receives the validation columns only (see `ogive.bench.problem`).
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
"""The metrics that are reported for each seed. `seconds` is the CPU time of training and validating one epoch."""


class Curves(Estimator):
    """Trains an architecture with several seeds, and reports `COLUMNS` for each seed at every epoch: `accuracy_seed0`, ...

    It also reports `accuracy` and `log_loss`, the means over the seeds on the validation split. It writes no checkpoints,
    because to train a small network again takes less time than to store its state.

    Args:
        task: the task, from `og.task.classification`.
        training: the training settings; their number of epochs is the length of the curves.
        seeds: the number of seeds.
    """

    def __init__(self, task: Task, training: Recipe, seeds: int = 3) -> None:
        self.task = task
        self.training = training
        self.seeds = check_whole_number("curves", "seeds", seeds, at_least=1)
        self.epochs = training.epochs
        self._examples: tuple[Examples, Examples, Examples] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_examples": None}

    def prepare(self) -> None:
        self._load_examples()

    def evaluate(self, evaluation: Evaluation) -> None:
        from ogive.task.trainer import Training

        train, _, _ = self._load_examples()
        trainings = []
        for index in range(self.seeds):
            seed = derive(evaluation.seed, "curve", index)
            model = evaluation.architecture.build(seed=seed)
            trainings.append(Training(model, train, self.task.classes, self.training, seed))
        for epoch in range(1, evaluation.until + 1):
            values_by_seed = [self._run_epoch(training, epoch) for training in trainings]
            metrics = {
                f"{name}_seed{index}": values[name] for index, values in enumerate(values_by_seed) for name in COLUMNS
            }
            for name in ("accuracy", "log_loss"):
                metrics[name] = sum(values[name] for values in values_by_seed) / len(values_by_seed)
            if epoch > evaluation.last_reported_step and evaluation.report(epoch, metrics) is not Action.CONTINUE:
                return

    def recipe(self) -> Mapping[str, Any]:
        return {"estimator": "curves", "seeds": self.seeds, **asdict(self.training), "task": self.task.fingerprints()}

    def fingerprints(self) -> Mapping[str, str]:
        return self.task.fingerprints()

    def _run_epoch(self, training: Training, epoch: int) -> dict[str, float]:
        """Train epoch `epoch`, counted from 1, and return the values of `COLUMNS`."""
        from ogive.task.trainer import evaluate

        _, validation, test = self._load_examples()
        start = time.process_time()
        train_loss = training.train_epoch(epoch)
        validation_metrics = evaluate(training.model, validation, self.task.classes)
        seconds = time.process_time() - start
        test_metrics = evaluate(training.model, test, self.task.classes)
        prefixed_test_metrics = {f"test_{name}": value for name, value in test_metrics.items()}
        return {**validation_metrics, **prefixed_test_metrics, "train_loss": train_loss, "seconds": seconds}

    def _load_examples(self) -> tuple[Examples, Examples, Examples]:
        """Return the examples for training, validation and test; they are read once in each process."""
        if self._examples is None:
            # A search records that the test set was read. Here there is no run to record it in.
            test = self.task.test(on_read=lambda fingerprint: None)
            self._examples = self.task.train(), self.task.validation(), test
        return self._examples
