"""The interface of domains: the labels of one decision, and how they are sampled, encoded and written as JSON.

Every domain maps a number `u` in [0, 1) to a label (`pick`), so that one vector of uniform numbers gives a complete
architecture. Labels are JSON scalars; a label of a `Subset` is a tuple of these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Label = Any
Array = NDArray[np.float64]


class Domain(ABC):
    """The labels that a decision can have.

    Attributes:
        kind: the function that declares the domain, such as "one_of".
        size: the number of labels; `math.inf` for a real number.
        width: the number of columns of the encoding.
        is_ordered: whether the labels have an order.
    """

    kind: str
    size: float
    width: int
    is_ordered: bool = False

    @abstractmethod
    def parse(self, value: Any) -> Label:
        """Return the label that equals `value`.

        Raises:
            ValueError: no label equals `value`; the message says what is allowed.
        """

    @abstractmethod
    def pick(self, u: float) -> Label:
        """Return the label at `u` in [0, 1): uniform over the labels, or over their logarithms with `log=True`."""

    @abstractmethod
    def pick_other(self, label: Label, u: float) -> Label:
        """Return the label at `u` in [0, 1) among all labels except `label`.

        All of them are equally probable, also with `log=True`; a real number is picked as by `pick`.
        """

    @abstractmethod
    def neighbors(self, label: Label) -> Iterator[Label]:
        """Yield the neighbours of `label`.

        The relation is symmetric: if b is a neighbour of a, then a is a neighbour of b (for real numbers up to rounding).
        """

    @abstractmethod
    def enumerate_labels(self, resolution: int) -> Iterator[Label]:
        """Yield every label; of a real number, `resolution` values at equal distances on its (perhaps logarithmic) scale.

        Other domains do not use `resolution`.
        """

    @abstractmethod
    def encode(self, labels: Sequence[Label]) -> Array:
        """Return the encoding [n, width] of n labels, with values in [0, 1]."""

    @abstractmethod
    def decode(self, columns: Array) -> list[Label]:
        """Return the labels of n encoded vectors [n, width]; if a vector encodes no label, the nearest label."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the domain as JSON, which `domain.from_json` reads."""
