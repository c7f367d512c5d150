"""NAS-Bench-201: X. Dong and Y. Yang, NAS-Bench-201: Extending the scope of reproducible NAS, ICLR 2020."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from ogive.errors import SpaceError
from ogive.space import Architecture, Space, layer, one_of, repeat, scaled, wiring
from ogive.zoo.layers import AveragePool, DenseCell, NormalisedClassifier, ReLUConvBN, ResidualReduction, Stem, Zero

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The nodes (from, to) of `edge0` to `edge5`."""
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def declare_operations(channels: object) -> dict[str, object]:
    """Return the five operations by their published names, as layers with a number of channels."""
    return {
        "none": layer(Zero),
        "skip_connect": layer(nn.Identity),
        "nor_conv_1x1": layer(ReLUConvBN, channels, channels, 1),
        "nor_conv_3x3": layer(ReLUConvBN, channels, channels, 3),
        "avg_pool_3x3": layer(AveragePool),
    }


def declare_cell(channels: object) -> object:
    """Return a cell with a number of channels. All cells of a network share the decisions `edge0` to `edge5`."""
    return layer(DenseCell, [one_of(**declare_operations(channels), name=f"edge{e}") for e in range(len(EDGES))])


def nasbench201(channels: int = 16, cells: int = 5, classes: int = 10, in_channels: int = 3, image: int = 32) -> Space:
    """Return the topology search space of NAS-Bench-201: a cell of four nodes and six edges, stacked in three stages.

    The space has 5^6 = 15,625 architectures, of which 6,466 are distinct by the authors' definition (`unique_string`). The
    decisions are `edge0` to `edge5`, for the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3. A width multiplier reduces C, and a
    depth multiplier reduces N.

    Args:
        channels: the number of channels of the first stage, C; the later stages have 2C and 4C.
        cells: the number of cells per stage, N.
        classes: the number of classes.
        in_channels: the number of channels of the image.
        image: the side of the image in pixels, a multiple of 4.

    Raises:
        SpaceError: `image` is not a multiple of 4.
    """
    if image % 4:
        raise SpaceError(
            f"nasbench201(image={image}): image must be a multiple of 4, because two stages halve the image"
        )
    channels1, channels2, channels3 = (scaled(factor * channels, "width") for factor in (1, 2, 4))
    cells_per_stage = scaled(cells, "depth")
    net = layer(
        nn.Sequential,
        layer(Stem, in_channels, channels1),
        repeat(declare_cell(channels1), times=cells_per_stage),
        layer(ResidualReduction, channels1, channels2),
        repeat(declare_cell(channels2), times=cells_per_stage),
        layer(ResidualReduction, channels2, channels3),
        repeat(declare_cell(channels3), times=cells_per_stage),
        layer(NormalisedClassifier, channels3, classes),
    )
    image_shape = (in_channels, image, image)
    return Space(net, example_input=image_shape, canonical=unique_string, graph=nasbench201_graph)


def unique_string(labels: Mapping[str, str]) -> str:
    """Return a string that is the same for all cells that the authors count as equal (`to_unique_str` in their code).

    The string of a node consists of the strings of its incoming edges, sorted and joined by `+`. A `skip_connect` edge has
    the string of its source node. A `none` edge is written `#`, for zero, and so is every edge from a node whose string is
    `#`. As in the authors' code, zeros are not removed from sums, and nested sums are not flattened; this gives the
    published number of 6,466 cells. Some cells with different strings still compute the same function.
    """
    node_strings = ["0"]
    for node in range(1, 4):
        edge_strings = []
        for e, (source, target) in enumerate(EDGES):
            if target == node:
                operation, source_string = labels[f"edge{e}"], node_strings[source]
                if operation == "none" or source_string == "#":
                    edge_strings.append("#")
                elif operation == "skip_connect":
                    edge_strings.append(source_string)
                else:
                    edge_strings.append(f"({source_string})@{operation}")
        node_strings.append("+".join(sorted(edge_strings)))
    return node_strings[-1]


def nasbench201_graph(labels: Mapping[str, str]) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the cell as a graph whose nodes are `input`, the operations and `output` (see `ogive.space.wiring`)."""
    return wiring({edge: labels[f"edge{e}"] for e, edge in enumerate(EDGES)})


def nasbench201_string(architecture: Architecture | Mapping[str, str]) -> str:
    """Return the published name of an architecture, such as `|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|`."""
    node_names = []
    for node in range(1, 4):
        edge_names = [
            f"{architecture[f'edge{e}']}~{source}" for e, (source, target) in enumerate(EDGES) if target == node
        ]
        node_names.append(f"|{'|'.join(edge_names)}|")
    return "+".join(node_names)


def nasbench201_choices(string: str) -> dict[str, str]:
    """Return the labels of the architecture with a published name, for `space.architecture(...)`.

    This is the inverse of `nasbench201_string`.

    Raises:
        SpaceError: `string` is not the name of a NAS-Bench-201 cell.
    """
    edges = re.findall(r"(\w+)~(\d)", string)
    labels = {f"edge{e}": operation for e, (operation, _) in enumerate(edges)}
    if len(edges) != len(EDGES) or nasbench201_string(labels) != string or set(labels.values()) - set(OPERATIONS):
        raise SpaceError(
            f"{string!r} is not the name of a NAS-Bench-201 cell; expected |a~0|+|b~0|c~1|+|d~0|e~1|f~2| "
            f"with operations among {', '.join(OPERATIONS)}"
        )
    return labels
