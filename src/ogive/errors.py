"""The errors that Ogive raises on purpose: each says what was found, where, and what would be right."""

from __future__ import annotations


class OgiveError(Exception):
    """Base of every error that is meant for the user who caused it."""


class SpaceError(OgiveError):
    """A search space, or an architecture of it, is not what it should be."""


class SpaceExhausted(OgiveError):
    """Every architecture that the space allows has been proposed."""


class Infeasible(OgiveError):
    """Raised by user code (a factory or a train function): this architecture cannot be evaluated."""


class UserCodeError(OgiveError):
    """A user's function (constraint, canonical, graph, baseline) raised, or returned what it must not."""


class JobError(OgiveError):
    """A job, or an argument of `search`, is not what it should be."""


class RunError(OgiveError):
    """A run's folder, journal or lease does not allow what was asked."""


class MissingExtra(OgiveError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'ogive[{extra}]'")
