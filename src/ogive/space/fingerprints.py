"""When two declarations are the same space: fingerprints, and what sets two spaces apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ogive.hashing import hash_json
from ogive.space.compiler import describe_tree
from ogive.space.tree import Constant

if TYPE_CHECKING:
    from ogive.space.space import Space


def describe_example(example_input: Any) -> Any:
    """The example input as JSON: shapes, and shape and dtype of tensors, whose values no layer depends on."""
    return describe_tree(Constant(_without_values(example_input)))


def fingerprint(space: Space, example: Any) -> str:
    """A hash of the table, the tree and the example input (as `describe_example` gives it), 16 hexadecimal digits."""
    assert space.tree is not None
    parts = [[decision.describe() for decision in space.decisions], describe_tree(space.tree), example]
    return hash_json(parts)


def is_same(a: Space, b: Space) -> bool:
    """Whether `a` and `b` are the same space, or one is the other with an example input added.

    An added example input changes no architecture: only lazy layers depend on it, and they cannot be built without.
    """
    return a.fingerprint == b.fingerprint or a.fingerprint in b.former or b.fingerprint in a.former


def differences(old: Space, new: Space) -> list[str]:
    """What sets `new` apart from `old`, a line for each decision; empty where `is_same`."""
    lines = list(_decisions(old, new))
    if not lines and [d.name for d in old.decisions] != [d.name for d in new.decisions]:
        lines.append("the decisions are the same, but in another order")
    if lines or is_same(old, new):
        return lines
    if new.tree is not None and fingerprint(new, old.example) == old.fingerprint:
        was_is = f"was {_text(old.example)}, and is {_text(new.example)}"
        return [f"its example_input {was_is}; lazy layers take their shapes from it"]
    return ["the decisions are the same, but a factory, one of its arguments or the example input has changed"]


def _decisions(old: Space, new: Space) -> list[str]:
    before = {d.name: d.describe() for d in old.decisions}
    now = {d.name: d.describe() for d in new.decisions}
    lines = [f"decision {name!r} is gone" for name in before if name not in now]
    lines += [f"decision {name!r} is new" for name in now if name not in before]
    for name in before:
        if name in now and before[name] != now[name]:
            changed = [key for key in {**before[name], **now[name]} if before[name].get(key) != now[name].get(key)]
            was_is = (f"{key}: {before[name].get(key)} -> {now[name].get(key)}" for key in changed)
            lines.append(f"decision {name!r} has changed, {', '.join(was_is)}")
    return lines


def _without_values(example: Any) -> Any:
    if hasattr(example, "shape") and hasattr(example, "dtype"):
        return f"tensor {list(example.shape)} {example.dtype}"
    if isinstance(example, Mapping):
        return {name: _without_values(item) for name, item in example.items()}
    if isinstance(example, (list, tuple)):
        return type(example)(_without_values(item) for item in example)
    return example


def _text(example: Any) -> str:
    """A description in the words of the declaration: `(1, 28, 28)`."""
    if isinstance(example, dict) and len(example) == 1:
        ((kind, items),) = example.items()
        if kind in ("list", "tuple"):
            return f"({', '.join(map(_text, items))}{',' if len(items) == 1 else ''})"
        if kind == "dict":
            return "{" + ", ".join(f"{name}: {_text(item)}" for name, item in items.items()) + "}"
    return str(example)
