"""The limits at which a search ends before all of its trials are done: failed trials, hours and money."""

from __future__ import annotations

from typing import NamedTuple

from ogive import formatting
from ogive.run import spending
from ogive.run.repeated_failure import find_common_failure, find_repeated_failure
from ogive.run.settings import Settings
from ogive.run.state import State


class SearchEnd(NamedTuple):
    """The reason why a search has to end.

    Attributes:
        reason: the reason, for the user.
        by_failures: whether the search ends because trials failed.
    """

    reason: str
    by_failures: bool = False


def find_exceeded_limit(state: State, settings: Settings, now: float, is_virtual: bool) -> SearchEnd | None:
    """Return the first limit that a search has reached; None if it may continue.

    Args:
        state: the state of the run.
        settings: the settings of the run.
        now: the present time on the clock of the events, in seconds.
        is_virtual: whether time is virtual, so that failures are simulated. Repeated failures then do not indicate an error
            in the user's code.
    """
    if not is_virtual and (reason := find_repeated_failure(state)) is not None:
        return SearchEnd(reason, by_failures=True)
    failed = state.failed_count - state.uncounted_failure_count
    if failed >= settings.failed_trials_limit:
        reason = f"{failed} trials have failed, and max_failed_trials is {settings.failed_trials_limit}"
        if (common_failure := find_common_failure(state)) is not None:
            reason += f", all with the same failure: {common_failure}"
        return SearchEnd(reason, by_failures=True)
    if settings.hours is None and settings.money is None:
        return None
    spent = spending.compute_spending(state, now)
    if settings.hours is not None and spent.hours >= settings.hours:
        return SearchEnd(f"the budget of {formatting.duration(settings.hours * spending.SECONDS_PER_HOUR)} is used up")
    if settings.money is not None and spent.money is not None and spent.money >= settings.money:
        kind = "budget" if spent.currency else "money budget"
        return SearchEnd(f"the {kind} of {formatting.amount(settings.money, spent.currency)} is used up")
    return None
