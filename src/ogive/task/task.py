"""A classification task: what to learn from, how it is split, and who may read which part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.errors import JobError
from ogive.task.data import DATA_SETS, Data, DataSource, read
from ogive.task.splits import Amount, Indices, Plan, Split, split

if TYPE_CHECKING:
    from ogive.task.trainer import Examples

SMALL = 1000  # below that many examples, one example moves accuracy by more than what architectures differ in
IMBALANCED = 3.0  # largest class over smallest


class Task:
    """A classification task; made by `classification`.

    It is cheap to pickle: a named data set travels by name, a dataset object as it pickles, arrays by value. Data are
    read when first needed, once in each process.

    Attributes:
        plan: how the data are split.
    """

    def __init__(self, source: DataSource, plan: Plan) -> None:
        self._source = source
        self.plan = plan
        self._known: str | None = None
        self._loaded: tuple[Data, Split] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    def prepare(self) -> None:
        """Read and split the data, unless this process has done so.

        Raises:
            JobError: the data are wrong, too few for the split, or other ones than where this task was first read.
            MissingExtra: a named data set needs a package that is not installed.
        """
        self._prepared()

    def _prepared(self) -> tuple[Data, Split]:
        if self._loaded is not None:
            return self._loaded
        data = read(self._source)
        if self._known not in (None, data.fingerprint):
            raise JobError(
                f"data {data.name!r}: fingerprint {data.fingerprint} here, {self._known} where the task was first read; "
                "the data must be the same in every process: put random transforms into the model or a train function"
            )
        self._known = data.fingerprint
        self._loaded = data, split(data.y, self.plan, data.fingerprint)
        return self._loaded

    @property
    def data(self) -> Data:
        """All examples; whoever takes them from here also takes the test set. Experiments use the four parts below."""
        return self._prepared()[0]

    @property
    def split(self) -> Split:
        """Which example is in which part."""
        return self._prepared()[1]

    @property
    def example_input(self) -> tuple[int, ...]:
        """The shape of one example, as `Space(example_input=...)` takes it."""
        return self.data.shape

    @property
    def classes(self) -> int:
        """The number of classes, k."""
        return self.data.classes

    def train(self) -> Examples:
        """What stage 1 trains on: features float32 [n, *shape] and classes int64 [n]."""
        return self._part(self.split.train)

    def validation(self) -> Examples:
        """What stage 1 selects on, as in `train`."""
        return self._part(self.split.validation)

    def full_train(self) -> Examples:
        """What stage 2 trains on: everything but the test set, as in `train`."""
        return self._part(self.split.full_train)

    def test(self, on_read: Callable[[str], object]) -> Examples:
        """The test set, as in `train`. It is read once, at the end of a run.

        Args:
            on_read: called with the split's fingerprint before anything is handed out; records the reading.
        """
        fingerprint = self.split.fingerprint
        on_read(fingerprint)
        return self._part(self.split.test)

    def fingerprints(self) -> dict[str, str]:
        """Short hashes of the `data` and of the `split`."""
        return {"data": self.data.fingerprint, "split": self.split.fingerprint}

    def describe(self) -> dict[str, Any]:
        """The task for a run's manifest, as JSON."""
        data, parts = self._prepared()
        return {
            "kind": "classification",
            "data": data.name,
            "preparation": data.preparation,
            "examples": len(data.y),
            "shape": list(data.shape),
            "classes": data.classes,
            "class_counts": data.class_counts.tolist(),
            "asked": asdict(self.plan),
            "sizes": {name: len(indices) for name, indices in _parts(parts).items()},
            "fingerprints": self.fingerprints(),
            "warnings": self.warnings(),
        }

    def warnings(self) -> list[str]:
        """What makes results on these data doubtful, one sentence each."""
        data, parts = self._prepared()
        found = []
        if len(data.y) < SMALL:
            found.append(
                f"the data hold {len(data.y)} examples, fewer than {SMALL}: small differences in accuracy are noise; "
                "compare log_loss as well, and several seeds"
            )
        largest, smallest = int(data.class_counts.max()), int(data.class_counts.min())
        if largest > IMBALANCED * smallest:
            found.append(
                f"the classes are imbalanced, {largest} examples of one and {smallest} of another: accuracy mostly "
                "tells about the large ones"
            )
        for name, indices in _parts(parts).items():
            missing = np.setdiff1d(np.arange(data.classes), data.y[indices])
            if name != "rest" and len(missing):
                found.append(
                    f"{name} has no example of {len(missing)} of the {data.classes} classes, such as {missing[0]}"
                )
        return found

    def _part(self, indices: Indices) -> Examples:
        import torch

        return torch.from_numpy(self.data.x[indices]), torch.from_numpy(self.data.y[indices])


def classification(
    data: DataSource = "digits",
    *,
    test: Amount = 0.2,
    validation: Amount = 0.1,
    train: Amount | None = None,
    seed: int = 0,
) -> Task:
    """A classification task.

    The test set is set aside first. Of what is left, stage 1 trains on 90 % and selects on the other 10 %, stratified
    and shuffled, unless told otherwise; stage 2 trains on all of it.

    Args:
        data: the name of a data set, a pair of arrays (X, y) of shapes [n, ...] and [n], or a map-style
            `torch.utils.data.Dataset` of (x, y); classes are the integers 0..k-1.
        test: share of all examples, or their number.
        validation: share of what the test set leaves, or the number of examples.
        train: likewise, for a small search split; None for all that validation leaves.
        seed: of the split.

    Raises:
        JobError: an amount is wrong or a data set's name is unknown. The data themselves are read when first needed.
    """
    if isinstance(data, str):
        DATA_SETS.factory(data)
    return Task(data, Plan(test, validation, train, seed))


def _parts(parts: Split) -> Mapping[str, Indices]:
    return {"train": parts.train, "validation": parts.validation, "test": parts.test, "rest": parts.rest}
