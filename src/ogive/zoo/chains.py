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
    """A chain of `depth` convolutional blocks, each with a width and a kernel of its own.

    The defaults fit scikit-learn's digits and give 6^2 + 6^3 + 6^4 + 6^5 = 9,324 architectures. Every second block
    halves the side of the image; global average pooling makes the classifier independent of it. Width and depth multipliers
    shrink the channels and the number of blocks.

    Decisions: `depth`; `channels0`, `kernel0`, `channels1`, ... as far as the chain reaches.

    Args:
        channels: widths to choose from.
        kernels: odd kernel sides to choose from.
        depth: fewest and most blocks, from 1.
        classes: number of classes.
        in_channels: channels of the image.
        image: side of the image in pixels.
    """
    widths = [scaled(one_of(*channels, name=f"channels{i}"), "width") for i in range(depth[1])]

    def block(i: int) -> object:
        source = in_channels if i == 0 else widths[i - 1]
        return layer(ConvBlock, source, widths[i], one_of(*kernels, name=f"kernel{i}"), stride=1 + i % 2)

    times = scaled(integer(*depth, name="depth"), "depth")
    return Space(layer(ConvNet, repeat(block, times=times), classes=classes), example_input=(in_channels, image, image))
