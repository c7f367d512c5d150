"""The Pareto front of several objectives, its knee, and the volume that it dominates."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ogive.document.blocks import Block, Drawing, Row, Section, Table, Text
from ogive.formatting import number, plural
from ogive.objective import costs
from ogive.report import run_figures
from ogive.report.frontier import volumes
from ogive.report.subject import LISTED, Subject, shown
from ogive.trial import Trial

TITLE = "Pareto front"
FIGURES = 6
"""Pairs of objectives that are drawn."""


def section(subject: Subject) -> Section | None:
    """None with a single objective, which has no front."""
    if not subject.several:
        return None
    if not subject.front:
        why = "no trial satisfies all constraints" if subject.compared[1] else "no trial has a value of every objective"
        return Section("front", TITLE, [Text(f"There is no front: {why} yet.")])
    return Section("front", TITLE, [Text(_lead(subject)), *_figures(subject), *_volume(subject), *_table(subject)])


def _lead(subject: Subject) -> str:
    text = (
        f"{plural(len(subject.front), 'trial')} that no other trial beats in one objective without losing in another."
    )
    if subject.stage is not None:
        after = ", ".join(str(winner.trial.id) for winner in subject.stages.winners)
        text = f"{text} All of this section is of the search; full training leaves trials {after} on the front."
    if subject.knee is None:
        why = "it takes three trials or more on the front, and one that bulges from the plane through its ends"
        return f"{text} There is no knee: {why}."
    chosen = next(trial for trial in subject.front if trial.id == subject.knee.trial)
    values = ", ".join(f"{name} {value}" for name, value in subject.metrics(chosen))
    return (
        f"{text} Its knee is trial {chosen.id} ({values}): of all on the front it lies furthest before the plane through "
        "the front's ends (Das 1999), where giving up a little of one objective gains most of the others."
    )


def _figures(subject: Subject) -> list[Block]:
    state, trials = subject.state, subject.valued
    metrics = [trial.metrics for trial in trials]
    values = np.array([[m.get(o.metric, np.nan) for o in state.objectives] for m in metrics], dtype=np.float64)
    members = {trial.id for trial in subject.front}
    step = subject.compared[0]
    on_front = [trial.id in members for trial in trials]
    hollow = [not trial.reaches(step) or not subject.feasible(trial) for trial in trials]
    names = [_name(subject, trial, row) for trial, row in zip(trials, values, strict=True)]
    drawings: list[Drawing] = []
    pairs = list(combinations(range(len(state.objectives)), 2))
    for i, j in pairs[:FIGURES]:
        two = (state.objectives[i], state.objectives[j])
        svg = run_figures.pareto_plot(values[:, [i, j]], on_front, two, hollow, names, subject.knee, len(pairs) == 1)
        drawings.append(Drawing(f"front{len(drawings)}", svg, f"{two[1].metric} against {two[0].metric}"))
    left = len(pairs) - len(drawings)
    more: list[Block] = [Text(f"{plural(left, 'more pair')} of objectives are not drawn.", soft=True)] if left else []
    return [drawings[0] if len(pairs) == 1 else Row(drawings), *more]


def _name(subject: Subject, trial: Trial, row: np.ndarray) -> str:
    pairs = zip(subject.state.objectives, row, strict=True)
    return f"trial {trial.id}: {', '.join(f'{o.metric} {shown(float(value))}' for o, value in pairs)}"


def _volume(subject: Subject) -> list[Block]:
    """The dominated share of the box of all values, over the trials that are compared and satisfy the constraints."""
    trials = [trial for trial in subject.compared[1] if subject.feasible(trial)]
    rows = np.array([costs(trial.metrics, subject.state.objectives) for trial in trials])
    places, shares = volumes(rows)
    if len(places) < 2:
        return [Text("Two trials with values are needed to follow the dominated volume.", soft=True)]
    svg = run_figures.over_trials(
        places, shares, "dominated share", "the dominated volume over the trials", "comparable trials"
    )
    note = (
        f"Hypervolume: the front dominates {number(shares[-1])} of the box between the best and the worst value of each "
        f"objective among {plural(len(trials), 'comparable trial')}; half of the trials were enough for "
        f"{number(shares[len(shares) // 2])}."
    )
    return [Row([Drawing("volume", svg, "the dominated volume over the trials")]), Text(note, soft=True)]


def _table(subject: Subject) -> list[Block]:
    names = [name for name, _ in subject.metrics(subject.front[0])]
    rows = []
    for trial in subject.front[:LISTED]:
        values = dict(subject.metrics(trial))
        knee = " (knee)" if subject.knee is not None and subject.knee.trial == trial.id else ""
        rows.append((f"trial {trial.id}{knee}", *(values.get(name, "") for name in names)))
    left = len(subject.front) - len(rows)
    more: list[Block] = [Text(f"... and {left:,} more: `ogive front RUN` lists all.", soft=True)] if left else []
    return [Table(["", *names], rows), *more]
