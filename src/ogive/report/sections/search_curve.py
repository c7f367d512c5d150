"""The search curve: every trial, and the best over trials, time and money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ogive.document.blocks import Block, Drawing, Row, Section, Text
from ogive.formatting import plural
from ogive.objective import Objective
from ogive.report import run_figures
from ogive.report.subject import Subject
from ogive.run.prices import Price
from ogive.run.results import CurvePoint, curve

HOUR = 3600.0


def section(subject: Subject) -> Section:
    blocks: list[Block] = []
    own, note = subject.random
    given = subject.comparison.random_reference if subject.comparison else None
    sources: list[str] = []
    state = subject.state
    workers = int(state.settings["workers"]) * int(state.settings.get("workers_per_trial", 1)) if state.price else 1
    for i, objective in enumerate(state.objectives):
        points = subject.points if i == 0 else curve(state, objective)
        if not points:
            continue
        separate = given if given is not None and given.metric == objective.metric else None
        blocks += _curves(points, objective, separate.values if separate else own, f"curve{i}", state.price, workers)
        if separate:
            sources.append(f"{plural(len(separate.values), 'trial')} of a separate random search. {separate.note}")
    if not blocks:
        return Section("search", "Search curve", [Text("No trial has come to rest yet, so there is no curve.")])
    sources = sources or [note]
    if given or own:
        sources = [f"Random reference, the expected best of as many random trials: {'; '.join(sources).strip(' .')}."]
    notes = [_origins(subject.points), _about(subject), sources[0]]
    return Section("search", "Search curve", [*blocks, *(Text(text, soft=True) for text in notes if text)])


def _curves(
    points: list[CurvePoint],
    objective: Objective,
    reference: Sequence[float],
    name: str,
    price: Price | None,
    workers: int,
) -> list[Block]:
    outside = run_figures.beyond_frame(points, objective)
    svg = run_figures.search_curve(points, objective, reference)
    blocks: list[Block] = [Drawing(name, svg, f"{objective.metric} of every trial and the best so far")]
    blocks += [Text(f"{outside[0].upper()}{outside[1:]}.", soft=True)] if outside else []
    if not any(point.full and point.feasible for point in points):
        why = (
            "no trial satisfies the constraints" if any(point.full for point in points) else "no trial has a value yet"
        )
        return [*blocks, Text(f"There is no best so far: {why}.", soft=True)]
    hourly = price.rate(workers) if price is not None else 0.0
    currency = f"in {price.currency}" if price is not None and price.currency else ""
    rows = []
    for what, values, label in (
        ("time", [point.time for point in points], "of the search"),
        ("compute", [point.spent for point in points], "of compute"),
        ("money", [hourly * point.time / HOUR for point in points], ""),
    ):
        size, unit = (1.0, f"money {currency}".strip()) if what == "money" else unit_of(max(values))
        if max(values) > 0:
            along = [value / size for value in values]
            svg = run_figures.best_over(points, objective, along, f"{unit} {label}".strip())
            rows.append(Drawing(f"{name}-{what}", svg, f"the best {objective.metric} so far over {what}"))
    return [*blocks, Row(rows)] if rows else blocks


def unit_of(seconds: float) -> tuple[float, str]:
    """The unit in which a time is read best, in seconds, and its name."""
    for size, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return size, name
    return (1.0, "seconds") if seconds >= 1 else (0.001, "milliseconds")


def _origins(points: list[CurvePoint]) -> str:
    """How many trials came from where."""
    count = Counter(point.origin for point in points)
    if not any(count):
        return "The strategy does not say which of its trials are random and which follow a model."
    given = {"initial": "given at the start", "warm_start": "of an earlier run"}
    names = {"": "of unknown origin", "random": "drawn at random", **given}
    parts = [f"{n:,} {names.get(origin, f'led by {origin}')}" for origin, n in count.most_common()]
    return f"Where the trials came from: {', '.join(parts)}."


def _about(subject: Subject) -> str:
    step, full = subject.compared
    if not full:
        return ""
    about = "The best is chosen by these values, so they flatter it: how good it is shows on data that it was not chosen on."
    if len(full) < len(subject.valued):
        return f"The best is sought among the {plural(len(full), 'trial')} that came to step {step}. {about}"
    return about
