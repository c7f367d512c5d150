"""Data sets: read from a name, NumPy arrays or a `torch.utils.data.Dataset` into memory, and checked."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ogive.arrays import IntArray
from ogive.errors import JobError, MissingExtra
from ogive.hashing import hash_bytes
from ogive.registry import Registry

Shape = tuple[int, ...]
DataSource = Any
"""The name of a data set, arrays `(X, y)`, a map-style `torch.utils.data.Dataset` of `(x, y)` items, or a `Data`."""


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """The transformation of raw values into features: `(raw / maximum - mean) / std`. Exported models contain it.

    Attributes:
        maximum: the largest raw value, by which raw values are divided; None for no division.
        mean: one value for each channel (the first dimension of an example), or one for all channels; empty for a mean of 0.
        std: one value for each channel, or one for all channels; empty for a standard deviation of 1.

    Raises:
        JobError: `maximum` or `std` is not above 0.
    """

    maximum: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, values in (("maximum", () if self.maximum is None else (self.maximum,)), ("std", self.std)):
            if not all(value > 0 for value in values):
                raise JobError(f"Normalization: {name} is {getattr(self, name)!r}, but must be above 0")

    def to_raw_values(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the raw values, float32 [n, *shape], of features of the same shape."""
        channel_shape = (-1, *(1 for _ in features.shape[2:]))  # one value for each channel
        scaled = features * np.reshape(self.std or 1.0, channel_shape) + np.reshape(self.mean or 0.0, channel_shape)
        return np.asarray(scaled * (self.maximum or 1.0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Data:
    """Labelled examples in memory; created and checked by `from_arrays`.

    Attributes:
        x: features, float32 [n, *shape].
        y: classes, int64 [n]; each of 0..k-1 at least once.
        name: the name of the data set.
        preparation: a description of how raw values became features, for the user of a trained model; "" if unknown.
        official_test_size: the number of examples, the last ones, that are the official test split; 0 if there is none.
        normalization: the transformation of raw values into features, for exported models; by default none.
        class_names: the name of each class, 0 to k-1; empty if the classes have no names.
    """

    x: NDArray[np.float32]
    y: IntArray
    name: str = "arrays"
    preparation: str = ""
    official_test_size: int = 0
    normalization: Normalization = Normalization()
    class_names: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """The shape of one example."""
        return tuple(self.x.shape[1:])

    @cached_property
    def class_counts(self) -> IntArray:
        """The number of examples of each class, [k]."""
        return np.bincount(self.y).astype(np.int64)

    @property
    def classes(self) -> int:
        """The number of classes, k."""
        return len(self.class_counts)

    @cached_property
    def fingerprint(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of shapes and contents."""
        shapes = repr((self.x.shape, self.y.shape)).encode()
        return hash_bytes(shapes, np.ascontiguousarray(self.x).data, np.ascontiguousarray(self.y).data)


def read_digits() -> Data:
    """Return the 1,797 handwritten digits of scikit-learn (Alpaydin and Kaynak 1998): [n, 1, 8, 8], scaled to [0, 1]."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra("scikit-learn", "data", "the data set 'digits'") from error
    images, labels = load_digits(return_X_y=True)
    return from_arrays(
        images.reshape(-1, 1, 8, 8) / 16.0,
        labels,
        "digits",
        "pixels (0 to 16) divided by 16",
        normalization=Normalization(maximum=16.0),
        class_names="0123456789",
    )


def read_fashion_mnist() -> Data:
    """Return Fashion-MNIST (Xiao et al. 2017): [70000, 1, 28, 28], scaled to [0, 1]; the last 10,000 are the test split."""
    from ogive.task.fashion import CLASSES, load_arrays

    images, labels, official_test_size = load_arrays()
    x = np.multiply(images, 1 / 255, dtype=np.float32)[:, None]
    data = from_arrays(
        x,
        labels,
        "fashion_mnist",
        "pixels (0 to 255) divided by 255",
        normalization=Normalization(maximum=255.0),
        class_names=CLASSES,
    )
    return replace(data, official_test_size=official_test_size)


DATA_SETS: Registry[Data] = Registry("data set", (), {"digits": read_digits, "fashion_mnist": read_fashion_mnist})


def load(name: str) -> Data:
    """Return the data set with this name.

    Raises:
        JobError: there is no such data set; the message lists the names.
        MissingExtra: the data set needs a package that is not installed.
    """
    return DATA_SETS.factory(name)()


def read_data(source: DataSource) -> Data:
    """Return the data of any supported source (see `DataSource`).

    Raises:
        JobError: the source is not supported, or its contents are not valid.
    """
    if isinstance(source, Data):
        return source
    if isinstance(source, str):
        return load(source)
    if isinstance(source, tuple) and len(source) == 2:
        return from_arrays(*source)
    if is_dataset(source):
        return from_dataset(source)
    raise JobError(
        f"data: found {_describe_value(source)}; allowed are the name of a data set "
        f"({', '.join(map(repr, DATA_SETS.names()))}), a pair of arrays (X, y), and a torch.utils.data.Dataset that has a "
        "length and items (x, y)"
    )


def is_dataset(source: Any) -> bool:
    """Return whether `source` has items and a length like a map-style dataset, but is not an array or a container."""
    is_container = isinstance(source, (list, tuple, dict, str, bytes)) or hasattr(source, "dtype")
    return not is_container and hasattr(source, "__getitem__") and hasattr(source, "__len__")


def from_arrays(
    x: Any,
    y: Any,
    name: str = "arrays",
    preparation: str = "",
    *,
    normalization: Normalization = Normalization(),
    class_names: Sequence[str] = (),
) -> Data:
    """Return checked data, stored as float32 and int64.

    Args:
        x: features [n, ...].
        y: integer classes [n], each of 0..k-1.
        name: the name of the data set.
        preparation: a description of how raw values became these features; exported models contain it.
        normalization: the formula by which raw values became these features; exported models apply it.
        class_names: the name of each class, for exported models; empty if the classes have no names.

    Raises:
        JobError: the lengths differ; features are not finite numbers, or are not at least two-dimensional; labels are not
            the integers 0..k-1 without gaps, or are all the same; the number of names is not the number of classes.
    """
    features, labels = _check_features(np.asarray(x), name), _check_labels(np.asarray(y), name)
    if len(features) != len(labels):
        raise JobError(
            f"data {name!r}: {len(features)} examples but {len(labels)} labels; each example needs one label"
        )
    data = Data(features, labels, name, preparation, normalization=normalization, class_names=tuple(class_names))
    if class_names and len(class_names) != data.classes:
        raise JobError(
            f"data {name!r}: {len(class_names)} class_names for {data.classes} classes; each class needs one"
        )
    return data


def from_dataset(dataset: Any) -> Data:
    """Read every item of a map-style dataset into memory, once and in order.

    The transforms of the dataset are applied when an item is read, so they must not be random.

    Raises:
        JobError: the items are not pairs of an array and a class, differ in shape, or do not fit into memory; or a check of
            `from_arrays` fails.
    """
    name, n = type(dataset).__name__, len(dataset)
    if n == 0:
        raise JobError(f"data {name!r}: the data set is empty")
    shape = _read_item(dataset, 0, name)[0].shape
    _check_memory(n, shape, name)
    x, y = np.empty((n, *shape), dtype=np.float32), []
    for index in range(n):
        features, label = _read_item(dataset, index, name)
        if features.shape != shape:
            raise JobError(
                f"data {name!r}: item {index} has shape {features.shape}, but item 0 has {shape}; "
                "give all examples one shape in the transform of the data set"
            )
        x[index] = features
        y.append(label)
    data = from_arrays(x, np.stack(y), name)
    names = getattr(dataset, "classes", ())  # the data sets of torchvision have this attribute
    has_names = isinstance(names, (list, tuple)) and len(names) == data.classes
    return replace(data, class_names=tuple(map(str, names))) if has_names else data


def _read_item(dataset: Any, index: int, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the features and the label of one item.

    Raises:
        JobError: the item is not a pair of an array and a label.
    """
    item = dataset[index]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise JobError(f"data {name!r}: item {index} is {_describe_value(item)}; items must be pairs (x, y)")
    features, label = item
    if not hasattr(features, "__array__") or not hasattr(features, "dtype"):
        raise JobError(
            f"data {name!r}: the x of item {index} is {_describe_value(features)}; it must be a tensor or an array: "
            "convert it in the transform of the data set"
        )
    return np.asarray(features), np.asarray(label)


def _check_features(x: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return features as contiguous float32.

    Raises:
        JobError: the features are not finite real numbers, or have fewer than two dimensions, or a size of zero.
    """
    if x.dtype.kind not in "biuf":
        raise JobError(f"data {name!r}: features have dtype {x.dtype}; they must be real numbers")
    if x.ndim < 2 or 0 in x.shape:
        raise JobError(
            f"data {name!r}: features have shape {x.shape}; it must be [examples, ...], and no size may be zero"
        )
    with np.errstate(over="ignore"):  # values that overflow float32 become infinite, which is checked below
        features = np.ascontiguousarray(x, dtype=np.float32)
    is_finite = np.isfinite(features).reshape(len(features), -1).all(axis=1)
    if not is_finite.all():
        invalid = np.flatnonzero(~is_finite)
        raise JobError(
            f"data {name!r}: {len(invalid)} of {len(features)} examples have NaN or infinite features, "
            f"the first is example {invalid[0]}; remove these examples, or replace the values"
        )
    return features


def _check_labels(y: NDArray[Any], name: str) -> IntArray:
    """Return labels as int64.

    Raises:
        JobError: the labels are not the integers 0..k-1 without gaps, or there is only one class.
    """
    remedy = "number the classes 0..k-1, for example with numpy.unique(y, return_inverse=True)[1]"
    if y.ndim != 1:
        raise JobError(f"data {name!r}: labels have shape {y.shape}; it must be [examples], one class for each")
    if y.dtype.kind not in "iu":
        raise JobError(f"data {name!r}: labels have dtype {y.dtype}, but must be integers; {remedy}")
    classes = np.unique(y)
    if len(classes) == 1:
        raise JobError(f"data {name!r}: all labels are {classes[0]}; classification needs at least two classes")
    if classes[0] != 0 or classes[-1] != len(classes) - 1:
        raise JobError(
            f"data {name!r}: {len(classes)} different labels from {classes[0]} to {classes[-1]}, "
            f"but they must be 0..{len(classes) - 1}; {remedy}"
        )
    return np.ascontiguousarray(y, dtype=np.int64)


def _check_memory(n: int, shape: Shape, name: str) -> None:
    """Raise JobError if `n` examples of this shape do not fit into the memory of the machine."""
    needed_bytes = 4 * n * math.prod(shape)
    physical_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed_bytes > physical_bytes:
        raise JobError(
            f"data {name!r}: {n} examples of shape {shape} need {needed_bytes / 2**30:.1f} GiB as float32, but this machine "
            f"has {physical_bytes / 2**30:.1f} GiB; use a subset (torch.utils.data.Subset), smaller examples, or a train "
            "function that reads them in parts"
        )


def _describe_value(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{'' if shape is None else f' of shape {tuple(shape)}'}"
