"""The Pareto front of several objectives, its knee, and the volume that it dominates."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ogive.document.blocks import Block, Drawing, DrawingRow, Section, Table, Text
from ogive.formatting import number, plural
from ogive.objective import compute_costs
from ogive.report import run_figures
from ogive.report.frontier import compute_dominated_volumes
from ogive.report.subject import MAX_ROWS, Subject, format_metric
from ogive.trial import Trial

TITLE = "Pareto front"
MAX_FIGURES = 6
"""At most this many pairs of objectives are drawn."""


def build_section(subject: Subject) -> Section | None:
    """Return the section; None for a single objective, which has no front."""
    if not subject.has_several_objectives:
        return None
    if not subject.front:
        is_infeasible = bool(subject.comparable[1])
        missing = "satisfies all constraints" if is_infeasible else "has a value of every objective"
        return Section("front", TITLE, [Text(f"There is no front yet: no trial {missing}.")])
    blocks = [Text(_lead(subject)), *_figures(subject), *_dominated_volume(subject), *_table(subject)]
    return Section("front", TITLE, blocks)


def _lead(subject: Subject) -> str:
    """Return the number of trials on the front, and the knee."""
    n = len(subject.front)
    is_ = "is" if n == 1 else "are"
    text = (
        f"{plural(n, 'trial')} of the search {is_} on the front: no other trial is better in one objective without being "
        "worse in another."
    )
    if subject.full_training is not None:
        winners = ", ".join(str(winner.trial.id) for winner in subject.stages.winners)
        text = f"{text} After full training, trials {winners} are on the front; the figures show the search."
    if subject.knee is None:
        return f"{text} It has no knee: that needs three trials, one of them better than the plane through the ends."
    knee_trial = next(trial for trial in subject.front if trial.id == subject.knee.trial)
    return (
        f"{text} Its knee is trial {knee_trial.id} ({subject.format_metrics(knee_trial)}): it is furthest from the plane "
        "through the ends of the front (Das 1999), and there a small loss in one objective gains most in the others."
    )


def _figures(subject: Subject) -> list[Block]:
    """Return a figure of the front for each pair of objectives."""
    state, trials = subject.state, subject.trials_with_value
    metrics = [trial.metrics for trial in trials]
    values = np.array([[m.get(o.metric, np.nan) for o in state.objectives] for m in metrics], dtype=np.float64)
    front = {trial.id for trial in subject.front}
    highest_step = subject.comparable[0]
    on_front = [trial.id in front for trial in trials]
    hollow = [not trial.has_reached(highest_step) or not subject.is_feasible(trial) for trial in trials]
    tooltips = [_tooltip(subject, trial, row) for trial, row in zip(trials, values, strict=True)]
    drawings: list[Drawing] = []
    pairs = list(combinations(range(len(state.objectives)), 2))
    for i, j in pairs[:MAX_FIGURES]:
        objectives = (state.objectives[i], state.objectives[j])
        svg = run_figures.draw_pareto_front(
            values[:, [i, j]],
            objectives,
            on_front=on_front,
            hollow=hollow,
            tooltips=tooltips,
            knee=subject.knee,
            only_pair=len(pairs) == 1,
        )
        drawings.append(Drawing(f"front{len(drawings)}", svg, f"{objectives[1].metric} against {objectives[0].metric}"))
    hidden = len(pairs) - len(drawings)
    more: list[Block] = (
        [Text(f"{plural(hidden, 'more pair')} of objectives are not drawn.", soft=True)] if hidden else []
    )
    return [drawings[0] if len(pairs) == 1 else DrawingRow(drawings), *more]


def _tooltip(subject: Subject, trial: Trial, row: np.ndarray) -> str:
    """Return `trial 3: accuracy 0.9, ...` for the values of the objectives in `row`."""
    pairs = zip(subject.state.objectives, row, strict=True)
    return f"trial {trial.id}: {', '.join(f'{o.metric} {format_metric(float(value))}' for o, value in pairs)}"


def _dominated_volume(subject: Subject) -> list[Block]:
    """Return the dominated volume over the number of comparable trials that satisfy the constraints."""
    trials = [trial for trial in subject.comparable[1] if subject.is_feasible(trial)]
    rows = np.array([compute_costs(trial.metrics, subject.state.objectives) for trial in trials])
    counts, shares = compute_dominated_volumes(rows)
    if len(counts) < 2:
        return [Text("The dominated volume is drawn from two trials on.", soft=True)]
    about = "the dominated volume over the trials"
    svg = run_figures.draw_over_trials(counts, shares, "dominated share", about, "comparable trials")
    note = (
        f"Hypervolume: the front dominates {number(shares[-1])} of the box between the best and the worst value of each "
        f"objective among {plural(len(trials), 'comparable trial')}. The first half of the trials dominates "
        f"{number(shares[len(shares) // 2])}."
    )
    return [DrawingRow([Drawing("volume", svg, about)]), Text(note, soft=True)]


def _table(subject: Subject) -> list[Block]:
    """Return the table of the trials on the front with their metrics."""
    names = [name for name, _ in subject.metric_texts(subject.front[0])]
    rows = []
    for trial in subject.front[:MAX_ROWS]:
        values = dict(subject.metric_texts(trial))
        knee = " (knee)" if subject.knee is not None and subject.knee.trial == trial.id else ""
        rows.append((f"trial {trial.id}{knee}", *(values.get(name, "") for name in names)))
    hidden = len(subject.front) - len(rows)
    more: list[Block] = [Text(f"... and {hidden:,} more: `ogive front RUN` lists all.", soft=True)] if hidden else []
    return [Table(["", *names], rows), *more]
