"""Augmentation of training images: random shifts, flips and cutout, drawn from PyTorch's random state on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ogive.errors import JobError
from ogive.task.recipe import Recipe


def augment(x: Tensor, recipe: Recipe) -> Tensor:
    """Return a batch of images [count, channels, height, width] with the augmentation of `recipe`; `x` is not changed.

    Raises:
        JobError: the recipe augments, but the examples are not images.
    """
    if not (recipe.shift or recipe.flip or recipe.cutout):
        return x
    if x.ndim != 4:
        raise JobError(
            f"recipe: shift, flip and cutout need images [channels, height, width], but the examples have the shape "
            f"{list(x.shape[1:])}; remove these settings"
        )
    if recipe.shift:
        x = _shift_images(x, recipe.shift)
    if recipe.flip:
        # The random numbers are drawn on the CPU, so that they do not depend on the device.
        is_flipped = (torch.rand(len(x), 1, 1, 1) < 0.5).to(x.device)
        x = torch.where(is_flipped, x.flip(3), x)
    return _apply_cutout(x, recipe.cutout) if recipe.cutout else x


def _shift_images(x: Tensor, max_shift: int) -> Tensor:
    """Move each image by a random offset of up to `max_shift` pixels per axis, and fill with zeros (He et al. 2016)."""
    count, _, height, width = x.shape
    # Each image is padded on all sides, and a window of the original size is cut out at a random offset.
    down, right = torch.randint(0, 2 * max_shift + 1, (2, count, 1))
    rows, columns = (
        (down + torch.arange(height)).to(x.device),
        (right + torch.arange(width)).to(x.device),
    )  # [count, side]
    images = torch.arange(count, device=x.device)[:, None, None]
    padded = F.pad(x, (max_shift, max_shift, max_shift, max_shift))
    return padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _apply_cutout(x: Tensor, side: int) -> Tensor:
    """Set a square of each image to zero. It is centred at any pixel, so it may be cut off (DeVries and Taylor 2017)."""
    count, _, height, width = x.shape
    top, left = (torch.randint(0, size, (count, 1)) - side // 2 for size in (height, width))
    rows, columns = torch.arange(height), torch.arange(width)
    is_inside = ((rows >= top) & (rows < top + side))[:, :, None] & ((columns >= left) & (columns < left + side))[
        :, None, :
    ]
    return x.masked_fill(is_inside[:, None].to(x.device), 0.0)
