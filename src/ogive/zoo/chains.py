"""Chains of convolutional blocks."""

from __future__ import annotations

from collections.abc import Sequence

from ogive.space import Space, integer, layer, one_of, repeat, scaled
from ogive.zoo.layers import ConvBlock, ConvNet


def chain(
    *,
    channels: Sequence[int] = (16, 32, 64),
    kernels: Sequence[int] = (3, 5),
    depth: tuple[int, int] = (2, 5),
    classes: int = 10,
    in_channels: int = 1,
    image: int = 8,
) -> Space:
    """Return a space of chains of convolutional blocks.

    The number of blocks, and the channels and kernel size of each block, are decisions. The defaults are for scikit-learn's
    digits, and give 6^2 + 6^3 + 6^4 + 6^5 = 9,324 architectures. Every second block halves the side of the image. The
    classifier accepts images of any size, because of global average pooling. A width multiplier reduces the channels, and a
    depth multiplier the number of blocks.

    The names of the decisions are `depth`, and `channels0`, `kernel0`, `channels1`, ... for each block.

    Args:
        channels: the numbers of channels to choose from.
        kernels: the kernel sizes to choose from; odd numbers.
        depth: the minimum (at least 1) and the maximum number of blocks.
        classes: the number of classes.
        in_channels: the number of channels of the image.
        image: the side of the image in pixels.
    """
    widths = [scaled(one_of(*channels, name=f"channels{i}"), "width") for i in range(depth[1])]

    def block(i: int) -> object:
        block_in_channels = in_channels if i == 0 else widths[i - 1]
        return layer(ConvBlock, block_in_channels, widths[i], one_of(*kernels, name=f"kernel{i}"), stride=1 + i % 2)

    blocks = scaled(integer(*depth, name="depth"), "depth")
    return Space(
        layer(ConvNet, repeat(block, times=blocks), classes=classes), example_input=(in_channels, image, image)
    )
