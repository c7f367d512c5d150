"""Random declarations for the property tests: every kind of choice, nested, shared and repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ogive import space as og


def record(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Return the arguments; the factory of the tests."""
    return ("record", args, tuple(kwargs.items()))


def seeds() -> st.SearchStrategy[np.random.Generator]:
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def _number(draw: st.DrawFn, reals: bool) -> og.Choice:
    kind = draw(st.sampled_from(["integer", "log", "values", "subset", *(["real", "logreal"] if reals else [])]))
    low, span, step = draw(st.integers(1, 9)), draw(st.integers(0, 7)), draw(st.integers(1, 4))
    match kind:
        case "integer":
            return og.integer(low - 5, low - 5 + span, step=step)
        case "log":
            return og.integer(low, low + span, step=step, log=True)
        case "values":
            return og.one_of(*range(span % 3 + 1))
        case "subset":
            return og.some_of((span % 2, 2), "x", "y", "z"[: span % 3] or "w")
        case "real":
            return og.real(low - 5, low - 5 + (span + 1) / step)
        case _:
            return og.real(low / 1000, low / 1000 * (1.1 + span * 100), log=True)


def _shared(draw: st.DrawFn, level: int, depth: int, reals: bool) -> og.Choice:
    """Draw a named choice: the same labels everywhere, with different layers at each place, without lower levels."""
    name = f"shared{level}"
    match level:
        case 0:
            inside = {label: _any(draw, depth - 1, level, reals) for label in ("conv", "pool")}
            return og.one_of(**inside, name=name)
        case 1:
            inside = {label: _any(draw, depth - 1, level, reals) for label in ("a", "b")}
            return og.some_of((2, 3), **inside, c=3, name=name)
        case _:
            return og.integer(0, 2, name=name)


def _any(draw: st.DrawFn, depth: int, level: int, reals: bool) -> Any:
    """Draw an expression of at most `depth` nested containers, with named choices of `level` and above."""
    kinds = ["constant", "number", "number", "derived"]
    if level <= 2:
        kinds += ["shared", "shared"]
    if depth > 0:
        kinds += ["one_of", "one_of", "some_of", "repeat", "list", "tuple", "dict", "layer"]

    def inside() -> Any:
        return _any(draw, depth - 1, level, reals)

    match draw(st.sampled_from(kinds)):
        case "constant":
            return draw(st.sampled_from([1, "plain", None, 2.5]))
        case "number":
            return _number(draw, reals)
        case "derived":
            return og.integer(1, 2) * 2 + og.one_of(1, 3)
        case "shared":
            return _shared(draw, draw(st.integers(level, 2)) if depth > 0 else 2, depth, reals)
        case "one_of":
            return og.one_of(**{f"l{i}": inside() for i in range(draw(st.integers(1, 3)))})
        case "some_of":
            return og.some_of((draw(st.integers(0, 1)), 2), **{f"s{i}": inside() for i in range(2)})
        case "repeat":
            times = [2, og.integer(0, 2), og.integer(1, 3, step=2), og.one_of(few=1, many=2), og.one_of(0, 2)]
            named = level <= 2 and draw(st.booleans())
            count = og.integer(0, 2, name="shared2") if named else draw(st.sampled_from(times))
            items = [_any(draw, depth - 1, 3 if named else level, reals) for _ in range(3)]
            item = items[0] if draw(st.booleans()) else lambda i: items[i]
            return og.layer(record, og.repeat(item, times=count), inside())
        case "list":
            return [inside(), inside()]
        case "tuple":
            return (inside(), 1)
        case "dict":
            return {"k": inside(), 2: inside()}
        case _:
            return og.layer(record, inside(), key=inside())


@st.composite
def spaces(draw: st.DrawFn, reals: bool = True, depth: int = 3) -> og.Space:
    parts = [_any(draw, depth, 0, reals) for _ in range(draw(st.integers(2, 4)))]
    return og.Space(og.layer(record, *parts))
