"""`ogive replay`: evaluate a run under another objective, constraint, price or stop rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, RunPath, format_decisions, open_run, relative_path, select_metric_columns
from ogive.cli.terminal import print_json, print_rows, print_text
from ogive.errors import JobError

if TYPE_CHECKING:
    from ogive.api.replay import Replay
    from ogive.api.replayed_stops import ReplayedStop
    from ogive.objective import Constraint, Objective
    from ogive.run.spending import Spending
    from ogive.run.state import State

_BOUND = re.compile(r"\s*([^<>=\s]+)\s*(<=|>=)\s*(\S+)\s*")

Objectives = Annotated[
    list[str],
    typer.Option(
        "--objective",
        metavar="METRIC[:GOAL]",
        help="Objective, such as score:maximize. May be repeated. Default: as in the run.",
    ),
]
Bounds = Annotated[
    list[str],
    typer.Option(
        "--constraint",
        metavar="BOUND",
        help="Constraint, such as 'latency<=5', or none. May be repeated. Default: as in the run.",
    ),
]
Criteria = Annotated[
    list[str],
    typer.Option(
        "--criterion",
        metavar="BOUND",
        help="Bound for success, such as 'accuracy>=0.9'. May be repeated. Default: as in the run.",
    ),
]
Rules = Annotated[
    list[str], typer.Option("--stop", metavar="RULE", help="Stop rule to apply. May be repeated. Default: all.")
]
PriceSpec = Annotated[
    str | None, typer.Option(help="Money per worker-hour, or a name in the price file. Default: as in the run.")
]


def replay(
    run: RunPath,
    objective: Objectives = [],  # noqa: B006 - typer copies it
    constraint: Bounds = [],  # noqa: B006
    criterion: Criteria = [],  # noqa: B006
    price: PriceSpec = None,
    stop: Rules = [],  # noqa: B006
    hours: Annotated[float | None, typer.Option(help="Budget in hours. Default: as in the run.")] = None,
    money: Annotated[float | None, typer.Option(help="Budget in money. Default: as in the run.")] = None,
    max_trials: Annotated[int | None, typer.Option(help="Number of trials. Default: as in the run.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of trials to choose.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run under another objective, price or stop rule.

    Shows which trials would be chosen, when each stop rule would have ended the
    search, and what the search would have cost. Nothing is trained. Under
    another objective the search would have proposed other architectures, so the
    answer is the best of those that were trained.

    Example: ogive replay runs/digits --objective latency:minimize
    """
    from ogive.api.replay import check_recorded

    opened = open_run(run)
    check_recorded(opened.state, "objective", [text.partition(":")[0] for text in objective])
    budget = {name: value for name, value in (("hours", hours), ("money", money)) if value is not None}
    result = opened.replay(
        objectives=[_parse_objective(text) for text in objective] or None,
        constraints=[]
        if constraint == ["none"]
        else [_parse_bound(text, "--constraint") for text in constraint] or None,
        criteria=[_parse_bound(text, "--criterion") for text in criterion] or None,
        price=_parse_price(price),
        stop=stop or None,
        budget=budget or None,
        max_trials=max_trials,
        top=top,
    )
    if as_json:
        print_json({**result.to_json(), "run": str(relative_path(opened.folder))})
    else:
        _print(result, opened.state)


def _parse_objective(text: str) -> Objective:
    """Return the objective that `METRIC` or `METRIC:GOAL` describes."""
    from ogive.objective import Objective

    metric, _, goal = text.partition(":")
    try:
        return Objective(metric, goal)
    except JobError:
        if goal:
            raise
    raise JobError(
        f"--objective {text!r} needs a goal, because its name does not show it: --objective {metric}:maximize or "
        f"{metric}:minimize"
    )


def _parse_bound(text: str, option: str) -> Constraint:
    """Return the constraint that a text such as `latency<=5` describes; `option` is for the message."""
    from ogive.objective import Constraint

    match = _BOUND.fullmatch(text)
    # Without a match, float("") raises the ValueError.
    try:
        metric, sign, threshold = match.groups() if match else ("", "", "")
        value = float(threshold)
    except ValueError as error:
        raise JobError(f"{option} {text!r}; allowed: a metric, <= or >=, and a number, such as 'latency<=5'") from error
    return Constraint(metric, at_most=value) if sign == "<=" else Constraint(metric, at_least=value)


def _parse_price(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _print(result: Replay, state: State) -> None:
    """Print a replay. `state` is that of the run, with its own objectives."""
    from ogive.formatting import plural

    goals = ", ".join(f"{o.goal} {o.metric}" for o in result.objectives)
    constraints = f" with {' and '.join(map(str, result.constraints))}" if result.constraints else ""
    print_text(f"question  {goals}{constraints}")
    print_text(
        f"answer    the best of the {result.comparable_count:,} of {plural(result.trials, 'trial')} that can be compared"
    )
    if (result.objectives, result.constraints) != (state.objectives, state.constraints):
        goals_of_search = ", ".join(f"{o.goal} {o.metric}" for o in state.objectives)
        print_text(f"          they were proposed to {goals_of_search}; another search would have proposed others")
    if result.front:
        print_text(f"front     {plural(len(result.front), 'trial')}")
    _print_selected(result, state)
    _print_stops(result)
    _print_cost(result)


def _print_selected(result: Replay, state: State) -> None:
    """Print the table of the trials that the replay selects."""
    from ogive.formatting import number

    print_text()
    if not result.selected:
        print_text("chosen    none: no trial has a value under these objectives and satisfies these constraints")
        return
    trials = [selected.trial for selected in result.selected]
    replayed = [o.metric for o in result.objectives] + [c.metric for c in result.constraints]
    metrics = list(dict.fromkeys([*replayed, *select_metric_columns(state, trials)]))
    has_front = len(result.objectives) > 1
    headings = [
        "rank",
        "rank in run",
        "trial",
        *metrics,
        "epochs",
        *(["on the front"] if has_front else []),
        "architecture",
    ]
    rows = []
    for selected in result.selected:
        trial = selected.trial
        values = [number(trial.metrics[name]) if name in trial.metrics else "-" for name in metrics]
        rank_in_run = "-" if selected.original_rank is None else str(selected.original_rank)
        on_front = ["yes" if selected.on_front else "no"] if has_front else []
        ranks = (str(selected.rank), rank_in_run, str(trial.id))
        rows.append([*ranks, *values, str(trial.step), *on_front, format_decisions(trial)])
    print_rows(headings, rows, left_aligned=("on the front", "architecture"))
    if len({trial.step for trial in trials}) > 1:
        print_text("trials with more epochs come first, whatever their values")


def _print_stops(result: Replay) -> None:
    """Print what each stop rule would have done."""
    print_text()
    headings = ["stop rule", "at trial", "best by then", "loses", "saves", "reason"]
    rows = [[stop.rule, *_stop_cells(stop, result), stop.reason] for stop in result.stops]
    print_rows(headings, rows, left_aligned=("stop rule", "loses", "saves", "reason"))


def _stop_cells(stop: ReplayedStop, result: Replay) -> tuple[str, str, str, str]:
    """Return the cells "at trial", "best by then", "loses" and "saves" of the table of stop rules."""
    from ogive.formatting import duration_of_hours, number

    if not stop.stops:
        return "-", "-", "-", "-"
    if stop.lost is None:
        loss_text = "unknown: no feasible trial by then"
    elif len(result.objectives) > 1:
        loss_text = f"{stop.lost:.1%} of the front"
    else:
        loss_text = f"{number(stop.lost)} {result.objectives[0].metric}" if stop.lost > 0 else "nothing"
    money = f", {_format_money(stop.saved)}" if stop.saved.money is not None else ""
    chosen = "-" if stop.chosen is None else str(stop.chosen)
    return f"{stop.trials} of {result.trials}", chosen, loss_text, f"{duration_of_hours(stop.saved.hours)}{money}"


def _print_cost(result: Replay) -> None:
    """Print the time that the search took, and its cost at the price of the replay and at that of the run."""
    from ogive.formatting import duration_of_hours

    print_text()
    actual, replayed = result.actual_spending, result.replay_spending
    time = f"{duration_of_hours(actual.hours)}, with {duration_of_hours(actual.worker_hours)} of worker time"
    if actual.money is None and replayed.money is None:
        print_text(f"cost      {time}; no price is known, add --price")
    elif actual.money == replayed.money:
        print_text(f"cost      {time}, {_format_money(actual)}")
    else:
        run_price = "the run had no price" if actual.money is None else f"the run paid {_format_money(actual)}"
        print_text(f"cost      {time}, {_format_money(replayed)} at this price; {run_price}")


def _format_money(spent: Spending) -> str:
    from ogive.formatting import amount

    return amount(spent.money or 0.0, spent.currency)
