"""Exceptions for the user. Each message states the problem, where it is, and how to fix it."""

from __future__ import annotations


class OgiveError(Exception):
    """Base class of all errors that the user can fix."""


class SpaceError(OgiveError):
    """A search space, or an architecture of it, is invalid."""


class SpaceExhausted(OgiveError):
    """Every architecture of the space has been proposed."""


class Infeasible(OgiveError):
    """An architecture cannot be evaluated. User code (a factory or a train function) raises this error."""


class UserCodeError(OgiveError):
    """A user's function (constraint, canonical, graph, baseline) or plugin (strategy, schedule) raised an exception, or
    returned an invalid value.
    """


class JobError(OgiveError):
    """A job file is invalid, or an argument of a function such as `search`."""


class RunError(OgiveError):
    """The state of a run's folder, journal or lease does not permit the operation."""


class MissingExtra(OgiveError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: the name of the missing package.
        extra: the extra of `ogive` that installs the package.
        purpose: the thing that needs the package, such as "the strategy 'reinforce'"; the message begins with it.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'ogive[{extra}]'")
