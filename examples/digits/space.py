"""A search space for small images, with the structure of a hand-drawn network: a stem, two stages, a head.

The depth of each stage is a decision, and so is the width that its blocks share; each block is one of three kinds of
convolution.
"""

from __future__ import annotations

from torch import Tensor, nn

import ogive as og


def conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Return an ordinary convolution."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding="same", bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def separable(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Return a depthwise convolution, followed by a pointwise one (Howard et al. 2017)."""
    depthwise = nn.Conv2d(inputs, inputs, kernel, padding="same", groups=inputs, bias=False)
    return nn.Sequential(
        depthwise, nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Residual(nn.Module):
    """Two convolutions with a shortcut connection (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(inputs, outputs, kernel), conv(outputs, outputs, kernel))
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


def head(inputs: int, classes: int, grid: int) -> nn.Sequential:
    """Return a linear classifier of the means over the whole image, or over its quarters (`grid` 2)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(grid), nn.Flatten(), nn.Linear(inputs * grid**2, classes))


WIDTH = [og.one_of(8, 16, 24, 32, name="width0"), og.one_of(16, 32, 48, 64, name="width1")]


def block(stage: int, i: int) -> object:
    """Return block `i` of a stage; the first block changes the width."""
    channels = {"inputs": WIDTH[0] if i == 0 else WIDTH[stage], "outputs": WIDTH[stage]}
    return og.one_of(
        conv=og.layer(conv, **channels, kernel=og.one_of(3, 5)),
        separable=og.layer(separable, **channels, kernel=og.one_of(3, 5)),
        residual=og.layer(Residual, **channels, kernel=3),
    )


space = og.Space(
    og.layer(
        nn.Sequential,
        og.layer(conv, 1, WIDTH[0], kernel=3),
        og.repeat(lambda i: block(0, i), times=og.integer(0, 2, name="depth0")),
        og.one_of(max=og.layer(nn.MaxPool2d, 2), mean=og.layer(nn.AvgPool2d, 2), name="pooling"),
        og.repeat(lambda i: block(1, i), times=og.integer(1, 3, name="depth1")),
        og.layer(head, WIDTH[1], classes=10, grid=og.one_of(1, 2, name="grid")),
    ),
    example_input=(1, 8, 8),
)
