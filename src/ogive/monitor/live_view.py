"""The live view of a running search: an observer `(State, Event | None) -> None` for the controller."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
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
from ogive.run.state import State

Observer = Callable[[State, Event | None], None]

REDRAW_SECONDS = 0.25
LINE_SECONDS = 10.0
STEPS = 10
"""A plain view prints a line each time a further 1/STEPS of the trials is done."""


@contextmanager
def live_view(stream: TextIO | None = None) -> Iterator[Observer]:
    """A view that redraws itself on a terminal, and `plain_view` where `stream` is none.

    What others print to stdout and stderr meanwhile appears above the view. Ctrl-C passes through.

    Args:
        stream: where to draw; by default stderr.
    """
    out = stream if stream is not None else sys.stderr
    console = Console(file=stream) if stream is not None else Console(stderr=True)
    if not is_terminal(out) or console.is_dumb_terminal:
        with plain_view(out) as observe:
            yield observe
        return
    tally = Progress()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            due = 0.0

            def observe_live(state: State, event: Event | None) -> None:
                nonlocal due
                tally.note(state, event)
                if event is not None and event.kind is Kind.WARNING:
                    live.console.print(Text(f"warning: {_about(event)}", style="yellow"), soft_wrap=True)
                now = time.monotonic()
                if now >= due:
                    due = now + REDRAW_SECONDS
                    live.update(_drawn(tally), refresh=True)

            yield observe_live
    finally:
        if tally.seen:
            console.print(Text(tally.summary()), soft_wrap=True)


@contextmanager
def plain_view(stream: TextIO | None = None) -> Iterator[Observer]:
    """A line every ten seconds or tenth of the trials, for logs, one for each warning and alert, and one at the end.

    Args:
        stream: where to print; by default stderr.
    """
    out = stream if stream is not None else sys.stderr
    tally = Progress()
    due, tenths = 0.0, 0

    def observe(state: State, event: Event | None) -> None:
        nonlocal due, tenths
        tally.note(state, event)
        if event is not None and event.kind is Kind.WARNING:
            print(f"warning: {_about(event)}", file=out, flush=True)
        if event is not None and event.kind is Kind.ALERT and not _on_console(state):
            print(f"{state.alerts[-1].severity}: {state.alerts[-1].message}", file=out, flush=True)
        now, done = time.monotonic(), STEPS * tally.at_rest // tally.total
        if (now >= due and due) or done > tenths:
            print(_line(tally), file=out, flush=True)
            due, tenths = now + LINE_SECONDS, max(done, tenths)
        due = due or now + LINE_SECONDS

    try:
        yield observe
    finally:
        if tally.seen:
            print(tally.summary(), file=out, flush=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody is looking; a process without a console has None for its streams."""
    return stream is not None and stream.isatty()


def _about(event: Event) -> str:
    """The message of a warning, with its trial, on one line."""
    about = "" if event.trial is None else f"trial {event.trial}: "
    return " ".join(f"{about}{event.data['message']}".split())


def _on_console(state: State) -> bool:
    """Whether a route of the run prints its last alert already."""
    severity = SEVERITIES.index(state.alerts[-1].severity)
    routes = [{route: True} if isinstance(route, str) else route for route in state.settings.get("alerts", ())]
    return any("console" in r and severity >= SEVERITIES.index(r.get("severity", "info")) for r in routes)


def _line(tally: Progress) -> str:
    failed = f", failed {tally.failures()}" if tally.failures() else ""
    return f"{tally.progress()}{failed}; best: {tally.best_so_far(False)}; {tally.times()}"


def _drawn(tally: Progress) -> Table:
    """The bar and, under it, a line for each thing worth knowing; lines that are too long are cut."""
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(style="dim", no_wrap=True, min_width=8)
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    rows.add_row("", ProgressBar(total=tally.total, completed=min(tally.at_rest, tally.total)))
    rows.add_row("trials", tally.progress())
    rows.add_row("best", Text(tally.best_so_far(), style="bold"))
    if len(tally.best) == 1:
        chosen = ", ".join(f"{name} {label}" for name, label in tally.best[0].architecture.items())
        rows.add_row("", Text(chosen, style="dim"))
    if tally.failures():
        rows.add_row("failed", Text(tally.failures(), style="red"))
    rows.add_row("time", tally.times())
    if tally.spent:
        rows.add_row("cost", tally.spent)
    if tally.state.alerts:
        alert = tally.state.alerts[-1]
        style = {"info": "cyan", "warning": "yellow", "critical": "bold red"}[alert.severity]
        rows.add_row(alert.severity, Text(" ".join(alert.message.split()), style=style))
    if tally.state.ended:
        rows.add_row("ended", Text(tally.state.ended))
    return rows
