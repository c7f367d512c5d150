"""Show the forecast of a job's cost, and ask for confirmation before an expensive search."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ogive.cli.terminal import print_text
from ogive.errors import RunError

if TYPE_CHECKING:
    from ogive.job import Job
    from ogive.job.cost_forecast import CostForecast, Range


def print_forecast(forecast: CostForecast | None) -> None:
    """Print the forecast, with a line for each part."""
    from ogive.formatting import duration, plural
    from ogive.run.spending import SECONDS_PER_HOUR

    if forecast is None:
        print_text("forecast:  none: the duration of a train function is unknown until the first trials have ended")
        return
    for part in forecast.parts:
        command = " (a separate command: ogive finalize)" if part.separate_command else ""
        cost = "" if part.money is None or forecast.price is None else f", {_format_money(part.money, forecast)}"
        print_text(
            f"forecast:  {part.name}: {plural(part.trainings, 'training')} of {_format_times(part.seconds)}: about "
            f"{_format_times(part.hours.scaled_by(SECONDS_PER_HOUR))}{cost}{command}"
        )
    if forecast.ratio is not None:
        print_text(
            f"           one full training costs {forecast.ratio:.3g} times as much as one training of the first search"
        )
    print_text(f"           {forecast.measurement};")
    print_text(
        f"           measured on this machine in its present state, including {duration(forecast.start_up)} for starting "
        "workers; larger networks take longer"
    )


def confirm(job: Job, yes: bool) -> None:
    """Ask for confirmation before a search starts that may cost more than `confirm_above` of the job.

    There is no question before a search is continued.

    Args:
        job: the job of the search.
        yes: whether the user has confirmed already, by the option `--yes`.

    Raises:
        RunError: the search may cost more, and the user did not confirm it, or there is no terminal for the question.
    """
    from ogive.formatting import amount
    from ogive.job.cost_forecast import forecast_cost

    limit = job.keys.confirm_above
    if limit is None or yes or _has_started(job):
        return
    expected = forecast_cost(job)
    budgets = [search.settings.money for search in ([p.job for p in job.phases if p.job] or [job])]
    # The budgets of the searches do not limit a phase of full training.
    has_full_training = any(phase.job is None for phase in job.phases)
    total_budget = (
        None if has_full_training or None in budgets else sum(money for money in budgets if money is not None)
    )
    if expected is not None and expected.price is not None and expected.money is not None:
        if expected.money <= limit:
            return
        print_forecast(expected)
        about = f"may cost about {expected.price.format_amount(expected.money)}"
    elif total_budget is not None and total_budget <= limit:
        return
    elif total_budget is not None:
        about = f"may spend its budget of {amount(total_budget)}"
    else:
        about = "has a cost that cannot be forecast"
    message = f"the search {about}, and `confirm_above` is {amount(limit)}"
    if not sys.stdin.isatty():
        raise RunError(
            f"{message}: the search cannot be confirmed without a terminal; add --yes, or raise `confirm_above`"
        )
    print(f"{message}. Start it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RunError("the search was not started, because it was not confirmed")


def _has_started(job: Job) -> bool:
    from ogive.api.funnel import FUNNEL_FILE
    from ogive.run.journal import JOURNAL

    return any((Path(job.run_folder) / name).exists() for name in (JOURNAL, FUNNEL_FILE))


def _format_times(seconds: Range) -> str:
    from ogive.formatting import duration, interval

    return interval(seconds.middle, seconds.low, seconds.high, duration)


def _format_money(money: Range, forecast: CostForecast) -> str:
    from ogive.formatting import amount, interval

    assert forecast.price is not None
    return f"{interval(money.middle, money.low, money.high, amount)} {forecast.price.currency}".rstrip()
