"""Proxies: cheaper training than full training, with fewer data, smaller images, or a narrower or shallower model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError
from ogive.task.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor


MIN_SIDE = 4
"""The minimum height and width of an image in pixels: enough for a network that halves the resolution twice."""


@dataclass(frozen=True)
class Proxy:
    """A proxy: for each amount that it reduces, the share of the full amount, above 0 and at most 1.

    Attributes:
        data_fraction: the share of the training examples. Subsets are stratified and nested.
        resolution: the share of height and width of the images, in training and validation.
        width, depth: the factors by which the values that the space declares as `scaled` are multiplied.

    Raises:
        JobError: a share is out of its range.
    """

    data_fraction: float = 1.0
    resolution: float = 1.0
    width: float = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        for name, share in self.list_shares().items():
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
                raise JobError(f"{name} is {share!r}, but must be a share of the full amount, above 0 and at most 1")

    def list_shares(self) -> dict[str, float]:
        """Return all shares by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def list_reduced_shares(self) -> dict[str, float]:
        """Return the shares below 1 by name."""
        return {name: share for name, share in self.list_shares().items() if share != 1}

    def multiply_shares(self, fidelity: Mapping[str, float]) -> Proxy:
        """Return a proxy whose shares are multiplied by the values of the same names in `fidelity`; epochs are ignored."""
        return replace(self, **{name: share * fidelity.get(name, 1.0) for name, share in self.list_shares().items()})

    @property
    def multipliers(self) -> dict[str, float]:
        """The multipliers below 1 that the model is built with."""
        return {name: share for name, share in self.list_reduced_shares().items() if name in ("width", "depth")}

    def scale_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one example at this resolution.

        Raises:
            JobError: the examples are not images, or would be smaller than `MIN_SIDE`.
        """
        if self.resolution == 1:
            return shape
        if len(shape) != 3:
            raise JobError(
                f"resolution={self.resolution:g} needs images [channels, height, width], but the examples have the shape "
                f"{list(shape)}; remove the resolution"
            )
        reduced_sides = tuple(max(1, round(side * self.resolution)) for side in shape[1:])
        if any(reduced < min(side, MIN_SIDE) for side, reduced in zip(shape[1:], reduced_sides, strict=True)):
            # The least sufficient resolution; the message gives it rounded up to three decimals.
            minimum = max(MIN_SIDE / side for side in shape[1:] if side > 1)
            remedy = f"use at least {math.ceil(1000 * minimum) / 1000:g}" if minimum < 1 else "remove the resolution"
            raise JobError(
                f"resolution={self.resolution:g} would reduce images of {shape[1]} x {shape[2]} pixels to "
                f"{reduced_sides[0]} x {reduced_sides[1]}, but height and width must stay at least {MIN_SIDE} pixels; "
                f"{remedy}"
            )
        return (shape[0], *reduced_sides)

    def shrink_images(self, x: Tensor) -> Tensor:
        """Return images [n, channels, height, width] at this resolution, reduced by averaging the pixels of each area."""
        if self.resolution == 1:
            return x
        from torch.nn import functional as F

        _, height, width = self.scale_shape(tuple(x.shape[1:]))
        return F.adaptive_avg_pool2d(x, (height, width))

    def scale_recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe at this resolution: settings in pixels are reduced like the images."""
        if self.resolution == 1:
            return recipe
        reduced: dict[str, Any] = {n: round(getattr(recipe, n) * self.resolution) for n in ("shift", "cutout")}
        return replace(recipe, **reduced)
