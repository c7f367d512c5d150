"""A classification task: what to learn from, how it is split, and who may read which part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.task.data_checks import data_warnings, named
from ogive.task.datasets import DATA_SETS, Data, DataSource, read
from ogive.task.splits import Amount, Indices, Split, SplitPlan, shares
from ogive.task.splits import split as draw_split

if TYPE_CHECKING:
    from ogive.task.trainer import Examples


class Task:
    """A classification task; made by `classification`.

    It is cheap to pickle: a named data set travels by name, a dataset object as it pickles, arrays by value. Data are
    read when first needed, once in each process.

    Attributes:
        plan: how the data are split.
    """

    def __init__(self, source: DataSource, plan: SplitPlan) -> None:
        self._source = source
        self.plan = plan
        self._known: str | None = None
        self._data: Data | None = None
        self._split: Split | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None, "_split": None}

    def prepare(self) -> None:
        """Read and split the data, unless this process has done so.

        Raises:
            JobError: the data are wrong, too few for the split, or other ones than where this task was first read.
            MissingExtra: a named data set needs a package that is not installed.
        """
        self._prepared()

    def read(self) -> Data:
        """All examples, read unless this process has done so; whoever takes them from here also takes the test set.

        Raises:
            JobError: the data are wrong, or other ones than where this task was first read.
            MissingExtra: a named data set needs a package that is not installed.
        """
        if self._data is None:
            self._data = read(self._source)
            if self._known not in (None, self._data.fingerprint):
                raise JobError(
                    f"data {self._data.name!r}: fingerprint {self._data.fingerprint} here, {self._known} where the task was "
                    "first read; the data must be the same in every process: put random transforms into the model or a "
                    "train function"
                )
            self._known = self._data.fingerprint
        return self._data

    def _prepared(self) -> tuple[Data, Split]:
        data = self.read()
        if self._split is None:
            self._split = draw_split(data.y, self.plan, data.fingerprint, data.own_test)
        return data, self._split

    @property
    def data(self) -> Data:
        """All examples, as `read` gives them. Experiments use the four parts below."""
        return self.read()

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

    def second_split(self) -> Task:
        """The same data and test set, validated on other examples than this task validates on.

        They are drawn from what this task does not validate on; all else but the test set is trained on, this task's
        validation part included. Of what was selected on the first validation part, this tells how far it had been chosen
        for that part's own quirks.

        Raises:
            JobError: this is a second split already; (where data are read) too little is left to draw it from.
        """
        if self.plan.second:
            raise JobError("this task is a second split already; take the second split of the first")
        return self._planned(replace(self.plan, second=True, fraction=1.0))

    def subset(self, fraction: float) -> Task:
        """The same task, trained on a share of its training part, stratified; smaller shares are parts of larger ones.

        Args:
            fraction: of the training part, in (0, 1]; what it leaves belongs to `rest`. Validation and test stay whole.

        Raises:
            JobError: the fraction is outside its range; (where data are read) it leaves less than one example a class.
        """
        checked = replace(self.plan, fraction=fraction)
        return self._planned(replace(checked, fraction=self.plan.fraction * checked.fraction))

    def _planned(self, plan: SplitPlan) -> Task:
        """The same data under another plan; they are not read again."""
        other = Task(self._source, plan)
        other._known, other._data = self._known, self._data
        return other

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
            "normalization": asdict(data.normalization),
            "class_names": list(data.class_names),
            "examples": len(data.y),
            "shape": list(data.shape),
            "classes": data.classes,
            "class_counts": data.class_counts.tolist(),
            "asked": asdict(self.plan),
            "sizes": {name: len(indices) for name, indices in named(parts).items()},
            "fingerprints": self.fingerprints(),
            "warnings": self.warnings(),
        }

    def warnings(self) -> list[str]:
        """What makes results on these data doubtful, one sentence each."""
        data, parts = self._prepared()
        return data_warnings(data, self.plan, parts)

    def _part(self, indices: Indices) -> Examples:
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
    """A classification task.

    The test set is set aside first: the data's own test split, or 20 % where they have none. Of what is left, stage 1
    trains on 90 % and selects on the other 10 %, stratified and shuffled, unless told otherwise; stage 2 trains on all.

    Args:
        data: the name of a data set, a pair of arrays (X, y) of shapes [n, ...] and [n], or a map-style
            `torch.utils.data.Dataset` of (x, y); classes are the integers 0..k-1.
        test: share of all examples, or their number.
        validation: share of what the test set leaves, or the number of examples.
        train: likewise, for a small search split; None for all that validation leaves.
        split: instead of the three: percentages of all examples to train, select and test on, such as "70/15/15".
        seed: of the split.

    Raises:
        JobError: an amount is wrong or a data set's name is unknown. The data themselves are read when first needed.
    """
    if isinstance(data, str):
        DATA_SETS.factory(data)
    amounts = {"test": test, "validation": validation, "train": train}
    given: dict[str, Any] = {name: amount for name, amount in amounts.items() if amount is not None}
    if split is not None:
        if given:
            raise JobError(f"split={split!r} and {', '.join(given)}: give either the one or the others")
        given = shares(split)
    return Task(data, SplitPlan(**given, seed=seed))


def fashion_mnist(
    *, validation: Amount | None = None, train: Amount | None = None, split: str | None = None, seed: int = 0
) -> Task:
    """Fashion-MNIST (Xiao et al. 2017), tested on its official test split; see `classification` for the rest.

    With `split`, the official test split is pooled with the rest, and `Task.warnings` says so.

    Raises:
        JobError: an amount is wrong; (when first read) the files are nowhere and cannot be downloaded.
    """
    return classification("fashion_mnist", validation=validation, train=train, split=split, seed=seed)
