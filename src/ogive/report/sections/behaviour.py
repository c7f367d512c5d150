"""How the search proceeded: the diversity of its proposals and the utilisation of its workers."""

from __future__ import annotations

import math

from ogive.document.blocks import Block, Drawing, DrawingRow, Section, Text
from ogive.formatting import duration_of_hours
from ogive.monitor.diversity import DIVERSITY_WINDOW, compute_diversity, estimate_random_distance, list_sample_points
from ogive.report import run_figures
from ogive.report.sections.search_curve import choose_time_unit
from ogive.report.subject import Subject
from ogive.run.spending import SECONDS_PER_HOUR

MAX_POINTS = 80
"""The diversity curve has at most this many points."""


def build_section(subject: Subject) -> Section:
    title = "Diversity and utilisation"
    parts = [part for part in (_diversity(subject), _utilisation(subject)) if part is not None]
    if not parts:
        return Section("behaviour", title, [Text("Too few trials were started to show diversity or utilisation.")])
    blocks: list[Block] = [DrawingRow([drawing for drawing, _ in parts])]
    return Section("behaviour", title, [*blocks, *(Text(note, soft=True) for _, note in parts)])


def _diversity(subject: Subject) -> tuple[Drawing, str] | None:
    """Return the figure and its explanation; None for fewer than two architectures."""
    proposed = [trial.architecture for trial in subject.trials]
    if len(proposed) < 2:
        return None
    values = compute_diversity(proposed, points=MAX_POINTS)
    description = "diversity of the last proposals over the trials"
    svg = run_figures.draw_over_trials(
        list_sample_points(len(proposed), MAX_POINTS), values, "mean distance", description
    )
    repeats = len(proposed) - len({architecture.id for architecture in proposed})
    note = (
        f"Diversity is the mean share of decisions in which two of the last {DIVERSITY_WINDOW} architectures differ. "
        f"It is now {values[-1]:.2f}; random sampling has {estimate_random_distance(subject.state.space):.2f}. "
        f"{repeats:,} of {len(proposed):,} proposals repeat an earlier network."
    )
    return Drawing("diversity", svg, description), note


def _utilisation(subject: Subject) -> tuple[Drawing, str] | None:
    """Return the figure and its explanation; None if no worker was reserved."""
    utilisation = subject.utilisation
    if not utilisation.reserved_hours:
        return None
    total_seconds = SECONDS_PER_HOUR * float(utilisation.hours[-1])
    unit_seconds, unit = choose_time_unit(total_seconds)
    bins = [
        (SECONDS_PER_HOUR * float(start) / unit_seconds, float(share))
        for start, share in zip(utilisation.hours[:-1], utilisation.share, strict=True)
        if math.isfinite(share)
    ]
    times, shares = [start for start, _ in bins], [share for _, share in bins]
    description = "the busy share of the workers over time"
    # The last value is repeated, so that the line reaches the end of the last bin. The axis ends a little above 1.
    svg = run_figures.draw_over_time(
        [*times, total_seconds / unit_seconds],
        [*shares, shares[-1]],
        (unit, "busy share of the workers"),
        description,
        1.05,
    )
    reserved, busy = (duration_of_hours(hours) for hours in (utilisation.reserved_hours, utilisation.busy_hours))
    note = (
        f"Utilisation: workers were reserved for {reserved} and were busy for {busy} of this time "
        f"({100 * utilisation.mean:.0f}%). Times without a controller are not counted."
    )
    return Drawing("utilisation", svg, description), note
