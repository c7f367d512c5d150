"""What an export tells of the data that a model was trained on, so that it takes raw values and names classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, from_numpy

from ogive.run.estimator import Estimator
from ogive.task.datasets import Normalization

EXAMPLES = 3
KEPT = ("data", "preparation", "normalization", "shape", "classes", "class_names")


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The data of a classification task.

    Attributes:
        description: of `Task.describe()`: name, preparation, normalization, shape of an example, classes and their names.
        features: some examples of the validation part, as the model takes them, float32 [n, *shape].
    """

    description: Mapping[str, Any]
    features: Tensor

    def raw(self, features: Tensor) -> Tensor:
        """The raw values of `features`."""
        return from_numpy(Normalization(**self.description["normalization"]).raw(features.numpy()))


def task_data(estimator: Estimator) -> TaskData | None:
    """The data of the built-in trainer's task; None where only the user's train function knows them.

    Raises:
        JobError, OSError: the data cannot be read.
    """
    from ogive.estimate import Classifier

    if not isinstance(estimator, Classifier):
        return None
    described = estimator.task.describe()
    features, _ = estimator.task.validation()
    return TaskData(description={name: described[name] for name in KEPT}, features=features[:EXAMPLES].clone())
