"""What mattered: the importance of each decision, the alternatives of the best, and a narrower space."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from ogive.document.blocks import Block, Code, Drawing, Fold, Items, Section, Table, Text
from ogive.formatting import plural
from ogive.report import run_figures
from ogive.report.importance import TOP, Frequency, ImportanceResult, left_out
from ogive.report.subject import LISTED, Subject

SHOWN = 24
"""The most decisions, and rows of alternatives, in a figure."""
OTHERS = 5
"""Decisions that are not told apart from chance, in the figure: as many are in the table."""


def section(subject: Subject) -> Section:
    found = subject.found_out
    if found.why:
        return Section("mattered", "What mattered", [Text(f"Nothing can be said: {found.why}")])
    return Section("mattered", "What mattered", [*_importance(found), *_alternatives(subject, found)])


def _importance(found: ImportanceResult) -> list[Block]:
    told = [item for item in found.importances if item.told_apart]
    names = ", ".join(f"{item.decision} ({100 * item.share:.0f} %)" for item in told[:5])
    lead = f"Most of the difference came from {names}." if told else "No decision is told apart from chance."
    note = (
        "Bars: the share of the variance of the values that a decision explains by itself (functional analysis of "
        f"variance, Hutter et al. 2014; main effects from an additive model of {plural(found.trials, 'trial')}), with "
        f"95 % intervals. All main effects together explain {100 * found.explained:.0f} % of the variance of trials that "
        "the model has not seen; the rest is interactions and noise."
    )
    shown = found.importances[: min(SHOWN, len(told) + OTHERS)]
    drawing = Drawing("importance", run_figures.importance_bars(shown), "the importance of each decision")
    head = ["decision", "share", "95 % interval", "chance reaches", "told apart"]
    rows = [
        (
            item.decision,
            percent(item.share),
            f"{percent(item.low)} to {percent(item.high)}",
            percent(item.chance),
            "yes" if item.told_apart else "no",
        )
        for item in found.importances
    ]
    return [Text(lead), drawing, Text(note, soft=True), Fold("the same as a table", [Table(head, rows)])]


def _alternatives(subject: Subject, found: ImportanceResult) -> list[Block]:
    order = {item.decision: place for place, item in enumerate(found.importances)}
    ordered = sorted(found.frequencies, key=lambda item: order[item.decision])
    drawn = _whole(ordered)
    count = max((item.of_top for item in ordered), default=0)
    note = (
        f"How often each alternative stands among the best {100 * TOP:.0f} % ({plural(count, 'trial')}) and among all, "
        "counted where its decision is active. Red: rarer among the best than chance explains (exact test, all alternatives "
        "considered together), and worse with all other decisions equal."
    )
    drawing = Drawing("alternatives", run_figures.frequency_rows(drawn), "how often the best chose each alternative")
    head = ["decision", "alternative", "of the best", "95 % interval", "of all", "worse by", "95 % interval"]
    rows = [_row(item) for item in ordered[: 4 * LISTED]]
    left = len(ordered) - len(rows)
    more: list[Block] = [Text(f"... and {left:,} more", soft=True)] if left else []
    return [drawing, Text(note, soft=True), Fold("all alternatives", [Table(head, rows, frozenset({1})), *more])]


def _whole(items: Sequence[Frequency]) -> list[Frequency]:
    """As many rows as are drawn, without cutting a decision in two."""
    if len(items) <= SHOWN:
        return list(items)
    last = items[SHOWN].decision
    kept = [item for item in items[:SHOWN] if item.decision != last]
    return kept or list(items[:SHOWN])


def _row(item: Frequency) -> tuple[object, ...]:
    top = f"{item.top} of {item.of_top}" if item.of_top else "not active"
    interval = f"{percent(item.low)} to {percent(item.high)}" if item.of_top else ""
    known = item.effect == item.effect
    effect = f"{item.effect:.3g}" if known else "never tried"
    bounds = f"{item.effect_low:.2g} to {item.effect_high:.2g}" if known else ""
    return (item.decision, item.text, top, interval, f"{item.count} of {item.of}", effect, bounds)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


def narrowing(subject: Subject) -> Section:
    """A narrower space, where the evidence carries one."""
    key, title = "narrower", "A narrower space"
    found, only = subject.found_out, subject.narrower
    if found.why:
        return Section(key, title, [Text(f"No space is suggested: {found.why}")])
    if not only:
        text = (
            "No narrower space is suggested: no alternative is both rarer among the best than chance explains and worse "
            f"with all else equal, after {plural(found.trials, 'trial')}. More of them may tell."
        )
        return Section(key, title, [Text(text)])
    whole, narrow = subject.state.space.size(), subject.state.space.restricted(only).size()
    size = ""
    if isinstance(whole, int) and isinstance(narrow, int):
        size = f" It leaves {narrow:,} of {whole:,} architectures ({percent(narrow / whole)})."
    gone = [
        f"{item.decision} {item.text}: {item.top} of the best {item.of_top}, {item.count} of all {item.of}; worse by "
        f"{item.effect:.3g} ({item.effect_low:.2g} to {item.effect_high:.2g})"
        for item in left_out(subject.state.space, found, only)
    ]
    return Section(
        key,
        title,
        [
            Text(f"What the evidence speaks against may be left out of a next search.{size}"),
            Code(only_text(only)),
            Text(
                "These lines belong into a job (where this run has one, `ogive report` writes suggested.yaml); in Python: "
                "`space.restricted({...})`. It is another space: the next search begins anew in it.",
                soft=True,
            ),
            Fold(f"what is left out, and why ({len(gone)})", [Items(gone)]),
        ],
    )


def only_text(only: dict[str, list[object]]) -> str:
    """The lines of a job."""
    lines = yaml.safe_dump({name: list(labels) for name, labels in only.items()}, default_flow_style=None, width=100)
    return "only:\n" + "".join(f"  {line}\n" for line in lines.splitlines())
