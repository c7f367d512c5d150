"""The importance of each decision, the alternatives that the best trials chose, and a narrower space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from ogive.document.blocks import Block, Code, Drawing, Fold, Items, Section, Table, Text
from ogive.formatting import plural
from ogive.report import decision_figures
from ogive.report.importance import TOP_SHARE, Frequency, ImportanceResult
from ogive.report.narrower_space import list_removed_alternatives
from ogive.report.subject import MAX_ROWS, Subject

MAX_DRAWN = 24
"""A figure shows at most this many decisions or alternatives."""
INSIGNIFICANT_DRAWN = 5
"""The figure shows at most this many decisions without a significant effect; the table has all of them."""
MAX_ALTERNATIVES = 4 * MAX_ROWS
"""The table lists at most this many alternatives."""
IMPORTANCE_TITLE = "Which decisions mattered"
NARROWER_TITLE = "A narrower space"


def build_section(subject: Subject) -> Section:
    result = subject.importance
    if result.reason is not None:
        return Section("mattered", IMPORTANCE_TITLE, [Text(f"Not computed: {result.reason}.")])
    return Section("mattered", IMPORTANCE_TITLE, [*_importance(result), *_alternatives(result)])


def _importance(result: ImportanceResult) -> list[Block]:
    """Return the figure and the table of the importance of each decision."""
    significant = [item for item in result.importances if item.is_significant]
    names = ", ".join(f"{item.decision} ({100 * item.share:.0f}%)" for item in significant[:5])
    lead = f"Most of the variance comes from {names}." if significant else "No decision has a significant effect."
    note = (
        "Bars show the share of the variance of the values that a decision explains by itself, with 95% intervals "
        "(functional analysis of variance, Hutter et al. 2014, with main effects from an additive model of "
        f"{plural(result.trials, 'trial')}). All main effects together explain {100 * result.explained:.0f}% of the "
        "variance of trials that the model has not seen; the remaining variance is interactions and noise."
    )
    drawn_importances = result.importances[: min(MAX_DRAWN, len(significant) + INSIGNIFICANT_DRAWN)]
    drawing = Drawing(
        "importance", decision_figures.draw_importances(drawn_importances), "the importance of each decision"
    )
    head = ["decision", "share", "95% interval", "reached by chance", "significant"]
    rows = [
        (
            item.decision,
            format_percent(item.share),
            f"{format_percent(item.low)} to {format_percent(item.high)}",
            format_percent(item.chance),
            "yes" if item.is_significant else "no",
        )
        for item in result.importances
    ]
    return [Text(lead), drawing, Text(note, soft=True), Fold("the same as a table", [Table(head, rows)])]


def _alternatives(result: ImportanceResult) -> list[Block]:
    """Return the figure and the table of how often each alternative was chosen, the most important decision first."""
    rank = {item.decision: i for i, item in enumerate(result.importances)}
    ordered = sorted(result.frequencies, key=lambda item: rank[item.decision])
    count = max((item.best_total for item in ordered), default=0)
    note = (
        f"How often the best {100 * TOP_SHARE:.0f}% ({plural(count, 'trial')}) and all trials chose each alternative, "
        "where its decision is active. Red alternatives are significantly rarer among the best (exact test, corrected for "
        "the number of alternatives), and also worse with all other decisions equal."
    )
    figure = decision_figures.draw_frequencies(_select_whole_decisions(ordered))
    drawing = Drawing("alternatives", figure, "how often the best chose each alternative")
    head = ["decision", "alternative", "of the best", "95% interval", "of all", "worse by", "95% interval"]
    rows = [_make_row(item) for item in ordered[:MAX_ALTERNATIVES]]
    hidden = len(ordered) - len(rows)
    more: list[Block] = [Text(f"... and {hidden:,} more", soft=True)] if hidden else []
    return [drawing, Text(note, soft=True), Fold("all alternatives", [Table(head, rows, frozenset({1})), *more])]


def _select_whole_decisions(items: Sequence[Frequency]) -> list[Frequency]:
    """Return at most the first `MAX_DRAWN` alternatives, with all or none of a decision's alternatives.

    Only if a single decision has more alternatives, a part of them is returned.
    """
    if len(items) <= MAX_DRAWN:
        return list(items)
    divided = items[MAX_DRAWN].decision
    complete = [item for item in items[:MAX_DRAWN] if item.decision != divided]
    return complete or list(items[:MAX_DRAWN])


def _make_row(item: Frequency) -> tuple[object, ...]:
    best = f"{item.best_count} of {item.best_total}" if item.best_total else "not active"
    interval = f"{format_percent(item.low)} to {format_percent(item.high)}" if item.best_total else ""
    # The effect of an alternative that was never tried is NaN, which does not equal itself.
    was_tried = item.effect == item.effect
    effect = f"{item.effect:.3g}" if was_tried else "never tried"
    bounds = f"{item.effect_low:.2g} to {item.effect_high:.2g}" if was_tried else ""
    return (item.decision, item.text, best, interval, f"{item.count} of {item.total}", effect, bounds)


def format_percent(share: float) -> str:
    """Return a share as `12%`; with one decimal below 10%."""
    # From 0.0995 on, a share is rounded to 10% or more.
    return f"{100 * share:.0f}%" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}%"


def build_narrowing(subject: Subject) -> Section:
    """Return the suggestion of a narrower space, if the evidence suffices for one."""
    result, restriction = subject.importance, subject.narrower_space
    if result.reason is not None:
        return Section("narrower", NARROWER_TITLE, [Text(f"No narrower space is suggested: {result.reason}.")])
    if not restriction:
        text = (
            f"No narrower space is suggested: after {plural(result.trials, 'trial')} no alternative is both significantly "
            "rarer among the best and worse with all other decisions equal."
        )
        return Section("narrower", NARROWER_TITLE, [Text(text)])
    whole, narrow = subject.state.space.size(), subject.state.space.restricted(restriction).size()
    size = ""
    if isinstance(whole, int) and isinstance(narrow, int):
        size = f" It has {narrow:,} of the {whole:,} architectures ({format_percent(narrow / whole)})."
    removed = [
        f"{item.decision} {item.text}: {item.best_count} of the best {item.best_total}, {item.count} of all {item.total}; "
        f"worse by {item.effect:.3g} ({item.effect_low:.2g} to {item.effect_high:.2g})"
        for item in list_removed_alternatives(subject.state.space, result, restriction)
    ]
    usage = (
        "Add these lines to a job (for a run that was started with a job, `ogive report` writes suggested.yaml); in Python "
        "use `space.restricted({...})`. It is another space, so the search of it is a new run."
    )
    return Section(
        "narrower",
        NARROWER_TITLE,
        [
            Text(f"A next search can use a space without the alternatives that are significantly worse.{size}"),
            Code(format_restriction(restriction)),
            Text(usage, soft=True),
            Fold(f"{plural(len(removed), 'removed alternative')}, and why", [Items(removed)]),
        ],
    )


def format_restriction(restriction: Mapping[str, Sequence[object]]) -> str:
    """Return the restriction as lines of a job file."""
    plain = {name: list(labels) for name, labels in restriction.items()}
    lines = yaml.safe_dump(plain, default_flow_style=None, width=100)
    return "only:\n" + "".join(f"  {line}\n" for line in lines.splitlines())
