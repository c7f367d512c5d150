"""Hand-drawn networks, as baselines for the winner of a search."""

from __future__ import annotations

from torch import nn

from ogive.zoo.layers import ConvBlock, PooledClassifier


def small_cnn(classes: int = 10, in_channels: int = 1) -> nn.Module:
    """Return a network of four 3 x 3 convolutions with batch norm (32, 32, 64, 64 channels), and max pooling in the middle.

    Its input is [batch, in_channels, side, side] with any side from 2. With the defaults it has 65,834 parameters.
    """
    return nn.Sequential(
        ConvBlock(in_channels, 32),
        ConvBlock(32, 32),
        nn.MaxPool2d(2),
        ConvBlock(32, 64),
        ConvBlock(64, 64),
        PooledClassifier(64, classes),
    )
