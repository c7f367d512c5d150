"""What makes a training cheaper than in full: less data, smaller images, a narrower or shallower model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.task.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


LEAST_SIDE = 4
"""Pixels of a side below which an image is made no smaller: two levels of halving are left for a network to look at."""


@dataclass(frozen=True)
class Proxy:
    """Shares of the full amounts, each above 0 and at most 1.

    Attributes:
        data_fraction: of the training part: a stratified subset, and a part of that of any larger share.
        resolution: of each side of the images, to train and to select on.
        width, depth: multipliers of what the space declares as `scaled`.

    Raises:
        JobError: a share is out of its range.
    """

    data_fraction: float = 1.0
    resolution: float = 1.0
    width: float = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        for name, share in self.shares().items():
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
                raise JobError(f"{name} is {share!r}, but must be a share of the full amount, above 0 and at most 1")

    def shares(self) -> dict[str, float]:
        """All of them by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def reduced(self) -> dict[str, float]:
        """Those that are below 1."""
        return {name: share for name, share in self.shares().items() if share != 1}

    def at(self, fidelity: Mapping[str, float]) -> Proxy:
        """This proxy at a fidelity, whose values are shares of what this proxy leaves; epochs are not looked at."""
        return replace(self, **{name: share * fidelity.get(name, 1.0) for name, share in self.shares().items()})

    @property
    def multipliers(self) -> dict[str, float]:
        """What the model is built with."""
        return {name: share for name, share in self.reduced().items() if name in ("width", "depth")}

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one example at this resolution.

        Raises:
            JobError: the examples are no images, or would become smaller than `LEAST_SIDE`.
        """
        if self.resolution == 1:
            return shape
        if len(shape) != 3:
            raise JobError(
                f"resolution={self.resolution:g} is for images [channels, height, width], and these examples have the shape "
                f"{list(shape)}; leave it out"
            )
        small = tuple(max(1, round(side * self.resolution)) for side in shape[1:])
        if any(now < min(side, LEAST_SIDE) for side, now in zip(shape[1:], small, strict=True)):
            least = max(LEAST_SIDE / side for side in shape[1:] if side > 1)
            allowed = f"give at least {math.ceil(1000 * least) / 1000:g}" if least < 1 else "leave it out"
            raise JobError(
                f"resolution={self.resolution:g} would make images of {shape[1]} x {shape[2]} pixels {small[0]} x {small[1]}"
                f", and below {LEAST_SIDE} pixels a side little is left to look at; {allowed}"
            )
        return (shape[0], *small)

    def shrink(self, x: Tensor) -> Tensor:
        """Images [n, channels, height, width] at this resolution; a pixel is the mean of those that it stands for."""
        if self.resolution == 1:
            return x
        from torch.nn import functional as F

        _, height, width = self.shape(tuple(x.shape[1:]))
        return F.adaptive_avg_pool2d(x, (height, width))

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe at this resolution: what it says in pixels shrinks with the images."""
        if self.resolution == 1:
            return recipe
        pixels: dict[str, Any] = {n: round(getattr(recipe, n) * self.resolution) for n in ("shift", "cutout")}
        return replace(recipe, **pixels)
