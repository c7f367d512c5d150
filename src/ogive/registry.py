"""Registries of implementations by name, and checks of their options."""

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
    """Factories by name.

    A factory is a callable, or the text "module:name" that names a callable. Such a callable is imported when it is first
    used. The parameters of a factory are the options that a user can set, except the parameters in `reserved`.

    Args:
        kind: the kind of object that the factories make, for error messages: "schedule".
        reserved: the names of the parameters that Ogive sets itself.
        factories: the initial factories.
    """

    def __init__(self, kind: str, reserved: tuple[str, ...], factories: Mapping[str, str | Callable[..., T]]) -> None:
        self.kind = kind
        self.reserved = frozenset(reserved)
        self._factories = dict(factories)

    def names(self) -> tuple[str, ...]:
        """Return the registered names in alphabetical order."""
        return tuple(sorted(self._factories))

    def register(self, name: str, factory: str | Callable[..., T]) -> None:
        """Register a factory under an unused name. Registering the same factory again has no effect.

        Raises:
            JobError: another factory has this name.
        """
        if self._factories.setdefault(name, factory) != factory:
            raise JobError(f"{self.kind} {name!r} is registered already; choose another name")

    def factory(self, name: str) -> Callable[..., T]:
        """Return the factory with this name, imported if necessary.

        Raises:
            JobError: there is no factory with this name.
        """
        if name not in self._factories:
            raise JobError(
                f"there is no {self.kind} {name!r}{_format_hint(name, self.names())}; registered names: "
                f"{_join_names(self.names())}"
            )
        factory = self._factories[name]
        if isinstance(factory, str):
            module, _, attribute = factory.partition(":")
            imported: Callable[..., T] = getattr(import_module(module), attribute)
            self._factories[name] = factory = imported
        return factory

    def options(self, name: str) -> dict[str, Any]:
        """Return the options of `name` with their defaults; a required option has `inspect.Parameter.empty`."""
        parameters = inspect.signature(self.factory(name)).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in self.reserved and p.kind is not p.VAR_KEYWORD}

    def check_options(self, name: str, options: Mapping[str, Any]) -> None:
        """Check that `name` has all of `options`, and that `options` contains all required options.

        Raises:
            JobError: an option is unknown, or a required option is missing.
        """
        allowed = self.options(name)
        for option in options:
            if option not in allowed:
                known_options = f"its options: {_join_names(tuple(allowed))}" if allowed else "it has no options"
                raise JobError(
                    f"{self.kind} {name!r} has no option {option!r}{_format_hint(option, tuple(allowed))}; {known_options}"
                )
        for option, default in allowed.items():
            if default is inspect.Parameter.empty and option not in options:
                raise JobError(f"{self.kind} {name!r} needs the option {option!r}")


def check_whole_number(owner: str, option: str, value: Any, at_least: int) -> int:
    """Check that `value` is a whole number of at least `at_least`, and return it as an int.

    Args:
        owner: the owner of the option, for the error message: "schedule 'asha'".
        option: the name of the option.
        value: the value of the option.
        at_least: the smallest valid value.

    Raises:
        JobError: `value` is not a whole number, or is too small.
    """
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole or value < at_least:
        raise JobError(f"{owner}: {option} is {value!r}, but must be a whole number of at least {at_least}")
    return int(value)


def check_share(owner: str, option: str, value: object) -> float:
    """Check that `value` is a number from 0 to 1, and return it as a float. For arguments see `check_whole_number`.

    Raises:
        JobError: `value` is not a number, or is out of range.
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise JobError(f"{owner}: {option} is {value!r}, but must be a number from 0 to 1")
    return float(value)


def check_positive(owner: str, option: str, value: object) -> float:
    """Check that `value` is a finite number above 0, and return it as a float. For arguments see `check_whole_number`.

    Raises:
        JobError: `value` is not a finite number, or is not above 0.
    """
    if not _is_number(value) or not 0 < value < math.inf:
        raise JobError(f"{owner}: {option} is {value!r}, but must be a number above 0")
    return float(value)


def check_choice(owner: str, option: str, value: object, allowed: Sequence[str]) -> str:
    """Check that `value` is one of the words in `allowed`, and return it. For other arguments see `check_whole_number`.

    Raises:
        JobError: `value` is another word. The message suggests the most similar allowed word.
    """
    if value not in allowed:
        hint = _format_hint(str(value), tuple(allowed))
        raise JobError(f"{owner}: {option} is {value!r}, but must be one of {', '.join(allowed)}{hint}")
    return str(value)


def check_flag(owner: str, option: str, value: object) -> bool:
    """Check that `value` is true or false, and return it. For arguments see `check_whole_number`.

    Raises:
        JobError: `value` is not a boolean.
    """
    if not isinstance(value, bool):
        raise JobError(f"{owner}: {option} is {value!r}, but must be true or false")
    return value


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _format_hint(name: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _join_names(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
