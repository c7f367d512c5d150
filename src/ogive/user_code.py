"""Calls of user functions in the controller's process: one error with the function, the user's line and the architecture."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ogive.errors import OgiveError, UserCodeError
from ogive.source.project_files import is_installed

RAISED = (Exception, SystemExit)
"""What user code raises where its failure is expected. KeyboardInterrupt is not: that is Ctrl-C."""


def call(role: str, function: Callable[..., Any], *arguments: Any, about: Mapping[str, Any] | None = None) -> Any:
    """`function(*arguments)`, a function that the user gave as the `role` ("constraint", "baseline").

    Args:
        role: what the function is for.
        function: of the user.
        arguments: that it is called with.
        about: the architecture that it is called for, which an error names.

    Raises:
        UserCodeError: it raised or called `sys.exit`.
    """
    with blaming(role, function, about):
        return function(*arguments)


@contextmanager
def blaming(role: str, function: Any, about: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Turn what the user's `function` raises inside into one UserCodeError; see `call`."""
    try:
        yield
    except UserCodeError:
        raise  # of another function that this one has called
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # of any class: the user's own may not be an Exception
        raise fault(role, function, _happened(error), about, error) from error


@contextmanager
def blaming_class(role: str, instance: Any) -> Iterator[None]:
    """The same for a method of an object that may be the user's or Ogive's: only what comes from a line of the user's is
    turned into a UserCodeError. Of a wrapper the object inside is named.
    """
    try:
        yield
    except OgiveError:
        raise
    except RAISED as error:
        if user_line(error) is None:
            raise  # an error of Ogive itself
        while hasattr(instance, role):
            instance = getattr(instance, role)
        raise fault(role, type(instance), _happened(error), error=error) from error


def _happened(error: BaseException) -> str:
    return f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {shown(error)}"


def fault(
    role: str,
    function: Any,
    happened: str,
    about: Mapping[str, Any] | None = None,
    error: BaseException | None = None,
    remedy: str | None = None,
) -> UserCodeError:
    """The error for what happened in a user's function: "raised ...", "returned ..."."""
    place = _place(function) if error is None else user_line(error) or _place(function)
    what = [f"the {role} {name_of(function)}{'' if isinstance(function, type) else '()'} {happened}"]
    what += [f"at {place}"] if place else []
    if about is not None:
        what.append(
            f"for the architecture {', '.join(f'{name}={label}' for name, label in about.items()) or '(empty)'}"
        )
    remedy = f"{remedy or 'correct the function'}; a search keeps what is journalled, and the same call continues it"
    return UserCodeError(",\n  ".join(what) + f".\n  Remedy: {remedy}")


def user_line(error: BaseException) -> str | None:
    """The line of the user's own code where `error` comes from: "file:line: text"; None where there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not is_installed(frame.filename)]
    if not frames:
        return None
    last = frames[-1]
    return f"{last.filename}:{last.lineno}" + (f": {last.line}" if last.line else "")


def shown(error: BaseException) -> str:
    """The type of an exception and the first line of its message."""
    try:
        text = str(error).strip()
    except Exception as other:  # noqa: BLE001 - the user's own __str__ may raise anything
        text = f"(its message cannot be shown: {type(other).__name__})"
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0]}" if text else name


def name_of(function: Any) -> str:
    """The name of a function or class, that of the function inside for a partial."""
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def _place(function: Any) -> str | None:
    code = getattr(getattr(function, "func", function), "__code__", None)
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"
