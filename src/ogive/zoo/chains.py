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
    """Return the space of chains of `depth` convolutional blocks, each with its own width and kernel size.

    The defaults are for scikit-learn's digits, and give 6^2 + 6^3 + 6^4 + 6^5 = 9,324 architectures. Every second block
    halves the side of the image. The classifier accepts images of any size, because of global average pooling. Width and
    depth multipliers reduce the channels and the number of blocks.

    The decisions are `depth`, and `channels0`, `kernel0`, `channels1`, ... for each block.

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
        source = in_channels if i == 0 else widths[i - 1]
        return layer(ConvBlock, source, widths[i], one_of(*kernels, name=f"kernel{i}"), stride=1 + i % 2)

    times = scaled(integer(*depth, name="depth"), "depth")
    return Space(layer(ConvNet, repeat(block, times=times), classes=classes), example_input=(in_channels, image, image))
