"""NAS-Bench-201: X. Dong and Y. Yang, NAS-Bench-201: Extending the scope of reproducible NAS, ICLR 2020."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from ogive.errors import SpaceError
from ogive.space import Architecture, Space, layer, one_of, repeat, scaled, wiring
from ogive.zoo.layers import AveragePool, DenseCell, NormalisedClassifier, ReLUConvBN, ResidualReduction, Stem, Zero

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) of `edge0` to `edge5`."""
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def operations(channels: object) -> dict[str, object]:
    """The five operations at one width, by their published names."""
    return {
        "none": layer(Zero),
        "skip_connect": layer(nn.Identity),
        "nor_conv_1x1": layer(ReLUConvBN, channels, channels, 1),
        "nor_conv_3x3": layer(ReLUConvBN, channels, channels, 3),
        "avg_pool_3x3": layer(AveragePool),
    }


def cell(channels: object) -> object:
    """The cell at one width; its edges are the same decisions at every width and every place."""
    return layer(DenseCell, [one_of(**operations(channels), name=f"edge{e}") for e in range(len(EDGES))])


def nasbench201(channels: int = 16, cells: int = 5, classes: int = 10, in_channels: int = 3, image: int = 32) -> Space:
    """The topology search space of NAS-Bench-201: one cell of four nodes and six edges, stacked in three stages.

    5^6 = 15,625 architectures, of which 6,466 differ by the authors' count (`unique_string`). Decisions: `edge0` to
    `edge5` for the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3. Width and depth multipliers shrink C and N.

    Args:
        channels: width C of the first stage; the later ones have 2C and 4C.
        cells: cells a stage, N.
        classes: number of classes.
        in_channels: channels of the image.
        image: side of the image in pixels, a multiple of 4.
    """
    if image % 4:
        raise SpaceError(f"nasbench201(image={image}): two stages halve the image, so its side is a multiple of 4")
    first, second, third = (scaled(factor * channels, "width") for factor in (1, 2, 4))
    times = scaled(cells, "depth")
    net = layer(
        nn.Sequential,
        layer(Stem, in_channels, first),
        repeat(cell(first), times=times),
        layer(ResidualReduction, first, second),
        repeat(cell(second), times=times),
        layer(ResidualReduction, second, third),
        repeat(cell(third), times=times),
        layer(NormalisedClassifier, third, classes),
    )
    example = (in_channels, image, image)
    return Space(net, example_input=example, canonical=unique_string, graph=nasbench201_graph)


def unique_string(choices: Mapping[str, str]) -> str:
    """The authors' unique string (`to_unique_str` in their code): equal for cells that they count as isomorphic.

    A node is the sorted sum of its inputs; `skip_connect` stands for its source, `none` and whatever starts at a
    node that is exactly `#` for zero, written `#`. Zeros stay in their sums and sums are not flattened, which is what
    gives the published 6,466; some cells of different strings still compute the same function.
    """
    nodes = ["0"]
    for target in range(1, 4):
        inputs = []
        for e, (source, end) in enumerate(EDGES):
            if end == target:
                operation, x = choices[f"edge{e}"], nodes[source]
                if operation == "none" or x == "#":
                    inputs.append("#")
                else:
                    inputs.append(x if operation == "skip_connect" else f"({x})@{operation}")
        nodes.append("+".join(sorted(inputs)))
    return nodes[-1]


def nasbench201_graph(choices: Mapping[str, str]) -> tuple[list[str], list[tuple[int, int]]]:
    """The cell as a graph whose nodes are operations, between `input` and `output` (see `ogive.space.wiring`)."""
    return wiring({edge: choices[f"edge{e}"] for e, edge in enumerate(EDGES)})


def nasbench201_string(architecture: Architecture | Mapping[str, str]) -> str:
    """The published name of an architecture, such as `|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|`."""
    nodes = []
    for target in range(1, 4):
        inputs = [f"{architecture[f'edge{e}']}~{source}" for e, (source, end) in enumerate(EDGES) if end == target]
        nodes.append(f"|{'|'.join(inputs)}|")
    return "+".join(nodes)


def nasbench201_choices(string: str) -> dict[str, str]:
    """The choices behind a published name, for `space.architecture(...)`; the inverse of `nasbench201_string`.

    Raises:
        SpaceError: `string` is not the name of a NAS-Bench-201 cell.
    """
    found = re.findall(r"(\w+)~(\d)", string)
    choices = {f"edge{e}": operation for e, (operation, _) in enumerate(found)}
    if len(found) != len(EDGES) or nasbench201_string(choices) != string or set(choices.values()) - set(OPERATIONS):
        raise SpaceError(
            f"{string!r} does not name a NAS-Bench-201 cell: wanted |a~0|+|b~0|c~1|+|d~0|e~1|f~2| "
            f"with operations of {', '.join(OPERATIONS)}"
        )
    return choices
