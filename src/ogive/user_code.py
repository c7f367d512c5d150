"""Calls of user functions in the controller's process.

Any exception of a user function is converted to a `UserCodeError`. Its message has the name of the function, the line of the
user's code and the architecture.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ogive.errors import OgiveError, UserCodeError
from ogive.source.project_files import is_installed

USER_EXCEPTIONS = (Exception, SystemExit)
"""The exceptions of user code that count as failures. KeyboardInterrupt is not one of them, since it is caused by Ctrl-C."""


def call_user_function(
    role: str, function: Callable[..., Any], *arguments: Any, about: Mapping[str, Any] | None = None
) -> Any:
    """Call a user function and return its result.

    Args:
        role: the purpose of the function, such as "constraint" or "baseline".
        function: the user's function.
        arguments: the positional arguments of the function.
        about: the architecture that the function is called for; an error message names it. None if there is none.

    Raises:
        UserCodeError: the function raised an exception or called `sys.exit`.
    """
    with convert_user_errors(role, function, about):
        return function(*arguments)


@contextmanager
def convert_user_errors(role: str, function: Any, about: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Convert exceptions of the user's `function` within the `with` block to a UserCodeError.

    For arguments see `call_user_function`.
    """
    try:
        yield
    except UserCodeError:
        # The function has called another user function, which raised an exception. The error names that function already.
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's own exception class may not derive from Exception
        raise make_user_code_error(role, function, _describe_failure(error), about=about, error=error) from error


@contextmanager
def convert_plugin_errors(role: str, instance: Any) -> Iterator[None]:
    """Convert exceptions of a strategy, schedule or similar within the `with` block, if they come from the user's own code.

    Exceptions that do not come from a line of the user's code are passed on.

    Args:
        role: the kind of the object, such as "strategy". A wrapper has an attribute of this name, the object that it wraps.
        instance: the object, whose class may be defined by the user or by Ogive. If it is a wrapper, the error names the
            wrapped object.
    """
    try:
        yield
    except OgiveError:
        raise
    except USER_EXCEPTIONS as error:
        if find_user_line(error) is None:
            # The error is a bug of Ogive itself.
            raise
        while hasattr(instance, role):
            instance = getattr(instance, role)
        raise make_user_code_error(role, type(instance), _describe_failure(error), error=error) from error


def _describe_failure(error: BaseException) -> str:
    """Return a clause such as "raised ValueError: ..."."""
    return (
        f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {describe_exception(error)}"
    )


def make_user_code_error(
    role: str,
    function: Any,
    failure: str,
    about: Mapping[str, Any] | None = None,
    error: BaseException | None = None,
    remedy: str | None = None,
) -> UserCodeError:
    """Return the error for a failure of a user function.

    Args:
        role: the purpose of the function, such as "constraint" or "baseline".
        function: the function, or a class.
        failure: a clause without subject that describes the failure: "raised ...", "returned ...".
        about: the architecture that the function was called for.
        error: the exception, whose traceback has the user's line; None if there was no exception.
        remedy: a clause that says what the user should do; by default "correct the function".
    """
    location = _find_definition(function) if error is None else find_user_line(error) or _find_definition(function)
    parts = [f"the {role} {qualified_name(function)}{'' if isinstance(function, type) else '()'} {failure}"]
    parts += [f"at {location}"] if location else []
    if about is not None:
        parts.append(
            f"for the architecture {', '.join(f'{name}={label}' for name, label in about.items()) or '(empty)'}"
        )
    remedy = f"{remedy or 'correct the function'}; a search keeps its results, and the same call continues it"
    return UserCodeError(",\n  ".join(parts) + f".\n  Remedy: {remedy}")


def find_user_line(error: BaseException) -> str | None:
    """Return the last line of the user's own code in the traceback, as "file:line: text"; None if there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not is_installed(frame.filename)]
    if not frames:
        return None
    last = frames[-1]
    return f"{last.filename}:{last.lineno}" + (f": {last.line}" if last.line else "")


def describe_exception(error: BaseException) -> str:
    """Return the type of an exception and the first line of its message."""
    try:
        text = str(error).strip()
    except Exception as second_error:  # noqa: BLE001 - the user's __str__ may raise anything
        text = f"(its message cannot be shown: {type(second_error).__name__})"
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0]}" if text else name


def qualified_name(function: Any) -> str:
    """Return the name of a function or class; of a partial, the name of the function that it calls."""
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))


def _find_definition(function: Any) -> str | None:
    """Return where a function is defined, as "file:line"; None for a class or a built-in function."""
    code = getattr(getattr(function, "func", function), "__code__", None)
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"
