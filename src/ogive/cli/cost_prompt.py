"""What a job will cost, as the commands show it and ask about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ogive.errors import RunError

if TYPE_CHECKING:
    from ogive.job import Job
    from ogive.job.cost_forecast import CostForecast, Range


def print_forecast(forecast: CostForecast | None) -> None:
    """The forecast, a line for each part."""
    from ogive.formatting import duration, plural

    if forecast is None:
        print("forecast:  none: only the train function knows how long it trains; the first trials will tell")
        return
    for part in forecast.parts:
        command = " (a command of its own: ogive finalize)" if part.separate_command else ""
        cost = "" if part.money is None or forecast.price is None else f", {_money(part.money, forecast)}"
        print(
            f"forecast:  {part.name}: {plural(part.trainings, 'training')} of {_times(part.seconds)}: about "
            f"{_times(part.hours.times(3600))}{cost}{command}"
        )
    if forecast.ratio is not None:
        print(f"           one full training costs {forecast.ratio:.3g} times one of the first search")
    print(f"           {forecast.measurement};")
    print(
        f"           on this machine as it is now, {duration(forecast.start_up)} for the start of workers included; larger "
        "networks come on top"
    )


def confirm(job: Job, yes: bool) -> None:
    """Ask before a search that may cost more than the job's `confirm_above`; a run that goes on is not asked about again.

    Raises:
        RunError: it may cost more, and nobody can be asked or said no.
    """
    from ogive.job.cost_forecast import forecast

    limit = job.keys.confirm_above
    if limit is None or yes or _begun(job):
        return
    expected = forecast(job)
    capped = [search.settings.money for search in ([p.job for p in job.phases if p.job] or [job])]
    trains_best = any(phase.job is None for phase in job.phases)  # whom no budget of a search ends
    cap = None if trains_best or None in capped else sum(amount for amount in capped if amount is not None)
    if expected is not None and expected.price is not None and expected.money is not None:
        if expected.money <= limit:
            return
        print_forecast(expected)
        about = f"may cost about {expected.price.amount(expected.money)}"
    elif cap is not None and cap <= limit:
        return
    else:
        about = "has a cost that cannot be forecast" if cap is None else f"may spend its budget of {cap:g}"
    about = f"the search {about}, and `confirm_above` is {limit:g}"
    if not sys.stdin.isatty():
        raise RunError(f"{about}: nobody is at a terminal to confirm it; say --yes, or raise `confirm_above`")
    print(f"{about}. Start it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RunError("not started")


def _begun(job: Job) -> bool:
    from ogive.api.funnel import FUNNEL
    from ogive.run.journal import JOURNAL

    return any((Path(job.run) / name).exists() for name in (JOURNAL, FUNNEL))


def _times(seconds: Range) -> str:
    from ogive.formatting import duration

    low, middle, high = (duration(value) for value in (seconds.low, seconds.middle, seconds.high))
    return f"{middle} ({low} to {high})" if low != high else middle


def _money(money: Range, forecast: CostForecast) -> str:
    assert forecast.price is not None
    return f"{forecast.price.amount(money.middle)} ({money.low:,.2f} to {money.high:,.2f})"
