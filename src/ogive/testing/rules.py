"""What the conformance suites share: rules with names, and a second process."""

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


def assert_that(holds: bool, message: str) -> None:
    """Raise AssertionError with the message unless `holds`; unlike `assert`, also under `python -O`."""
    if not holds:
        raise AssertionError(message)


def assert_equal(expected: Sequence[str], found: Sequence[str], what: str) -> None:
    """Raise AssertionError that names the first difference."""
    for number, (a, b) in enumerate(zip(expected, found, strict=False)):
        assert_that(a == b, f"{what} {number} is {b}, but should be {a}")
    assert_that(len(expected) == len(found), f"there are {len(found)} of: {what}; there should be {len(expected)}")


@contextmanager
def rule(check: Callable[..., None], where: str) -> Iterator[None]:
    """Put the rule's name and text, which are those of `check`, before whatever goes wrong inside."""
    try:
        yield
    except Exception as error:
        text = str(error) if isinstance(error, AssertionError) else f"raised {type(error).__name__}: {error}"
        name = check.__name__.strip("_")
        raise AssertionError(f"rule {name!r} is broken: {check.__doc__} On {where}: {text}") from error


def same_elsewhere(answers: Callable[[Any], list[str]], make: Any) -> None:
    """Another process, with another hash seed, gives the same answers."""
    program = "import sys; from ogive.testing.rules import _elsewhere; _elsewhere()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps((answers, make)),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": HASH_SEED, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert_that(done.returncode == 0, f"the other process failed:\n{done.stderr.decode(errors='replace')}")
    assert_equal(answers(make), json.loads(done.stdout), "answer")


def _elsewhere() -> None:
    """The other process of `same_elsewhere`."""
    answers, make = cloudpickle.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(answers(make)))
