"""The conformance suites that every plug-in, Ogive's own or a user's, is run through."""

from ogive.testing.schedules import check_schedule
from ogive.testing.strategies import check_strategy

__all__ = ["check_schedule", "check_strategy"]
