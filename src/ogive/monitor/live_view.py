"""The live view of a running search. It is an observer of the controller."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ogive.monitor.progress import Progress
from ogive.run.alerts import SEVERITIES
from ogive.run.events import Event, Kind
from ogive.run.observers import Observer
from ogive.run.state import State

REDRAW_SECONDS = 0.25
"""The least time between two redraws of the view on a terminal."""
LINE_SECONDS = 10.0
"""The time after which the plain view prints another line."""
LINES_PER_SEARCH = 10
"""The plain view also prints a line each time that another 1/`LINES_PER_SEARCH` of the trials have become inactive."""


@contextmanager
def show_live_view(stream: TextIO | None = None) -> Iterator[Observer]:
    """Show a view that is redrawn on a terminal; if `stream` is not a terminal, use `show_plain_view`.

    Other output to stdout and stderr appears above the view. Ctrl-C interrupts the search as usual.

    Args:
        stream: the stream on which the view is drawn; by default stderr.
    """
    out = stream if stream is not None else sys.stderr
    console = Console(file=stream) if stream is not None else Console(stderr=True)
    if not is_terminal(out) or console.is_dumb_terminal:
        with show_plain_view(out) as observe:
            yield observe
        return
    progress = Progress()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            next_redraw = 0.0

            def observe_live(state: State, event: Event | None) -> None:
                nonlocal next_redraw
                progress.record_event(state, event)
                if event is not None and event.kind is Kind.WARNING:
                    live.console.print(Text(f"warning: {_format_warning(event)}", style="yellow"))
                now = time.monotonic()
                if now >= next_redraw:
                    next_redraw = now + REDRAW_SECONDS
                    live.update(_create_table(progress), refresh=True)

            yield observe_live
    finally:
        if progress.has_started:
            console.print(Text(progress.format_summary()))


@contextmanager
def show_plain_view(stream: TextIO | None = None) -> Iterator[Observer]:
    """Print lines for logs: every ten seconds or tenth of the trials, for each warning and alert, and at the end.

    Args:
        stream: the stream on which lines are printed; by default stderr.
    """
    out = stream if stream is not None else sys.stderr
    progress = Progress()
    next_line, printed_parts = 0.0, 0  # the time of the next line, and the parts of the search that have a line

    def observe(state: State, event: Event | None) -> None:
        nonlocal next_line, printed_parts
        progress.record_event(state, event)
        if event is not None and event.kind is Kind.WARNING:
            print(f"warning: {_format_warning(event)}", file=out, flush=True)
        if event is not None and event.kind is Kind.ALERT and not _is_routed_to_console(state):
            print(f"{state.alerts[-1].severity}: {state.alerts[-1].message}", file=out, flush=True)
        now, parts = time.monotonic(), LINES_PER_SEARCH * progress.inactive // progress.total
        if (now >= next_line and next_line) or parts > printed_parts:
            print(_format_plain_line(progress), file=out, flush=True)
            next_line, printed_parts = now + LINE_SECONDS, max(parts, printed_parts)
        # The first event starts the interval, but prints no line.
        next_line = next_line or now + LINE_SECONDS

    try:
        yield observe
    finally:
        if progress.has_started:
            print(progress.format_summary(), file=out, flush=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether `stream` is a terminal. The streams of a process without a console are None."""
    return stream is not None and stream.isatty()


def _format_warning(event: Event) -> str:
    """Return the message of a warning, with its trial, in one line."""
    about = "" if event.trial is None else f"trial {event.trial}: "
    return " ".join(f"{about}{event.data['message']}".split())


def _is_routed_to_console(state: State) -> bool:
    """Return whether an alert route of the run prints the last alert. The view must then not print the alert as well."""
    severity = SEVERITIES.index(state.alerts[-1].severity)
    routes = [{route: True} if isinstance(route, str) else route for route in state.settings.get("alerts", ())]
    return any("console" in r and severity >= SEVERITIES.index(r.get("severity", "info")) for r in routes)


def _format_plain_line(progress: Progress) -> str:
    failures = progress.format_failures()
    failed = "" if failures is None else f", failed {failures}"
    return f"{progress.format_counts()}{failed}; best: {progress.format_best(False)}; {progress.format_times()}"


def _create_table(progress: Progress) -> Table:
    """Return the progress bar and the lines below it. Long lines are wrapped, except the decisions of the best trial."""
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(style="dim", no_wrap=True, min_width=8)
    rows.add_column(ratio=1)
    rows.add_row("", ProgressBar(total=progress.total, completed=min(progress.inactive, progress.total)))
    rows.add_row("trials", progress.format_counts())
    rows.add_row("best", Text(progress.format_best(), style="bold"))
    if len(progress.best) == 1:
        decisions = ", ".join(f"{name} {label}" for name, label in progress.best[0].architecture.items())
        rows.add_row("", Text(decisions, style="dim", no_wrap=True, overflow="ellipsis"))
    failures, spent = progress.format_failures(), progress.spent
    if failures is not None:
        rows.add_row("failed", Text(failures, style="red"))
    rows.add_row("time", progress.format_times())
    if spent is not None:
        rows.add_row("cost", spent)
    if progress.state.alerts:
        alert = progress.state.alerts[-1]
        style = {"info": "cyan", "warning": "yellow", "critical": "bold red"}[alert.severity]
        rows.add_row(alert.severity, Text(" ".join(alert.message.split()), style=style))
    if progress.state.end_reason:
        rows.add_row("ended", Text(progress.state.end_reason))
    return rows
