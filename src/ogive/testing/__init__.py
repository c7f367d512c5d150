"""Conformance suites for strategies, schedules, estimators and sinks, both built-in and a user's; comparison of journals."""

from ogive.testing.estimators import check_estimator
from ogive.testing.journals import comparable_events
from ogive.testing.schedules import check_schedule
from ogive.testing.sinks import check_sink
from ogive.testing.strategies import check_strategy

__all__ = ["check_estimator", "check_schedule", "check_sink", "check_strategy", "comparable_events"]
