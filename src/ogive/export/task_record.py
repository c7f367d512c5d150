"""A record of the data that a model was trained on. With it, an export accepts raw values and names the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, from_numpy

from ogive.run.estimator import Estimator
from ogive.task.datasets import Normalization

EXAMPLE_COUNT = 3
"""The number of examples in the record."""
EXPORTED_KEYS = ("data", "preparation", "normalization", "shape", "classes", "class_names")


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The data of a classification task.

    Attributes:
        description: the entries `EXPORTED_KEYS` of `Task.describe()`: name, preparation and normalization of the data, the
            shape of an example, the number and the names of the classes.
        features: examples from the validation split, in the form that the model accepts, float32 [n, *shape].
    """

    description: Mapping[str, Any]
    features: Tensor

    def to_raw(self, features: Tensor) -> Tensor:
        """Return the raw values of `features`, before normalization."""
        return from_numpy(Normalization(**self.description["normalization"]).to_raw_values(features.numpy()))


def read_task_data(estimator: Estimator) -> TaskData | None:
    """Return the data of the built-in trainer's task; None for other estimators, whose data is unknown.

    Raises:
        JobError: the data cannot be read.
        OSError: the data cannot be read.
    """
    from ogive.estimate import Classifier

    if not isinstance(estimator, Classifier):
        return None
    description = estimator.task.describe()
    features, _ = estimator.task.validation()
    return TaskData(
        description={key: description[key] for key in EXPORTED_KEYS}, features=features[:EXAMPLE_COUNT].clone()
    )
