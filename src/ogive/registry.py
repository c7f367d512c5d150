"""Implementations by name: loaded when first asked for, with errors that say what there is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Generic, TypeGuard, TypeVar

from ogive.errors import JobError

T = TypeVar("T")


class Registry(Generic[T]):
    """Factories of one kind of thing (`kind`, for errors) by name.

    A factory is a callable, or "module:name" of one, which is imported when first used. Parameters of a factory that
    are not among `given` are its options.
    """

    def __init__(self, kind: str, given: tuple[str, ...], factories: Mapping[str, str | Callable[..., T]]) -> None:
        self.kind = kind
        self.given = frozenset(given)
        self._factories = dict(factories)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._factories))

    def register(self, name: str, factory: str | Callable[..., T]) -> None:
        """Add a factory under a name that is free.

        Raises:
            JobError: the name is taken by another factory.
        """
        if self._factories.setdefault(name, factory) != factory:
            raise JobError(f"{self.kind} {name!r} is registered already; choose another name")

    def factory(self, name: str) -> Callable[..., T]:
        """The factory called `name`.

        Raises:
            JobError: there is none.
        """
        if name not in self._factories:
            raise JobError(
                f"there is no {self.kind} {name!r}{_hint(name, self.names())}; there are {_list(self.names())}"
            )
        factory = self._factories[name]
        if isinstance(factory, str):
            module, _, attribute = factory.partition(":")
            loaded: Callable[..., T] = getattr(import_module(module), attribute)
            self._factories[name] = factory = loaded
        return factory

    def options(self, name: str) -> dict[str, Any]:
        """The options of `name` with their defaults; `inspect.Parameter.empty` where there is none."""
        parameters = inspect.signature(self.factory(name)).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in self.given and p.kind is not p.VAR_KEYWORD}

    def check_options(self, name: str, options: Mapping[str, Any]) -> None:
        """See that `options` are options of `name` and that none is missing.

        Raises:
            JobError: one is unknown, or one without a default is missing.
        """
        allowed = self.options(name)
        for option in options:
            if option not in allowed:
                there_are = f"it has {_list(tuple(allowed))}" if allowed else "it has none"
                raise JobError(
                    f"{self.kind} {name!r} has no option {option!r}{_hint(option, tuple(allowed))}; {there_are}"
                )
        for option, default in allowed.items():
            if default is inspect.Parameter.empty and option not in options:
                raise JobError(f"{self.kind} {name!r} needs its option {option!r}")


def whole(owner: str, option: str, value: Any, at_least: int) -> int:
    """`value` as an int, seen to be a whole number of at least `at_least`.

    Raises:
        JobError: it is not.
    """
    integral = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not integral or value < at_least:
        raise JobError(f"{owner}: {option} is {value!r}, but must be a whole number of at least {at_least}")
    return int(value)


def share(owner: str, option: str, value: object) -> float:
    """`value` as a number from 0 to 1.

    Raises:
        JobError: it is not.
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise JobError(f"{owner}: {option} is {value!r}, but must be a number from 0 to 1")
    return float(value)


def positive(owner: str, option: str, value: object) -> float:
    """`value` as a finite number above 0.

    Raises:
        JobError: it is not.
    """
    if not _is_number(value) or not 0 < value < math.inf:
        raise JobError(f"{owner}: {option} is {value!r}, but must be a number above 0")
    return float(value)


def choice(owner: str, option: str, value: object, allowed: Sequence[str]) -> str:
    """`value`, seen to be one of the words `allowed`.

    Raises:
        JobError: it is not; the nearest is suggested.
    """
    if value not in allowed:
        hint = _hint(str(value), tuple(allowed))
        raise JobError(f"{owner}: {option} is {value!r}, but must be one of {', '.join(allowed)}{hint}")
    return str(value)


def flag(owner: str, option: str, value: object) -> bool:
    """`value`, seen to be true or false.

    Raises:
        JobError: it is neither.
    """
    if not isinstance(value, bool):
        raise JobError(f"{owner}: {option} is {value!r}, but must be true or false")
    return value


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _hint(name: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
