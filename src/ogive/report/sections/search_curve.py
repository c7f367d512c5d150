"""The search curve: the value of every trial, and the best so far over trials, time and money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ogive.document.blocks import Block, Drawing, DrawingRow, Section, Text
from ogive.formatting import as_sentence, plural
from ogive.objective import Objective
from ogive.report import run_figures
from ogive.report.subject import Subject
from ogive.run.prices import Price
from ogive.run.results import CurvePoint, compute_search_curve
from ogive.run.spending import SECONDS_PER_HOUR

TITLE = "Search curve"


def build_section(subject: Subject) -> Section:
    state = subject.state
    blocks: list[Block] = []
    own_values, own_note = subject.random_reference
    reference = subject.comparison.random_reference if subject.comparison else None
    separate_sources: list[str] = []
    workers = int(state.settings["workers"]) * int(state.settings.get("workers_per_trial", 1)) if state.price else 1
    for i, objective in enumerate(state.objectives):
        points = subject.curve_points if i == 0 else compute_search_curve(state, objective)
        if not points:
            continue
        separate = reference if reference is not None and reference.metric == objective.metric else None
        blocks += _curves(
            points,
            objective,
            reference=separate.values if separate else own_values,
            name=f"curve{i}",
            unit=subject.step_unit,
            price=state.price,
            workers=workers,
        )
        if separate:
            separate_sources.append(
                f"{plural(len(separate.values), 'trial')} of a separate random search. {separate.note}"
            )
    if not blocks:
        return Section("search", TITLE, [Text("There is no curve: no trial has ended yet.")])
    # Without random trials, the run's own note is a sentence that says why there are none.
    note = "; ".join(separate_sources) or own_note
    if reference or own_values:
        note = f"Random reference: the expected best of as many random trials, from {note.strip(' .')}."
    notes = [_origins(subject.curve_points), _compared_trials(subject), note]
    return Section("search", TITLE, [*blocks, *(Text(text, soft=True) for text in notes if text is not None)])


def _curves(
    points: list[CurvePoint],
    objective: Objective,
    *,
    reference: Sequence[float],
    name: str,
    unit: str,
    price: Price | None,
    workers: int,
) -> list[Block]:
    """Return the search curve of an objective, and its best so far over time, compute time and money.

    Args:
        points: the points of the search curve.
        objective: the objective.
        reference: the values of random trials.
        name: the first part of the names of the drawings.
        unit: the unit of the steps of trials, in the singular.
        price: the price of a worker-hour; None without a price.
        workers: the number of all processes of the workers, by which money is computed.
    """
    svg = run_figures.draw_search_curve(points, objective, reference, unit)
    blocks: list[Block] = [Drawing(name, svg, f"{objective.metric} of every trial and the best so far")]
    omitted = run_figures.describe_omitted_outliers(points, objective)
    blocks += [Text(as_sentence(omitted), soft=True)] if omitted is not None else []
    if not any(point.is_full and point.is_feasible for point in points):
        is_infeasible = any(point.is_full for point in points)
        reason = "no trial satisfies the constraints" if is_infeasible else "no trial has a value yet"
        return [*blocks, Text(f"There is no best so far: {reason}.", soft=True)]
    hourly_price = price.compute_hourly_cost(workers) if price is not None else 0.0
    currency = f"in {price.currency}" if price is not None and price.currency else ""
    rows = []
    for quantity, values, label in (
        ("time", [point.time for point in points], "of the search"),
        ("compute", [point.spent_seconds for point in points], "of compute"),
        ("money", [hourly_price * point.time / SECONDS_PER_HOUR for point in points], ""),
    ):
        unit_size, unit = (1.0, f"money {currency}".strip()) if quantity == "money" else choose_time_unit(max(values))
        if max(values) > 0:
            along = [value / unit_size for value in values]
            svg = run_figures.draw_best_over(points, objective, along, f"{unit} {label}".strip())
            rows.append(Drawing(f"{name}-{quantity}", svg, f"the best {objective.metric} so far over {quantity}"))
    return [*blocks, DrawingRow(rows)] if rows else blocks


def choose_time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit that suits a time best: its length in seconds, and its name."""
    for unit_seconds, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit_seconds:
            return unit_seconds, name
    return (1.0, "seconds") if seconds >= 1 else (0.001, "milliseconds")


def _origins(points: list[CurvePoint]) -> str:
    """Return how many trials have each origin."""
    count = Counter(point.origin for point in points)
    if not any(count):
        return "The strategy does not record which of its trials are random and which follow a model."
    names = {
        "": "of unknown origin",
        "random": "random",
        "initial": "initial architectures",
        "warm_start": "from an earlier run",
    }
    parts = [f"{n:,} {names.get(origin, f'proposed by {origin}')}" for origin, n in count.most_common()]
    return f"Origins of the trials: {', '.join(parts)}."


def _compared_trials(subject: Subject) -> str | None:
    """Return among which trials the best is selected; None where there are none."""
    step, trials = subject.comparable
    if not trials:
        return None
    caution = "The value of the best is optimistic, because the trial is selected by it."
    if len(trials) < len(subject.trials_with_value):
        trained = plural(step, subject.step_unit)
        return (
            f"The best is selected among the {plural(len(trials), 'trial')} with {trained}. A value after fewer "
            f"{subject.step_unit}s is not compared with it, even if it is better. {caution}"
        )
    return caution
