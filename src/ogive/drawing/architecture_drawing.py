"""Drawings of an architecture: a tree for terminals, boxes for pages."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from ogive.drawing.layer_svg import layer_picture
from ogive.drawing.layer_tree import LayerBox, Setting, dense_rows, layer_tree
from ogive.space import Architecture

CHOSEN = "bold cyan"
FIXED = "dim"


def draw_text(architecture: Architecture) -> Tree:
    """A compact tree for a terminal, to be printed with rich.

    What was chosen comes first on each line and is coloured; what is the same in every architecture of the space stands
    in parentheses. Equal layers in a row are one line, such as `3 x ConvBlock`. A space that was read from a journal
    has no layers: then the tree lists decisions and labels, and says so.
    """
    box = layer_tree(architecture)
    tree = Tree(_line(box), guide_style=FIXED)
    _grow(tree, box)
    return tree


def draw_svg(architecture: Architecture) -> str:
    """A self-contained SVG: layers from top to bottom, blocks as boxes around their layers, choices highlighted.

    A long chain goes on in further columns. Text takes the colour of the page around it (`currentColor`). Resting the
    pointer on a layer shows which decisions made it.
    """
    return layer_picture(layer_tree(architecture))


def _grow(tree: Tree, box: LayerBox) -> None:
    if box.dense:
        for target, sources in dense_rows(box):
            tree.add(_sum(target, sources))
        return
    for child in box.children:
        _grow(tree.add(_line(child)), child)


def _line(box: LayerBox) -> Text:
    line = Text()
    if box.name:
        line.append(f"{box.name}: ", FIXED)
    if box.times > 1:
        line.append(f"{box.times} x ")
    line.append(box.label or box.title, CHOSEN if box.label else "bold")
    if box.label and box.label != box.title:
        line.append(f" {box.title}")
    for setting in box.settings:
        if setting.chosen:
            line.append(f" {setting.name}=" if setting.name else " ")
            line.append(setting.text, CHOSEN)
    fixed = ", ".join(_setting(setting) for setting in box.settings if not setting.chosen)
    if fixed:
        line.append(f" ({fixed})", FIXED)
    return line


def _setting(setting: Setting) -> str:
    return f"{setting.name}={setting.text}" if setting.name else setting.text


def _sum(target: int, sources: list[tuple[int, LayerBox]]) -> Text:
    line = Text(f"node {target} = ")
    for position, (source, operation) in enumerate(sources):
        line.append(" + " if position else "")
        line.append(operation.label or operation.title, CHOSEN if operation.label else "bold")
        line.append(f"({source})")
    return line
