"""Augmentation of training images: random shifts, flips and cutout, drawn from PyTorch's random state on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ogive.errors import JobError
from ogive.task.recipe import Recipe


def augment(x: Tensor, recipe: Recipe) -> Tensor:
    """Return a batch of images [b, channels, height, width], augmented as `recipe` says. `x` is not changed.

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
        x = _shift(x, recipe.shift)
    if recipe.flip:
        flipped = (torch.rand(len(x), 1, 1, 1) < 0.5).to(x.device)
        x = torch.where(flipped, x.flip(3), x)
    return _cutout(x, recipe.cutout) if recipe.cutout else x


def _shift(x: Tensor, limit: int) -> Tensor:
    """Move each image by up to `limit` pixels along each axis, and fill with zeros (He et al. 2016)."""
    b, _, height, width = x.shape
    down, right = torch.randint(0, 2 * limit + 1, (2, b, 1))
    rows, columns = (down + torch.arange(height)).to(x.device), (right + torch.arange(width)).to(x.device)  # [b, side]
    images = torch.arange(b, device=x.device)[:, None, None]
    padded = F.pad(x, (limit, limit, limit, limit))
    return padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cutout(x: Tensor, side: int) -> Tensor:
    """Set a square of each image to zero. Its centre is any pixel, so it may exceed the image (DeVries and Taylor 2017)."""
    b, _, height, width = x.shape
    top, left = (torch.randint(0, size, (b, 1)) - side // 2 for size in (height, width))
    rows, columns = torch.arange(height), torch.arange(width)
    inside = ((rows >= top) & (rows < top + side))[:, :, None] & ((columns >= left) & (columns < left + side))[
        :, None, :
    ]
    return x.masked_fill(inside[:, None].to(x.device), 0.0)
