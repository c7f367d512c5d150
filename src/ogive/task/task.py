"""A classification task: a data set with its splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.task.data_checks import collect_data_warnings, get_parts_by_name
from ogive.task.datasets import DATA_SETS, Data, DataSource, read_data
from ogive.task.splits import Amount, Indices, Split, SplitPlan, draw_split, parse_percentages

if TYPE_CHECKING:
    from ogive.task.trainer import Examples


class Task:
    """A classification task; created by `classification`.

    The data are read when they are first needed, once in each process. A pickled task contains the source of the data (a
    name, a dataset object or arrays), but not the data that were read.

    Attributes:
        plan: the sizes of the parts of the split.
    """

    def __init__(self, source: DataSource, plan: SplitPlan) -> None:
        self._source = source
        self.plan = plan
        self._expected_fingerprint: str | None = None
        self._data: Data | None = None
        self._split: Split | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None, "_split": None}

    def prepare(self) -> None:
        """Read and split the data, if this process has not done so.

        Raises:
            JobError: the data are not valid, too few for the split, or different from those that another process read.
            MissingExtra: the data set needs a package that is not installed.
        """
        self._read_and_split()

    def read(self) -> Data:
        """Return all examples, including the test set; read them if this process has not done so.

        Raises:
            JobError: the data are not valid, or different from those that another process read.
            MissingExtra: the data set needs a package that is not installed.
        """
        if self._data is None:
            self._data = read_data(self._source)
            if self._expected_fingerprint not in (None, self._data.fingerprint):
                raise JobError(
                    f"data {self._data.name!r}: fingerprint {self._data.fingerprint} in this process, but "
                    f"{self._expected_fingerprint} where the task was first read; the data must be the same in every "
                    "process: move random transforms into the model or a train function"
                )
            self._expected_fingerprint = self._data.fingerprint
        return self._data

    def _read_and_split(self) -> tuple[Data, Split]:
        """Return the data and the split; both are computed once in each process."""
        data = self.read()
        if self._split is None:
            self._split = draw_split(data.y, self.plan, data.fingerprint, data.official_test_size)
        return data, self._split

    @property
    def data(self) -> Data:
        """All examples, including the test set (see `read`)."""
        return self.read()

    @property
    def split(self) -> Split:
        """The indices of the examples in each part."""
        return self._read_and_split()[1]

    @property
    def example_input(self) -> tuple[int, ...]:
        """The shape of one example, for `Space(example_input=...)`."""
        return self.data.shape

    @property
    def classes(self) -> int:
        """The number of classes, k."""
        return self.data.classes

    def train(self) -> Examples:
        """Return the training examples of the search: features float32 [n, *shape] and classes int64 [n]."""
        return self._select(self.split.train)

    def validation(self) -> Examples:
        """Return the validation examples, in the form of `train`."""
        return self._select(self.split.validation)

    def full_train(self) -> Examples:
        """Return all examples but the test set, in the form of `train`."""
        return self._select(self.split.full_train)

    def test(self, on_read: Callable[[str], object]) -> Examples:
        """Return the test examples, in the form of `train`. They are read once, at the end of a run.

        Args:
            on_read: a function that receives the fingerprint of the split before the examples are returned, so that the
                caller can record that the test set was read.
        """
        fingerprint = self.split.fingerprint
        on_read(fingerprint)
        return self._select(self.split.test)

    def second_split(self) -> Task:
        """Return a task with the same data and test set, and a different validation part.

        The new validation part is drawn from the examples that this task does not validate on. All other examples but the
        test set are for training, including the validation part of this task. The second split shows whether an architecture
        was selected because it happens to fit the first validation part.

        Raises:
            JobError: this task is a second split already. When the data are read: there are too few examples.
        """
        if self.plan.second:
            raise JobError("this task is a second split already; call second_split() of the original task")
        return self._with_plan(replace(self.plan, second=True, fraction=1.0))

    def subset(self, fraction: float) -> Task:
        """Return the task with a stratified subset of its training part. Smaller subsets are parts of larger ones.

        Args:
            fraction: the share of the training part, in (0, 1]; the other training examples become part of `rest`.
                Validation and test stay the same.

        Raises:
            JobError: the fraction is out of its range. When the data are read: the subset has fewer examples than classes.
        """
        # The plan checks the fraction itself, because its product with the present fraction can be valid if it is not.
        checked_plan = replace(self.plan, fraction=fraction)
        return self._with_plan(replace(checked_plan, fraction=self.plan.fraction * checked_plan.fraction))

    def _with_plan(self, plan: SplitPlan) -> Task:
        """Return a task with the same data, which are not read again, and another plan."""
        task = Task(self._source, plan)
        task._expected_fingerprint, task._data = self._expected_fingerprint, self._data
        return task

    def fingerprints(self) -> dict[str, str]:
        """Return short hashes of the `data` and of the `split`."""
        return {"data": self.data.fingerprint, "split": self.split.fingerprint}

    def describe(self) -> dict[str, Any]:
        """Return a description of the task as JSON, for the manifest of a run."""
        data, parts = self._read_and_split()
        return {
            "kind": "classification",
            "data": data.name,
            "preparation": data.preparation,
            "normalization": asdict(data.normalization),
            "class_names": list(data.class_names),
            "examples": len(data.y),
            "shape": list(data.shape),
            "classes": data.classes,
            "class_counts": data.class_counts.tolist(),
            "asked": asdict(self.plan),
            "sizes": {name: len(indices) for name, indices in get_parts_by_name(parts).items()},
            "fingerprints": self.fingerprints(),
            "warnings": self.warnings(),
        }

    def warnings(self) -> list[str]:
        """Return a warning for each problem of the data that makes results unreliable."""
        data, parts = self._read_and_split()
        return collect_data_warnings(data, self.plan, parts)

    def _select(self, indices: Indices) -> Examples:
        """Return the examples with these indices as tensors."""
        import torch

        return torch.from_numpy(self.data.x[indices]), torch.from_numpy(self.data.y[indices])


def classification(
    data: DataSource = "digits",
    *,
    test: Amount | None = None,
    validation: Amount | None = None,
    train: Amount | None = None,
    split: str | None = None,
    seed: int = 0,
) -> Task:
    """Return a classification task.

    By default, the test set is the official test split of the data, or 20% if they have none. Of the other examples, the
    search trains on 90% and validates on 10%. Parts are stratified and shuffled.

    Args:
        data: the name of a data set, a pair of arrays (X, y) of shapes [n, ...] and [n], or a map-style
            `torch.utils.data.Dataset` of (x, y). Classes are the integers 0..k-1.
        test: the size of the test set: a share of all examples, or a number of examples.
        validation: the size of the validation set: a share of all examples but the test set, or a number of examples.
        train: the size of the training set: a share of all examples but the test set, or a number of examples. None for all
            examples that are not in the validation set or the test set.
        split: percentages for training, validation and test, such as "70/15/15", instead of the three sizes.
        seed: the seed of the split.

    Raises:
        JobError: a size is not valid, or there is no such data set. The data are read and checked when first needed.
    """
    if isinstance(data, str):
        DATA_SETS.factory(data)
    amounts = {"test": test, "validation": validation, "train": train}
    sizes: dict[str, Any] = {name: amount for name, amount in amounts.items() if amount is not None}
    if split is not None:
        if sizes:
            raise JobError(f"both split={split!r} and {', '.join(sizes)} are set; use either split or the three sizes")
        sizes = parse_percentages(split)
    return Task(data, SplitPlan(**sizes, seed=seed))


def fashion_mnist(
    *, validation: Amount | None = None, train: Amount | None = None, split: str | None = None, seed: int = 0
) -> Task:
    """Return the task of Fashion-MNIST (Xiao et al. 2017) with its official test split.

    For the arguments see `classification`. With `split`, the examples of the official test split are mixed with the others,
    and `Task.warnings` says so.

    Raises:
        JobError: a size is not valid. When the data are read: the files are missing and cannot be downloaded.
    """
    return classification("fashion_mnist", validation=validation, train=train, split=split, seed=seed)
