"""The declaration: layers whose arguments may be choices, and choices between layers.

A declaration is an expression that records calls and open choices; nothing is built. `Space` compiles it.
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
    """Anything that a declaration is made of and that is not a plain value."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise SpaceError(
            f"{self!r} has no truth value while the space is declared: its value is known only when a model is built. "
            "Move the `if` into the factory, which sees ordinary values, or use one_of(...)"
        )

    def __iter__(self) -> NoReturn:
        raise SpaceError(f"{self!r} cannot be iterated while the space is declared; do so inside a factory")


class Open(Expression):
    """An expression that stands for a plain value: arithmetic and comparison give derived values."""

    __slots__ = ()

    def __neg__(self) -> Derived:
        return Derived(operator.neg, (self,))

    def __abs__(self) -> Derived:
        return Derived(operator.abs, (self,))


class Derived(Open):
    """A value computed from choices when a model is built."""

    __slots__ = ("function", "operands")

    def __init__(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> None:
        self.function = function
        self.operands = operands

    def __repr__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(repr, self.operands))})"


def _binary(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Open, other: Any) -> Derived:
        return Derived(function, (self, other))

    def reflected(self: Open, other: Any) -> Derived:
        return Derived(function, (other, self))

    return forward, reflected


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _forward, _reflected = _binary(getattr(operator, _name))
    setattr(Open, f"__{_name}__", _forward)
    setattr(Open, f"__r{_name}__", _reflected)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):  # `if choice == 3` shall not be silently False
    setattr(Open, f"__{_name}__", _binary(getattr(operator, _name))[0])


class Choice(Open):
    """A place that is left open. `alternatives` maps labels to what stands behind them (None for numbers)."""

    __slots__ = ("alternatives", "domain", "name")

    def __init__(self, domain: Domain, alternatives: Mapping[Label, Any] | None, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise SpaceError(f"name={name!r}: the name of a choice is a non-empty string")
        self.domain = domain
        self.alternatives = alternatives
        self.name = name

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return (
            f"<{self.domain.kind}{name}: {', '.join(map(str, self.alternatives or self.domain.describe().values()))}>"
        )


class Layer(Expression):
    """A recorded call of `factory`, made afresh at every place and every build."""

    __slots__ = ("args", "factory", "kwargs")

    def __init__(self, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.factory = factory
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"layer({factory_name(self.factory)})"


class Repeat(Expression):
    """An item several times over, spliced into positional arguments or a list."""

    __slots__ = ("item", "times")

    def __init__(self, item: Any, times: int | Choice | Derived) -> None:
        self.item = item
        self.times = times

    def __repr__(self) -> str:
        return f"repeat({self.item!r}, times={self.times!r})"


def factory_name(factory: Callable[..., Any]) -> str:
    """The short name of a factory: `Conv2d`; for a partial, that of the function inside."""
    inner = getattr(factory, "func", factory)
    return str(getattr(inner, "__name__", type(inner).__name__))


def layer(factory: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Layer:
    """Record the call `factory(*args, **kwargs)`, made afresh at every place and every build.

    Arguments may contain choices, layers and derived values, also inside lists, tuples and dicts. The factory is any
    importable callable; it sees ordinary values.

    Raises:
        SpaceError: `factory` cannot be called.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(factory, torch.nn.Module):
        name = type(factory).__name__
        raise SpaceError(
            f"layer({name}(...)): that is a built layer; write layer({name}, ...), so that each model gets its own"
        )
    if isinstance(factory, Choice):
        raise SpaceError(
            f"layer({factory!r}, ...): the layer's class is a choice; make each alternative a layer instead: "
            "one_of(layer(nn.ReLU), layer(nn.Tanh))"
        )
    if not callable(factory) or isinstance(factory, Expression):
        raise SpaceError(f"layer({factory!r}, ...): the first argument is a class or a function that makes the layer")
    return Layer(factory, args, kwargs)


def _label(value: Any) -> Label:
    """The label of an unlabelled alternative: a plain value itself, else the name of the factory."""
    if isinstance(value, Layer):
        return factory_name(value.factory)
    if isinstance(value, (str, int, float, bool)):
        return value
    if value is None or isinstance(value, tuple):
        return str(value)
    if callable(value):
        return factory_name(value)
    raise SpaceError(f"the alternative {value!r} needs a label: one_of(label={value!r})")


def _labelled(what: str, values: tuple[Any, ...], labelled: Mapping[str, Any]) -> dict[Label, Any]:
    result: dict[Label, Any] = {}
    seen: dict[str, Any] = {}
    for label, value in [*((_label(value), value) for value in values), *labelled.items()]:
        if label in result or str(label) in seen:
            raise SpaceError(
                f"{what}: two alternatives have the label {label!r} ({seen.get(str(label), result.get(label))!r} and "
                f"{value!r}); give them different labels: {what}(first=..., second=...)"
            )
        if isinstance(label, float) and not math.isfinite(label):
            raise SpaceError(
                f"{what}: {label!r} cannot be a label, since it is not JSON; write {what}(label={label!r})"
            )
        result[label] = seen[str(label)] = value
    if not result:
        raise SpaceError(f"{what}() needs at least one alternative")
    return result


def one_of(*values: Any, name: str | None = None, **labelled: Any) -> Choice:
    """A choice between alternatives: plain values, layers, or expressions that contain further choices.

    Labels are the keywords, else the values, else the factories' names. A named choice is one decision wherever
    the name stands; an unnamed one is a decision of its own at every place.

    Raises:
        SpaceError: no alternative, a clash of labels, or a value that needs a label.
    """
    alternatives = _labelled("one_of", values, labelled)
    return Choice(Categorical(tuple(alternatives)), alternatives, name)


def some_of(count: int | tuple[int, int], /, *values: Any, name: str | None = None, **labelled: Any) -> Choice:
    """A choice of several alternatives without order: exactly `count`, or from `count[0]` to `count[1]` of them.

    It stands for the list of the chosen alternatives, in the order of declaration.

    Raises:
        SpaceError: as for `one_of`, or a count that the alternatives do not allow.
    """
    alternatives = _labelled("some_of", values, labelled)
    low, high = count if isinstance(count, tuple) else (count, count)
    if not (isinstance(low, int) and isinstance(high, int) and 0 <= low <= high <= len(alternatives)):
        raise SpaceError(f"some_of({count!r}, ...): the count lies between 0 and the {len(alternatives)} alternatives")
    return Choice(Subset(tuple(alternatives), low, high), alternatives, name)


def integer(low: int, high: int, *, step: int = 1, log: bool = False, name: str | None = None) -> Choice:
    """A choice of a whole number: `low`, `low + step`, ... up to `high` inclusive.

    Raises:
        SpaceError: an empty range, a step below 1, or a log scale that reaches 0.
    """
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in (low, high, step)):
        raise SpaceError(f"integer({low!r}, {high!r}, step={step!r}): the bounds and the step are whole numbers")
    if low > high or step < 1 or (log and low < 1) or max(-low, high) > 10**12:
        raise SpaceError(
            f"integer({low}, {high}, step={step}, log={log}): needs low <= high, step >= 1, low >= 1 for log, and "
            "bounds within 10**12, which vectors hold exactly"
        )
    return Choice(IntegerRange(low, high, step, log), None, name)


def real(low: float, high: float, *, log: bool = False, name: str | None = None) -> Choice:
    """A choice of a number in [low, high], kept to ten digits.

    Raises:
        SpaceError: an empty or infinite range, or a log scale that reaches 0.
    """
    if not all(isinstance(x, (int, float)) and math.isfinite(x) for x in (low, high, high - low)):
        raise SpaceError(f"real({low!r}, {high!r}): the bounds are finite numbers")
    if low >= high or (log and low <= 0):
        raise SpaceError(f"real({low}, {high}, log={log}): needs low < high, and low > 0 for log")
    return Choice(RealRange(float(low), float(high), log), None, name)


def repeat(item: Any, times: int | Choice | Derived) -> Repeat:
    """`item` `times` times over, spliced into positional arguments or a list.

    `item` is an expression, or a function of the position (from 0) that returns one. `times` is a whole number or a
    choice of whole numbers, or one of them `scaled` by "depth"; with a choice, the item at position i exists where more
    than i are chosen.

    Raises:
        SpaceError: `times` is neither, or `item` is a class, which no position makes.
    """
    if isinstance(item, type):
        raise SpaceError(f"repeat({item.__name__}, ...): write repeat(layer({item.__name__}, ...), ...)")
    if isinstance(times, Derived) and hasattr(times.function, "multiplier"):
        return Repeat(repeat(item, times.operands[0]).item, times)
    if isinstance(times, Choice):
        values = (times.alternatives or {}).values() if isinstance(times.domain, Categorical) else ()
        whole = all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values)
        if (isinstance(times.domain, IntegerRange) and times.domain.low >= 0) or (values and whole):
            return Repeat(item, times)
    elif isinstance(times, int) and not isinstance(times, bool) and times >= 0:
        return Repeat(item, times)
    raise SpaceError(
        f"repeat(..., times={times!r}): times is a whole number from 0, an integer(...) or a one_of of such"
    )
