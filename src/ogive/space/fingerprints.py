"""Fingerprints of spaces, and the differences between two spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ogive.hashing import hash_json
from ogive.space.compiler import describe_tree
from ogive.space.tree import ConstantNode

if TYPE_CHECKING:
    from ogive.space.space import Space


def describe_example(example_input: Any) -> Any:
    """Return the example input as JSON, as `describe_tree` describes a constant; None if there is none.

    A tensor is replaced by a text with its shape and dtype. Its values are left out, because no layer depends on them.
    """
    return describe_tree(ConstantNode(_without_values(example_input)))


def compute_fingerprint(space: Space, example: Any) -> str:
    """Return a hash of the table, the tree and the example input, 16 hexadecimal digits.

    Args:
        space: a space with layers.
        example: the example input to hash, as `describe_example` returns it.
    """
    assert space.tree is not None
    parts = [[decision.describe() for decision in space.decisions], describe_tree(space.tree), example]
    return hash_json(parts)


def describes_same_space(a: Space, b: Space) -> bool:
    """Return whether `a` and `b` are the same space, or differ only in that one of them has no example input.

    An added example input changes no architecture: only lazy layers depend on an example input, and they cannot be built
    without one.
    """
    return (
        a.fingerprint == b.fingerprint
        or a.fingerprint in b.fingerprints_without_example
        or b.fingerprint in a.fingerprints_without_example
    )


def describe_differences(old: Space, new: Space) -> list[str]:
    """Return a line for each difference of `new` from `old`; empty if they are the same space."""
    lines = _describe_decision_differences(old, new)
    if not lines and [d.name for d in old.decisions] != [d.name for d in new.decisions]:
        lines.append("the decisions are the same, but in another order")
    if lines or describes_same_space(old, new):
        return lines
    if new.tree is not None and compute_fingerprint(new, old.example_json) == old.fingerprint:
        before, after = _format_example(old.example_json), _format_example(new.example_json)
        return [
            f"the example_input was {before} and is now {after}; lazy layers take their shapes from the example input"
        ]
    return ["the decisions are the same, but a factory, one of its arguments or the example input has changed"]


def _describe_decision_differences(old: Space, new: Space) -> list[str]:
    """Return a line for each decision that was removed, is new, or has changed."""
    before = {d.name: d.describe() for d in old.decisions}
    after = {d.name: d.describe() for d in new.decisions}
    lines = [f"decision {name!r} was removed" for name in before if name not in after]
    lines += [f"decision {name!r} is new" for name in after if name not in before]
    for name in before:
        if name in after and before[name] != after[name]:
            keys = [key for key in {**before[name], **after[name]} if before[name].get(key) != after[name].get(key)]
            changes = (f"{key}: {before[name].get(key)} -> {after[name].get(key)}" for key in keys)
            lines.append(f"decision {name!r} has changed, {', '.join(changes)}")
    return lines


def _without_values(example: Any) -> Any:
    """Return the example input with a text in place of each tensor: its shape and dtype."""
    if hasattr(example, "shape") and hasattr(example, "dtype"):
        return f"tensor {list(example.shape)} {example.dtype}"
    if isinstance(example, Mapping):
        return {name: _without_values(item) for name, item in example.items()}
    if isinstance(example, (list, tuple)):
        return type(example)(_without_values(item) for item in example)
    return example


def _format_example(example: Any) -> str:
    """Return an example input, given as `describe_example` returns it, as the user would write it: `(1, 28, 28)`."""
    if isinstance(example, dict) and len(example) == 1:
        ((kind, items),) = example.items()
        # A list is shown as a tuple, because a space converts the lists in its example input to tuples.
        if kind in ("list", "tuple"):
            return f"({', '.join(map(_format_example, items))}{',' if len(items) == 1 else ''})"
        if kind == "dict":
            return "{" + ", ".join(f"{name}: {_format_example(item)}" for name, item in items.items()) + "}"
    return str(example)
