"""The report of a run: the search, its result and how certain it is, the cost, and how to reproduce the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ogive.document.blocks import Document, Section
from ogive.document.html import render_html
from ogive.document.write import SUFFIXES, write_page
from ogive.errors import JobError, RunError
from ogive.gc_pause import pause_gc
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
    search_curve.build_section,
    pareto_front.build_section,
    winner.build_best,
    full_training.build_section,
    winner.build_baseline,
    decisions.build_section,
    decisions.build_narrowing,
    cost.build_section,
    advice.build_section,
    winner.build_rungs,
    failed_trials.build_section,
    behaviour.build_section,
    advice.build_messages,
    checklist.build_section,
    reproduction.build_section,
)
"""The sections in the order of the page. A function returns None if its section does not apply to this kind of run."""


def write_report(state: State, folder: Path, target: Path, comparison: BaselineComparison | None = None) -> Path:
    """Write the report of a run to `target`: as Markdown if its name ends in `.md`, else as HTML.

    Args:
        state: the state of the search. If its space has layers, they are drawn. A space that was read from a journal has no
            layers, and its architectures are shown as lists of decisions.
        folder: the folder of the run; the comparison with a baseline and the results of full training are read from it.
        target: the file; it is replaced if it exists. The drawings of a Markdown report are written to the folder
            `<stem>-figures` beside it.
        comparison: the comparison with a hand-drawn baseline and a random search; by default, the one in `folder`.

    Returns:
        `target`.

    Raises:
        JobError: the name of `target` ends in neither `.html` nor `.md`.
        RunError: the comparison or the results of full training cannot be read, or `target` cannot be written.
    """
    if target.suffix not in SUFFIXES.values():
        raise JobError(
            f"the report {target}: its name ends in {target.suffix!r}; allowed: {' or '.join(SUFFIXES.values())}"
        )
    # The garbage collector would traverse the state of a long run many times.
    with pause_gc():
        page = build_page(Subject(state, folder, folder.resolve().name, comparison or read_comparison(folder)))
    try:
        write_page(page, target)
    except OSError as error:
        raise RunError(f"the report {target} cannot be written: {error}") from error
    return target


def render(state: State, name: str, comparison: BaselineComparison | None = None, folder: Path | None = None) -> str:
    """Return the report as HTML. It depends only on the arguments and on the files in `folder`."""
    return render_html(build_page(Subject(state, folder, name, comparison)))


def build_page(subject: Subject) -> Document:
    """Return the content of the report, before it is rendered as HTML or Markdown."""
    sections = [section for build in SECTIONS if (section := build(subject)) is not None]
    return Document(
        title=subject.name,
        lead=summary.describe_search(subject),
        sections=sections,
        footer=FOOTER,
        summary=summary.collect_summary(subject),
        tiles=summary.collect_tiles(subject),
    )
