"""Learning curves as data for a benchmark: an estimator that trains an architecture from several seeds and tells all.

It reads the test split at every epoch, which no search may do: what it reports is a table to study searches with, in
which a search later sees the validation columns only (`ogive.bench.problem`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ogive.registry import whole
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.seeds import derive
from ogive.task import Recipe, Task

if TYPE_CHECKING:
    from ogive.task.trainer import Examples, Training

COLUMNS = ("accuracy", "log_loss", "test_accuracy", "test_log_loss", "train_loss", "seconds")
"""What is reported of each seed; `seconds` are CPU seconds of one epoch's training and validation, test excluded."""


class Curves(Estimator):
    """Trains an architecture from `seeds` seeds in step and reports `COLUMNS` of each at every epoch, as `accuracy_seed0`.

    `accuracy` and `log_loss` are the means over the seeds on the validation split. Nothing is checkpointed: the networks of
    a small space are trained again faster than they are stored.

    Args:
        task: made by `og.task.classification`.
        training: how to train; its epochs are the length of the curves.
        seeds: how many.
    """

    def __init__(self, task: Task, training: Recipe, seeds: int = 3) -> None:
        self.task = task
        self.training = training
        self.seeds = whole("curves", "seeds", seeds, at_least=1)
        self.epochs = training.epochs
        self._parts: tuple[Examples, Examples, Examples] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_parts": None}

    def prepare(self) -> None:
        self._examples()

    def evaluate(self, evaluation: Evaluation) -> None:
        from ogive.task.trainer import Training

        train, _, _ = self._examples()
        trainings = []
        for number in range(self.seeds):
            seed = derive(evaluation.seed, "curve", number)
            model = evaluation.architecture.build(seed=seed)
            trainings.append(Training(model, train, self.task.classes, self.training, seed))
        for epoch in range(1, evaluation.until + 1):
            rows = [self._epoch(training, epoch) for training in trainings]
            metrics = {f"{name}_seed{n}": row[name] for n, row in enumerate(rows) for name in COLUMNS}
            for name in ("accuracy", "log_loss"):
                metrics[name] = sum(row[name] for row in rows) / len(rows)
            if epoch > evaluation.reported and evaluation.report(epoch, metrics) is not Action.CONTINUE:
                return

    def recipe(self) -> Mapping[str, Any]:
        return {"estimator": "curves", "seeds": self.seeds, **asdict(self.training), "task": self.task.fingerprints()}

    def fingerprints(self) -> Mapping[str, str]:
        return self.task.fingerprints()

    def _epoch(self, training: Training, number: int) -> dict[str, float]:
        from ogive.task.trainer import evaluate

        _, validation, test = self._examples()
        began = time.process_time()
        train_loss = training.epoch(number)
        seen = evaluate(training.model, validation, self.task.classes)
        seconds = time.process_time() - began
        unseen = evaluate(training.model, test, self.task.classes)
        tested = {f"test_{name}": value for name, value in unseen.items()}
        return {**seen, **tested, "train_loss": train_loss, "seconds": seconds}

    def _examples(self) -> tuple[Examples, Examples, Examples]:
        if self._parts is None:
            task = self.task
            self._parts = task.train(), task.validation(), task.test(lambda fingerprint: None)
        return self._parts
