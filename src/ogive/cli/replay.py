"""`ogive replay`: a run under another objective, constraint, price or stop rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from ogive.cli.common import AsJson, RunPath, choices, open_run, print_json, print_table, shown, shown_metrics
from ogive.errors import JobError

if TYPE_CHECKING:
    from ogive.api.replay import Replay
    from ogive.api.replayed_stops import ReplayedStop
    from ogive.objective import Constraint, Objective
    from ogive.run.spending import Spending
    from ogive.run.state import State

_BOUND = re.compile(r"\s*([^<>=\s]+)\s*(<=|>=)\s*(\S+)\s*")

Objectives = Annotated[
    list[str], typer.Option("--objective", metavar="METRIC[:GOAL]", help="Such as score:maximize; may be repeated.")
]
Bounds = Annotated[
    list[str],
    typer.Option("--constraint", metavar="BOUND", help="Such as 'latency<=5'; may be repeated; 'none' for none."),
]
Criteria = Annotated[
    list[str], typer.Option("--criterion", metavar="BOUND", help="Success means all of them, such as 'accuracy>=0.9'.")
]
Rules = Annotated[list[str], typer.Option("--stop", metavar="RULE", help="A stop rule; may be repeated. Default: all.")]
PriceOf = Annotated[str | None, typer.Option(help="Money per worker-hour, or a name in the price file.")]


def replay(
    run: RunPath,
    objective: Objectives = [],  # noqa: B006 - typer copies it
    constraint: Bounds = [],  # noqa: B006
    criterion: Criteria = [],  # noqa: B006
    price: PriceOf = None,
    stop: Rules = [],  # noqa: B006
    hours: Annotated[float | None, typer.Option(help="Another budget of hours.")] = None,
    money: Annotated[float | None, typer.Option(help="Another budget of money.")] = None,
    max_trials: Annotated[int | None, typer.Option(help="Another number of trials.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many trials to choose.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Ask of what was trained: what would have been chosen, when would it have stopped, what would it have cost?

    Nothing is trained; the run may still go on. Under another objective the search would have proposed other
    architectures: the answer is the best among those that were trained.
    """
    from ogive.api.replay import check_recorded

    opened = open_run(run)
    check_recorded(opened.state, "objective", [text.partition(":")[0] for text in objective])
    budget = {name: value for name, value in (("hours", hours), ("money", money)) if value is not None}
    found = opened.replay(
        objectives=[_objective(text) for text in objective] or None,
        constraints=[] if constraint == ["none"] else [_bound(text, "--constraint") for text in constraint] or None,
        criteria=[_bound(text, "--criterion") for text in criterion] or None,
        price=_price(price),
        stop=stop or None,
        budget=budget or None,
        max_trials=max_trials,
        top=top,
    )
    if as_json:
        print_json({**found.to_json(), "run": str(shown(opened.folder))})
    else:
        _print(found, opened.state)


def _objective(text: str) -> Objective:
    from ogive.objective import Objective

    metric, _, goal = text.partition(":")
    try:
        return Objective(metric, goal)
    except JobError:
        if goal:
            raise
    raise JobError(
        f"--objective {text!r} needs a goal, for its name does not tell it: --objective {metric}:maximize or "
        f"{metric}:minimize"
    )


def _bound(text: str, option: str) -> Constraint:
    from ogive.objective import Constraint

    match = _BOUND.fullmatch(text)
    try:
        metric, sign, threshold = match.groups() if match else ("", "", "")
        value = float(threshold)
    except ValueError as error:
        raise JobError(f"{option} {text!r}: a metric, <= or >=, and a number, such as 'latency<=5'") from error
    return Constraint(metric, at_most=value) if sign == "<=" else Constraint(metric, at_least=value)


def _price(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _print(found: Replay, state: State) -> None:
    from ogive.formatting import plural

    goals = ", ".join(f"{o.goal} {o.metric}" for o in found.objectives)
    within = f" with {' and '.join(map(str, found.constraints))}" if found.constraints else ""
    print(f"question  {goals}{within}")
    own = ", ".join(f"{o.goal} {o.metric}" for o in state.objectives)
    print(f"answer    the best of the {found.valued:,} of {plural(found.trials, 'trial')} that can be compared")
    if (found.objectives, found.constraints) != (state.objectives, state.constraints):
        print(f"          they were proposed to {own}; a search for this question would have proposed others")
    if found.front:
        print(f"front     {plural(len(found.front), 'trial')}")
    _print_chosen(found, state)
    _print_stops(found)
    _print_cost(found)


def _print_chosen(found: Replay, state: State) -> None:
    from rich.table import Table

    from ogive.formatting import number

    print()
    if not found.chosen:
        print("chosen    none: no trial has a value under these objectives and satisfies these constraints")
        return
    trials = [choice.trial for choice in found.chosen]
    asked = [o.metric for o in found.objectives] + [c.metric for c in found.constraints]
    metrics = list(dict.fromkeys([*asked, *shown_metrics(state, trials)]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rank", "was", "trial", *metrics, "epochs"):
        table.add_column(name, justify="right", overflow="fold")
    several = len(found.objectives) > 1
    if several:
        table.add_column("on the front")
    table.add_column("architecture", overflow="fold")
    for choice in found.chosen:
        trial = choice.trial
        values = [number(trial.metrics[name]) if name in trial.metrics else "-" for name in metrics]
        was = "-" if choice.was is None else str(choice.was)
        said = ["yes" if choice.on_front else "no"] if several else []
        table.add_row(str(choice.rank), was, str(trial.id), *values, str(trial.step), *said, choices(trial))
    print_table(table)
    if len({trial.step for trial in trials}) > 1:
        print("those trained for more epochs come first, whatever their values")


def _print_stops(found: Replay) -> None:
    from rich.table import Table

    print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stop rule", "at trial", "chosen", "would lose", "would save", "because"):
        table.add_column(name, justify="right" if name in ("at trial", "chosen") else "left", overflow="fold")
    for stop in found.stops:
        table.add_row(stop.rule, *_stop_cells(stop, found), stop.reason)
    print_table(table)


def _stop_cells(stop: ReplayedStop, found: Replay) -> tuple[str, str, str, str]:
    from ogive.formatting import duration, number

    if not stop.stops:
        return "-", "-", "-", "-"
    if stop.lost is None:
        lost = "unknown: nothing feasible by then"
    elif len(found.objectives) > 1:
        lost = f"{stop.lost:.1%} of the front"
    else:
        lost = f"{number(stop.lost)} {found.objectives[0].metric}" if stop.lost > 0 else "nothing"
    money = f", {_money(stop.saved)}" if stop.saved.money is not None else ""
    chosen = "-" if stop.chosen is None else str(stop.chosen)
    return f"{stop.trials} of {found.trials}", chosen, lost, f"{duration(stop.saved.hours * 3600)}{money}"


def _print_cost(found: Replay) -> None:
    from ogive.formatting import duration

    print()
    paid, would = found.paid, found.would_pay
    time = f"{duration(paid.hours * 3600)} ({paid.worker_hours:.3g} worker-hours)"
    if paid.money is None and would.money is None:
        print(f"cost      {time}; no price: --price names one")
    elif paid.money == would.money:
        print(f"cost      {time}, {_money(paid)}")
    else:
        was = "nothing was asked for" if paid.money is None else f"{_money(paid)} was paid"
        print(f"cost      {time}, {_money(would)} at this price; {was}")


def _money(spent: Spending) -> str:
    from ogive.formatting import amount

    return amount(spent.money or 0.0, spent.currency)
