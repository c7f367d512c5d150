"""Networks as a person would draw them, to be compared with what a search finds."""

from __future__ import annotations

from torch import nn

from ogive.zoo.layers import ConvBlock, PooledClassifier


def small_cnn(classes: int = 10, in_channels: int = 1) -> nn.Module:
    """Four 3 x 3 convolutions with batch norm, 32, 32, 64 and 64 wide, a max pooling behind the second.

    Takes [batch, in_channels, side, side] with any side from 2; 65,834 parameters with the defaults.
    """
    return nn.Sequential(
        ConvBlock(in_channels, 32),
        ConvBlock(32, 32),
        nn.MaxPool2d(2),
        ConvBlock(32, 64),
        ConvBlock(64, 64),
        PooledClassifier(64, classes),
    )
