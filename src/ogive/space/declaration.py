"""The declaration of a space: layers whose arguments may be choices, and choices between layers.

A declaration is an expression that records calls and choices. No layer is built when the declaration is evaluated. `Space`
compiles the declaration.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ogive.errors import SpaceError
from ogive.space.domain import Categorical, Domain, IntegerRange, Label, RealRange, Subset


class Expression:
    """Base class of the parts of a declaration that are not plain values."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise SpaceError(
            f"{self!r} has no truth value while the space is declared: its value is known only when a model is built. "
            "Move the `if` into the factory, which receives plain values, or use one_of(...)"
        )

    def __iter__(self) -> NoReturn:
        raise SpaceError(f"{self!r} cannot be iterated while the space is declared; iterate inside a factory instead")


class OpenValue(Expression):
    """An expression that becomes a plain value when a model is built; arithmetic and comparisons give derived values."""

    __slots__ = ()

    def __neg__(self) -> DerivedValue:
        return DerivedValue(operator.neg, (self,))

    def __abs__(self) -> DerivedValue:
        return DerivedValue(operator.abs, (self,))


class DerivedValue(OpenValue):
    """A value that is computed from choices when a model is built."""

    __slots__ = ("function", "operands")

    def __init__(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> None:
        self.function = function
        self.operands = operands

    def __repr__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(repr, self.operands))})"


def _binary_methods(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the methods that record `self <operator> other` and `other <operator> self`."""

    def forward(self: OpenValue, other: Any) -> DerivedValue:
        return DerivedValue(function, (self, other))

    def reflected(self: OpenValue, other: Any) -> DerivedValue:
        return DerivedValue(function, (other, self))

    return forward, reflected


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _forward, _reflected = _binary_methods(getattr(operator, _name))
    setattr(OpenValue, f"__{_name}__", _forward)
    setattr(OpenValue, f"__r{_name}__", _reflected)
# Without recorded comparisons, `if choice == 3` would silently be False.
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(OpenValue, f"__{_name}__", _binary_methods(getattr(operator, _name))[0])


class Choice(OpenValue):
    """A place in the declaration that is left open.

    Attributes:
        domain: the labels of the alternatives.
        alternatives: the value of each label; None for numbers, whose label is their value.
        name: the name that the user gave to the decision, or None.
    """

    __slots__ = ("alternatives", "domain", "name")

    def __init__(self, domain: Domain, alternatives: Mapping[Label, Any] | None, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise SpaceError(f"name={name!r}: the name of a choice must be a non-empty string")
        self.domain = domain
        self.alternatives = alternatives
        self.name = name

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return (
            f"<{self.domain.kind}{name}: {', '.join(map(str, self.alternatives or self.domain.describe().values()))}>"
        )


class Layer(Expression):
    """A recorded call of `factory`. Each use in the declaration, and each build of a model, makes a new layer."""

    __slots__ = ("args", "factory", "kwargs")

    def __init__(self, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.factory = factory
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"layer({factory_name(self.factory)})"


class Repeat(Expression):
    """An item that is repeated `times` times. The copies become positional arguments of a layer, or items of a list."""

    __slots__ = ("item", "times")

    def __init__(self, item: Any, times: int | Choice | DerivedValue) -> None:
        self.item = item
        self.times = times

    def __repr__(self) -> str:
        return f"repeat({self.item!r}, times={self.times!r})"


def factory_name(factory: Callable[..., Any]) -> str:
    """Return the short name of a factory, such as `Conv2d`; for a `functools.partial`, the name of its function."""
    inner = getattr(factory, "func", factory)
    return str(getattr(inner, "__name__", type(inner).__name__))


def layer(factory: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Layer:
    """Record the call `factory(*args, **kwargs)`. Each use in the declaration, and each build, makes a new layer.

    Arguments may contain choices, layers and derived values, also inside lists, tuples and dicts.

    Args:
        factory: any importable callable. When a model is built, it receives plain values.
        *args: positional arguments of the call.
        **kwargs: keyword arguments of the call.

    Raises:
        SpaceError: `factory` cannot be called, is a built layer, or is a choice.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(factory, torch.nn.Module):
        name = type(factory).__name__
        raise SpaceError(
            f"layer({name}(...)): this layer is already built, and all models would share its weights; "
            f"write layer({name}, ...)"
        )
    if isinstance(factory, Choice):
        raise SpaceError(
            f"layer({factory!r}, ...): the class of a layer cannot be a choice; make each alternative a layer instead: "
            "one_of(layer(nn.ReLU), layer(nn.Tanh))"
        )
    if not callable(factory) or isinstance(factory, Expression):
        raise SpaceError(
            f"layer({factory!r}, ...): the first argument must be a class or a function that makes the layer"
        )
    return Layer(factory, args, kwargs)


def _default_label(value: Any) -> Label:
    """Return the label of an alternative that was declared without a label: the value, its text or its name."""
    if isinstance(value, Layer):
        return factory_name(value.factory)
    if isinstance(value, (str, int, float, bool)):
        return value
    if value is None or isinstance(value, tuple):
        return str(value)
    if callable(value):
        return factory_name(value)
    raise SpaceError(f"the alternative {value!r} needs a label: one_of(label={value!r})")


def _collect_alternatives(function: str, values: tuple[Any, ...], labelled: Mapping[str, Any]) -> dict[Label, Any]:
    """Return the alternatives of `function` ("one_of", "some_of") by label.

    Raises:
        SpaceError: there is no alternative, two have the same label, or a label cannot be derived or is not JSON.
    """
    alternatives: dict[Label, Any] = {}
    # Labels become text in paths and JSON keys, so the labels 1 and "1" would clash. So would 1 and True, which are equal.
    by_text: dict[str, Any] = {}
    for label, value in [*((_default_label(value), value) for value in values), *labelled.items()]:
        if label in alternatives or str(label) in by_text:
            raise SpaceError(
                f"{function}: two alternatives have the label {label!r} "
                f"({by_text.get(str(label), alternatives.get(label))!r} and {value!r}); "
                f"give them different labels: {function}(first=..., second=...)"
            )
        if isinstance(label, float) and not math.isfinite(label):
            raise SpaceError(
                f"{function}: {label!r} cannot be a label, since JSON has no such number; "
                f"write {function}(label={label!r})"
            )
        alternatives[label] = by_text[str(label)] = value
    if not alternatives:
        raise SpaceError(f"{function}() needs at least one alternative")
    return alternatives


def one_of(*values: Any, name: str | None = None, **labelled: Any) -> Choice:
    """Declare a choice of one alternative.

    Alternatives are plain values, layers, or expressions that contain further choices. The label of an alternative is
    its keyword. Without a keyword it is the value itself if it is a string or a number, the text of None or a tuple, and
    the name of a layer's factory, a class or a function. Other alternatives need a keyword.

    Args:
        *values: alternatives without a keyword.
        name: name of the decision. A named choice is a single decision, however often it is used. An unnamed choice is
            a separate decision in each use of the layer or choice that contains it. It must not be used at two argument
            positions, because it would be unclear whether it is one decision or two.
        **labelled: alternatives with their labels as keywords.

    Raises:
        SpaceError: there is no alternative, two have the same label, or an alternative needs a label.
    """
    alternatives = _collect_alternatives("one_of", values, labelled)
    return Choice(Categorical(tuple(alternatives)), alternatives, name)


def some_of(count: int | tuple[int, int], /, *values: Any, name: str | None = None, **labelled: Any) -> Choice:
    """Declare a choice of several different alternatives, whose order does not matter.

    When a model is built, the value of the choice is the list of the chosen alternatives, in the order of declaration.

    Args:
        count: how many alternatives are chosen: a number, or (smallest, largest).
        *values: alternatives without a keyword, as for `one_of`.
        name: name of the decision, as for `one_of`.
        **labelled: alternatives with their labels as keywords, as for `one_of`.

    Raises:
        SpaceError: the alternatives are invalid, as for `one_of`; or `count` is not between 0 and their number.
    """
    alternatives = _collect_alternatives("some_of", values, labelled)
    low, high = count if isinstance(count, tuple) else (count, count)
    if not (isinstance(low, int) and isinstance(high, int) and 0 <= low <= high <= len(alternatives)):
        raise SpaceError(
            f"some_of({count!r}, ...): the count must be between 0 and the number of alternatives, {len(alternatives)}"
        )
    return Choice(Subset(tuple(alternatives), low, high), alternatives, name)


def integer(low: int, high: int, *, step: int = 1, log: bool = False, name: str | None = None) -> Choice:
    """Declare a choice of a whole number: `low`, `low + step`, ..., up to and including `high`.

    Args:
        low: the smallest number.
        high: upper bound, included if `step` reaches it.
        step: distance between two numbers.
        log: sample and encode on a logarithmic scale.
        name: name of the decision, as for `one_of`.

    Raises:
        SpaceError: the range is empty, a bound is beyond 10**12, `step` is below 1, or a logarithmic scale starts below 1.
    """
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in (low, high, step)):
        raise SpaceError(f"integer({low!r}, {high!r}, step={step!r}): the bounds and the step must be whole numbers")
    if low > high or step < 1 or (log and low < 1) or max(-low, high) > 10**12:
        raise SpaceError(
            f"integer({low}, {high}, step={step}, log={log}): needs low <= high, step >= 1, low >= 1 for log, and "
            "bounds within 10**12, which vectors represent exactly"
        )
    return Choice(IntegerRange(low, high, step, log), None, name)


def real(low: float, high: float, *, log: bool = False, name: str | None = None) -> Choice:
    """Declare a choice of a number in [low, high], rounded to ten digits.

    Args:
        low: lower bound.
        high: upper bound.
        log: sample and encode on a logarithmic scale.
        name: name of the decision, as for `one_of`.

    Raises:
        SpaceError: the range is empty or infinite, or a logarithmic scale starts at or below 0.
    """
    if not all(isinstance(x, (int, float)) and math.isfinite(x) for x in (low, high, high - low)):
        raise SpaceError(f"real({low!r}, {high!r}): the bounds must be finite numbers")
    if low >= high or (log and low <= 0):
        raise SpaceError(f"real({low}, {high}, log={log}): needs low < high, and low > 0 for log")
    return Choice(RealRange(float(low), float(high), log), None, name)


def repeat(item: Any, times: int | Choice | DerivedValue) -> Repeat:
    """Declare that `item` is repeated `times` times. The copies become positional arguments of a layer, or items of a list.

    Args:
        item: an expression, or a function that receives the position (from 0) and returns an expression.
        times: a whole number, a choice of whole numbers, or one of these `scaled(..., "depth")`. With a choice, the
            decisions of the item at position i are active if more than i repetitions are chosen.

    Raises:
        SpaceError: `times` is something else, or `item` is a class (write `layer(item, ...)`).
    """
    if isinstance(item, type):
        raise SpaceError(f"repeat({item.__name__}, ...): write repeat(layer({item.__name__}, ...), ...)")
    # `scaled` returns a derived value whose function, a `Scale`, has a `multiplier`. (`Scale` cannot be imported here.) The
    # call of `repeat` checks the number or choice that is scaled.
    if isinstance(times, DerivedValue) and hasattr(times.function, "multiplier"):
        return Repeat(repeat(item, times.operands[0]).item, times)
    if isinstance(times, Choice):
        values = (times.alternatives or {}).values() if isinstance(times.domain, Categorical) else ()
        all_whole = all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
        if (isinstance(times.domain, IntegerRange) and times.domain.low >= 0) or (values and all_whole):
            return Repeat(item, times)
    elif isinstance(times, int) and not isinstance(times, bool) and times >= 0:
        return Repeat(item, times)
    raise SpaceError(
        f"repeat(..., times={times!r}): times must be a whole number of at least 0, "
        "an integer(...) or a one_of(...) of such numbers"
    )
