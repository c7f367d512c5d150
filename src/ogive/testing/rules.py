"""Functions that the conformance suites share: assertions, named rules, and a comparison with another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cloudpickle

HASH_SEED = "20240229"
"""The `PYTHONHASHSEED` of the process that `check_another_process_agrees` starts."""


def assert_that(condition: bool, message: str) -> None:
    """Raise AssertionError with the message unless the condition is true, also with `python -O`, which ignores `assert`."""
    if not condition:
        raise AssertionError(message)


def assert_equal(expected: Sequence[str], actual: Sequence[str], item_name: str) -> None:
    """Raise AssertionError with the first difference, if there is one. `item_name`: for the message, such as "proposal"."""
    for number, (expected_item, actual_item) in enumerate(zip(expected, actual, strict=False)):
        assert_that(
            expected_item == actual_item, f"{item_name} {number} is {actual_item}, but should be {expected_item}"
        )
    assert_that(
        len(expected) == len(actual), f"{item_name}: found {len(actual)} of them, but there should be {len(expected)}"
    )


@contextmanager
def rule(check: Callable[..., None], case: str) -> Iterator[None]:
    """Name the rule in every error of the block.

    Args:
        check: the function that checks the rule. The name of the rule is that of the function, without `check`. The
            statement of the rule is the first line of the docstring.
        case: the space or problem with which the rule is checked, such as "space 'tiny'".
    """
    try:
        yield
    except Exception as error:
        problem = str(error) if isinstance(error, AssertionError) else f"raised {type(error).__name__}: {error}"
        statement = (check.__doc__ or "").strip().splitlines()[0]
        raise AssertionError(f"rule {_get_rule_name(check)!r} is broken: {statement} On {case}: {problem}") from error


def _get_rule_name(check: Callable[..., None]) -> str:
    return check.__name__.strip("_").removeprefix("check_").replace("_", " ")


def check_another_process_agrees(compute: Callable[[Callable[..., Any]], list[str]], make: Callable[..., Any]) -> None:
    """A process with another hash seed computes the same results.

    Args:
        compute: a function that is called with `make` in both processes, and returns the results to compare.
        make: a function that creates the tested object, such as a strategy. Both functions are sent to the other process by
            cloudpickle.
    """
    program = "import sys; from ogive.testing.rules import _print_results; _print_results()"
    process = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps((compute, make)),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": HASH_SEED, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert_that(process.returncode == 0, f"the other process failed:\n{process.stderr.decode(errors='replace')}")
    assert_equal(compute(make), json.loads(process.stdout), "result")


def _print_results() -> None:
    """Read `compute` and `make` from standard input, and print the results as JSON. The other process runs this function."""
    compute, make = cloudpickle.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(compute(make)))
