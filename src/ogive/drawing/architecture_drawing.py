"""Draw an architecture: as a tree for terminals, as boxes for pages."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from ogive.drawing.layer_svg import render_svg
from ogive.drawing.layer_tree import LayerBox, Setting, layer_tree, list_node_inputs
from ogive.space import Architecture

CHOSEN_STYLE = "bold cyan"
"""The style of text that depends on a decision."""
FIXED_STYLE = "dim"
"""The style of text that is the same in every architecture."""


def draw_text(architecture: Architecture) -> Tree:
    """Return a compact tree of layers for a terminal, to be printed with rich.

    Each line begins with the chosen alternatives, in colour; settings that are the same in every architecture of the
    space follow in parentheses. Equal consecutive layers share a line, such as `3 x ConvBlock`. A space that was read from
    a journal has no layers: its tree has a note that says so, and lists decisions and labels.
    """
    box = layer_tree(architecture)
    tree = Tree(_format_box(box), guide_style=FIXED_STYLE)
    _add_children(tree, box)
    return tree


def draw_svg(architecture: Architecture) -> str:
    """Return a self-contained SVG: layers from top to bottom, blocks as boxes around their layers, choices highlighted.

    A long chain continues in further columns. Text has the colour of the surrounding page (`currentColor`). The tooltip of
    a layer names the decisions that it depends on.
    """
    return render_svg(layer_tree(architecture))


def _add_children(tree: Tree, box: LayerBox) -> None:
    if box.is_dense_cell:
        for target, sources in list_node_inputs(box):
            tree.add(_format_node(target, sources))
        return
    for child in box.children:
        _add_children(tree.add(_format_box(child)), child)


def _format_box(box: LayerBox) -> Text:
    """Return the line of a box: its name, number of copies, label, title and settings, chosen settings first."""
    line = Text()
    if box.name:
        line.append(f"{box.name}: ", FIXED_STYLE)
    if box.times > 1:
        line.append(f"{box.times} x ")
    line.append(box.label or box.title, CHOSEN_STYLE if box.label else "bold")
    if box.label and box.label != box.title:
        line.append(f" {box.title}")
    for setting in box.settings:
        if setting.chosen:
            line.append(f" {setting.name}=" if setting.name else " ")
            line.append(setting.text, CHOSEN_STYLE)
    fixed = ", ".join(_format_setting(setting) for setting in box.settings if not setting.chosen)
    if fixed:
        line.append(f" ({fixed})", FIXED_STYLE)
    return line


def _format_setting(setting: Setting) -> str:
    return f"{setting.name}={setting.text}" if setting.name else setting.text


def _format_node(target: int, sources: list[tuple[int, LayerBox]]) -> Text:
    """Return a node of a dense cell as the sum of its inputs: `node 2 = conv(0) + skip(1)`."""
    line = Text(f"node {target} = ")
    for position, (source, operation) in enumerate(sources):
        line.append(" + " if position else "")
        line.append(operation.label or operation.title, CHOSEN_STYLE if operation.label else "bold")
        line.append(f"({source})")
    return line
