"""The report of a run: what was searched and found, how sure it is, what it cost, and what is needed to repeat it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ogive.document.blocks import Page, Section
from ogive.document.html import render_html
from ogive.document.write import SUFFIXES, write_page
from ogive.errors import JobError, RunError
from ogive.gc_pause import uncollected
from ogive.report import summary
from ogive.report.sections import (
    advice,
    behaviour,
    checklist,
    cost,
    decisions,
    failed_trials,
    full_training,
    pareto_front,
    reproduction,
    search_curve,
    winner,
)
from ogive.report.subject import Subject
from ogive.run.state import State
from ogive.stages.baseline_comparison import BaselineComparison, read_comparison

FOOTER = "Written by Ogive from the run's journal."

SECTIONS: Sequence[Callable[[Subject], Section | None]] = (
    search_curve.section,
    pareto_front.section,
    winner.section,
    full_training.section,
    winner.baseline,
    decisions.section,
    decisions.narrowing,
    cost.section,
    advice.section,
    winner.rungs,
    failed_trials.section,
    behaviour.section,
    advice.messages,
    checklist.section,
    reproduction.section,
)
"""In the order of the page; a function returns None where its section has no place in a run of this kind."""


def write_report(state: State, folder: Path, target: Path, comparison: BaselineComparison | None = None) -> Path:
    """Write the report of a run to `target`: HTML, or Markdown where its name ends in `.md`.

    Args:
        state: with the layers of its space; a space that was read from a journal is drawn as a table of decisions.
        folder: of the run; the comparison with a baseline and the second stage are read from it.
        target: replaced where it exists. The drawings of a Markdown report go into the folder `<stem>-figures` beside it.
        comparison: with a hand-drawn baseline, and with a random search, instead of the one in `folder`.

    Raises:
        JobError: the name of `target` ends in neither `.html` nor `.md`.
        RunError: the comparison or the second stage cannot be read, or `target` cannot be written.
    """
    if target.suffix not in SUFFIXES.values():
        raise JobError(
            f"the report {target}: its name ends in {target.suffix!r}; {' or '.join(SUFFIXES.values())} is known"
        )
    with uncollected():  # what a long run's state holds would be gone through again and again
        page = page_of(Subject(state, folder, folder.resolve().name, comparison or read_comparison(folder)))
    try:
        write_page(page, target)
    except OSError as error:
        raise RunError(f"the report {target} cannot be written: {error}") from error
    return target


def render(state: State, name: str, comparison: BaselineComparison | None = None, folder: Path | None = None) -> str:
    """The page as HTML: a function of the state, the run's name, the comparison and what is in `folder`."""
    return render_html(page_of(Subject(state, folder, name, comparison)))


def page_of(subject: Subject) -> Page:
    """What the report says, before it is HTML or Markdown."""
    sections = [section for make in SECTIONS if (section := make(subject)) is not None]
    lead, decision, tiles = summary.lead(subject), summary.decision(subject), summary.tiles(subject)
    return Page(subject.name, lead, sections, FOOTER, decision, tiles)
