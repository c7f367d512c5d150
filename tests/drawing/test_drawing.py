"""Drawings show the chosen alternatives, merge equal layers, and are well-formed for all labels."""

from __future__ import annotations

import io
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console
from torch import nn

import ogive as og
from ogive.report import draw_svg, draw_text

SVG = "{http://www.w3.org/2000/svg}"


def text(architecture: og.Architecture, width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(draw_text(architecture))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def lines_of(svg: str) -> list[str]:
    """Return the lines of text of an SVG, which is parsed as XML."""
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


class Block(nn.Module):
    def __init__(self, inside: int, outside: int, op: nn.Module | None, stride: int = 1) -> None:
        super().__init__()


def test_a_chain_is_drawn_layer_by_layer_with_chosen_settings_first() -> None:
    labels = {"depth": 2, "channels0": 16, "kernel0": 5, "channels1": 32, "kernel1": 3}
    architecture = og.zoo.chain().architecture(labels)
    assert text(architecture) == [
        "ConvNet depth=2 (classes=10)",
        "├── ConvBlock out_channels=16 kernel=5 (in_channels=1, stride=1)",
        "└── ConvBlock in_channels=16 out_channels=32 kernel=3 (stride=2)",
    ]
    lines = lines_of(draw_svg(architecture))
    assert lines[0] == "ConvNet"
    assert lines.count("ConvBlock") == 2
    assert "out_channels=16  kernel=5" in lines
    assert "kernel: kernel0" in draw_svg(architecture)  # the tooltip names the decision


def test_consecutive_layers_that_look_equal_are_merged() -> None:
    def block(i: int) -> object:
        op = og.one_of(conv=og.layer(nn.ReLU), skip=None, name=f"op{i}")
        return og.layer(Block, 8, og.one_of(8, 16, name=f"w{i}"), op)

    space = og.Space(og.layer(nn.Sequential, og.repeat(block, times=og.integer(1, 5, name="times"))))
    same = {f"w{i}": 8 for i in range(4)} | {"op0": "conv", "op1": "conv", "op2": "skip", "op3": "skip"}
    drawn = text(space.architecture({"times": 4, **same}))
    assert drawn == [
        "Sequential times=4",
        "├── 2 x Block outside=8 (inside=8)",
        "│   └── op: conv ReLU",
        "└── 2 x Block outside=8 op=skip (inside=8)",
    ]
    assert "Block x2" in lines_of(draw_svg(space.architecture({"times": 4, **same})))


def test_a_nasbench201_cell_is_drawn_as_its_nodes() -> None:
    string = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    architecture = og.zoo.nasbench201().architecture(og.zoo.nasbench201_choices(string))
    nodes = [
        "node 1 = nor_conv_3x3(0)",
        "node 2 = none(0) + avg_pool_3x3(1)",
        "node 3 = skip_connect(0) + none(1) + nor_conv_1x1(2)",
    ]
    drawn = text(architecture)
    assert sum("5 x DenseCell" in line for line in drawn) == 3
    for node in nodes:
        assert sum(node in line for line in drawn) == 3
        assert lines_of(draw_svg(architecture)).count(node) == 3


def test_a_long_chain_is_drawn_in_several_columns() -> None:
    layers = [og.layer(nn.Conv2d, 3, og.one_of(8, 16, name=f"w{i}"), 1 + 2 * (i % 2)) for i in range(60)]
    architecture = og.Space(og.layer(nn.Sequential, *layers)).sample(np.random.default_rng(0))
    svg = draw_svg(architecture)
    root = ElementTree.fromstring(svg)
    assert float(root.get("height", 0)) < 800
    frames = [tuple(float(r.get(k, 0)) for k in ("x", "y", "width", "height")) for r in root.iter(f"{SVG}rect")]
    (_, _, width, height), *inner = frames
    assert len(inner) == 60
    for i, (x, y, w, h) in enumerate(inner):
        assert 0 < x < x + w < width + 1
        assert 0 < y < y + h < height + 1
        for x2, y2, w2, h2 in inner[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, "two layers overlap"


@pytest.mark.parametrize("space", [og.zoo.chain(), og.zoo.nasbench201(), og.zoo.nasbench201(cells=1, image=8)])
def test_every_chosen_label_is_in_both_drawings(space: og.Space) -> None:
    rng = np.random.default_rng(7)
    for _ in range(5):
        architecture = space.sample(rng)
        shown, drawn = "\n".join(text(architecture)), "\n".join(lines_of(draw_svg(architecture)))
        for label in architecture.values():
            assert str(label) in shown
            assert str(label) in drawn


def test_labels_are_text_never_markup() -> None:
    hostile = ["</svg><script>alert(1)</script>", "[bold red]x[/]", 'a"b&c', "line\nbreak\x00\x1b[31m", "x" * 500]
    space = og.Space(og.layer(dict, v=og.one_of(*hostile, name="v"), s=og.some_of((1, 5), *hostile, name="<s>")))
    architecture = space.architecture({"v": hostile[0], "<s>": hostile})
    svg = draw_svg(architecture)
    ElementTree.fromstring(svg)
    assert "<script>" not in svg
    (line,) = text(architecture)
    assert "[bold red]x[/]" in line
    assert "\x1b" not in line
    assert len(line) < 400


def test_a_space_from_a_journal_is_drawn_as_a_list_of_decisions() -> None:
    space = og.zoo.chain()
    architecture = space.sample(np.random.default_rng(1))
    bare = og.Space.from_json(space.to_json()).architecture(architecture.to_json())
    first, *rest = text(bare)
    assert "decisions and labels, without layers" in first
    assert [line.lstrip("├└─ ") for line in rest] == [f"{name}: {label}" for name, label in architecture.items()]
    assert any("without layers" in line for line in lines_of(draw_svg(bare)))


def test_importing_the_report_package_loads_neither_matplotlib_nor_torch() -> None:
    program = (
        "import sys, ogive.report as r; r.draw_text; r.show_live_view; r.BaselineComparison; r.write_report; "
        "sys.exit(' '.join(m for m in ('torch', 'matplotlib', 'pandas') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
