"""Layers of the ready-made spaces. Feature maps are [batch, channels, height, width] throughout."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """Convolution with 'same' padding, batch norm, ReLU. A side of n pixels becomes ceil(n / stride).

    Args:
        in_channels: the number of channels of the input.
        out_channels: the number of channels of the output; also an attribute.
        kernel: the kernel size; an odd number.
        stride: the stride of the convolution.

    Raises:
        ValueError: the kernel size is even.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"kernel={kernel}: 'same' padding needs an odd kernel")
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )
        self.out_channels = out_channels


class PooledClassifier(nn.Sequential):
    """Global average pooling, then a linear layer: [batch, channels, height, width] to [batch, classes]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class ConvNet(nn.Module):
    """A chain of blocks, followed by a pooled classifier: [batch, channels, side, side] to [batch, classes].

    Args:
        blocks: the blocks in order; the classifier reads `out_channels` of the last one.
        classes: the number of classes.
    """

    def __init__(self, *blocks: ConvBlock, classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.head = PooledClassifier(blocks[-1].out_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(x))
        return logits


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution with 'same' padding, batch norm: the order in the cells of NAS-Bench-201."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class Zero(nn.Module):
    """The operation `none` of NAS-Bench-201: its output has the shape of the input and is zero, as is its gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


class AveragePool(nn.AvgPool2d):
    """Average pooling over 3 x 3 pixels with stride 1. Pixels outside of the image are not part of the average."""

    def __init__(self) -> None:
        super().__init__(3, stride=1, padding=1, count_include_pad=False)


class DenseCell(nn.Module):
    """A cell in which each node is the sum of operations on all earlier nodes. The last node is the output.

    Args:
        edges: the operations, in the order 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, ...: first the edge into node 1, then those into
            node 2, and so on.

    Raises:
        ValueError: the number of edges is not n (n - 1) / 2 for a number of nodes n.
    """

    def __init__(self, edges: Sequence[nn.Module]) -> None:
        super().__init__()
        # Find the smallest number of nodes whose complete graph has at least as many edges as there are operations.
        nodes = 2
        while nodes * (nodes - 1) // 2 < len(edges):
            nodes += 1
        if nodes * (nodes - 1) // 2 != len(edges):
            raise ValueError(f"{len(edges)} edges do not form a dense cell; a dense cell has 1, 3, 6, 10, ... edges")
        self.nodes = nodes
        self.edges = nn.ModuleList(edges)

    def forward(self, x: Tensor) -> Tensor:
        states = [x]
        for node in range(1, self.nodes):
            # The edges into earlier nodes come first: 0 + 1 + ... + (node - 1) of them.
            first_edge = node * (node - 1) // 2
            inputs = [self.edges[first_edge + source](states[source]) for source in range(node)]
            states.append(sum(inputs[1:], start=inputs[0]))
        return states[-1]


class ResidualReduction(nn.Module):
    """The residual block between the stages of NAS-Bench-201: it halves the side and changes the channels.

    The side must be even.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(in_channels, out_channels, 3, stride=2)
        self.conv_b = ReLUConvBN(out_channels, out_channels, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.conv_b(self.conv_a(x))
        return y


class Stem(nn.Sequential):
    """3 x 3 convolution and batch norm: the first layers of NAS-Bench-201."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))


class NormalisedClassifier(nn.Sequential):
    """Batch norm, ReLU, global average pooling, linear: the last layers of NAS-Bench-201."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, classes),
        )
