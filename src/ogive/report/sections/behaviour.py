"""How the search went: diversity and utilisation over time."""

from __future__ import annotations

import math

from ogive.document.blocks import Block, Drawing, Row, Section, Text
from ogive.formatting import duration
from ogive.monitor.diversity import WINDOW, diversity, places, random_distance
from ogive.report import run_figures
from ogive.report.sections.search_curve import unit_of
from ogive.report.subject import Subject

POINTS = 80


def section(subject: Subject) -> Section:
    drawings: list[Drawing] = []
    notes: list[str] = []
    for part in (_diversity, _utilisation):
        drawing, note = part(subject)
        drawings += [drawing] if drawing else []
        notes.append(note)
    row: list[Block] = [Row(drawings)] if drawings else []
    return Section("course", "Diversity and utilisation", [*row, *(Text(note, soft=bool(row)) for note in notes)])


def _diversity(subject: Subject) -> tuple[Drawing | None, str]:
    tried = [trial.architecture for trial in subject.trials]
    if len(tried) < 2:
        return None, "Diversity: fewer than two architectures were proposed, so none differ."
    values = diversity(tried, points=POINTS)
    svg = run_figures.over_trials(places(len(tried), POINTS), values, "mean distance", "diversity over the trials")
    same = len(tried) - len({architecture.id for architecture in tried})
    note = (
        f"Diversity: the mean share of decisions in which two of the last {WINDOW} architectures differ; now "
        f"{values[-1]:.2f}, random sampling has {random_distance(subject.state.space):.2f}. "
        f"{same:,} of {len(tried):,} proposals repeat an earlier network."
    )
    return Drawing("diversity", svg, "the diversity of the recent population over the trials"), note


def _utilisation(subject: Subject) -> tuple[Drawing | None, str]:
    found = subject.utilisation
    if not found.held_hours:
        return None, "Utilisation: no worker was held, so none was idle."
    size, unit = unit_of(3600 * float(found.hours[-1]))
    known = [
        (float(at), float(share))
        for at, share in zip(found.hours[:-1], found.share, strict=True)
        if math.isfinite(share)
    ]
    times = [3600 * at / size for at, _ in known] + [3600 * float(found.hours[-1]) / size]
    shares = [share for _, share in known]
    svg = run_figures.over_time(
        times,
        [*shares, shares[-1]],
        (unit, "busy share of the workers"),
        "the busy share of the workers over time",
        1.05,
    )
    note = (
        f"Utilisation: of {duration(3600 * found.held_hours)} for which workers were held, they had a trial for "
        f"{duration(3600 * found.busy_hours)} ({100 * found.mean:.0f} %). Stretches in which no controller ran are left out."
    )
    return Drawing("utilisation", svg, "the busy share of the workers over time"), note
