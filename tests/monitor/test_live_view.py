"""The live view: its texts, that it agrees with the state, and that it passes on Ctrl-C."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import ogive as og
from ogive.monitor.live_view import _create_table
from ogive.monitor.progress import Progress
from ogive.report import show_live_view, show_plain_view
from ogive.run.alerts import Alert
from ogive.run.events import Event, Kind
from ogive.run.results import find_best_trials, find_front
from ogive.run.state import State
from ogive.trial import Proposal, Report, Status, Trial

SPACE = og.Space(og.layer(dict, a=og.one_of(*range(8)), b=og.one_of(*range(8)), c=og.one_of(*range(4))))


def evaluate(a: og.Architecture) -> dict[str, float]:
    if a["c"] == 3:
        raise ValueError("three is not allowed")
    return {"accuracy": a["a"] / 8 - abs(a["b"] - 3) / 20, "parameters": 100 * a["a"] + a["b"]}


def search(folder: Path, observer: object, **options: object) -> og.Run:
    settings = {"max_trials": 40, "max_failed_trials": 40, "seed": 3, "strategy": "random", **options}
    return og.search(
        SPACE, og.estimate.function(evaluate), run=folder, executor="inline", cache=False, observer=observer, **settings
    )


@pytest.mark.parametrize("several", [False, True])
def test_the_incrementally_updated_best_equals_that_of_the_state(tmp_path: Path, several: bool) -> None:
    progress, checked = Progress(), []

    def observe(state: State, event: Event | None) -> None:
        progress.record_event(state, event)
        if len(state.trials) % 7 == 0 and state.ended_count:
            expected = find_front(state) if several else find_best_trials(state, 1)
            if expected:
                values = {tuple(t.metrics[o.metric] for o in state.objectives) for t in expected}
                assert {tuple(t.metrics[o.metric] for o in state.objectives) for t in progress.best} == values
                checked.append(len(expected))

    objectives = ["accuracy", og.Objective("parameters", "minimize")] if several else ["accuracy"]
    search(tmp_path / "r", observe, objectives=objectives, constraints=[og.Constraint("parameters", at_most=500)])
    assert len(checked) > 5


def test_a_trial_at_a_higher_step_replaces_a_better_one_at_a_lower_step() -> None:

    architecture = SPACE.sample(np.random.default_rng(0))
    early = Trial(0, Proposal(architecture), status=Status.PAUSED, reports=(Report(1, {"accuracy": 0.9}),))
    late = Trial(1, Proposal(architecture), status=Status.FINISHED, reports=(Report(3, {"accuracy": 0.8}),))
    created = {"epochs": 3}
    state = State(SPACE, created, {"max_trials": 5}, (og.Objective("accuracy"),), (), {0: early})
    progress = Progress()
    progress.record_event(state, None)
    assert progress.best == [early]
    state.trials[1] = late
    progress.record_event(state, Event(Kind.FINISHED, 1))
    assert progress.best == [late]
    progress.record_event(state, Event(Kind.PAUSED, 0))  # better, but at a lower step
    assert progress.best == [late]
    state.trials[1] = replace(late, status=Status.KILLED)
    progress.record_event(state, Event(Kind.FAILED, 1))
    assert progress.best == [early]


def test_the_remaining_time_is_estimated_from_this_session_without_cached_trials() -> None:

    architecture = SPACE.sample(np.random.default_rng(0))
    now = [100.0]
    state = State(
        SPACE, {}, {"max_trials": 24, "budget": None}, (og.Objective("accuracy"),), (), elapsed_seconds=1000.0
    )
    state.status_counts[Status.FINISHED] = 10
    progress = Progress(clock=lambda: now[0])
    progress.record_event(state, None)
    assert progress.remaining is None

    state.trials[20] = Trial(20, Proposal(architecture), cached=True)
    progress.record_event(state, Event(Kind.PROPOSED, 20))
    state.status_counts[Status.FINISHED] = 15  # one of the five is from the cache: 4 trials in 8 s
    now[0] += 8
    assert progress.remaining == pytest.approx((24 - 15) * 8 / 4)
    assert progress.elapsed == pytest.approx(1008)
    state.settings["budget"] = 1010 / 3600
    assert progress.remaining == pytest.approx(2)
    state.end_reason = "all done"
    assert progress.remaining is None


def test_plain_lines_are_printed_at_tenths_and_end_with_a_summary(tmp_path: Path) -> None:
    out = io.StringIO()
    with show_live_view(out) as view:  # not a terminal, so the view is plain
        run = search(tmp_path / "r", view)
    printed = out.getvalue().splitlines()
    alerts = [line for line in printed if line.startswith("warning: ")]
    assert [alert.message for alert in run.state.alerts] == [line.removeprefix("warning: ") for line in alerts]
    lines = [line for line in printed if line not in alerts]
    assert len(lines) == 11
    assert lines[0].startswith("4/40 trials")
    assert lines[-1].startswith("40/40 trials")
    assert f"best: trial {run.best.id}, accuracy" in lines[-1]
    assert f"{run.state.failed_count} failed" in lines[-1]
    assert "ended: all 40 trials are done" in lines[-1]


def test_an_alert_that_a_route_prints_is_not_printed_again(tmp_path: Path) -> None:
    for name, routes, is_printed in (
        ("all", ["console"], False),
        ("some", [{"console": True, "severity": "critical"}], True),
    ):
        out = io.StringIO()
        with show_live_view(out) as view:
            run = search(tmp_path / name, view, alerts=routes)
        assert "warning" in {alert.severity for alert in run.state.alerts}
        assert ("warning: " in out.getvalue()) is is_printed


@pytest.mark.parametrize("width", [10, 24, 200])
def test_the_view_fits_any_width(tmp_path: Path, width: int) -> None:
    progress = Progress()
    run = search(tmp_path / "r", progress.record_event)
    run.state.alerts.append(Alert("warning", "slow", "a [bold]long[/bold] warning\nof two lines " * 5, {}))
    progress = Progress()
    progress.record_event(run.state, None)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(_create_table(progress))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(line.rstrip()) <= width for line in lines)
    if width == 200:
        assert any("[bold]long[/bold]" in line for line in lines)
        assert any(line.startswith("failed") and "error" in line for line in lines)


def test_nothing_is_printed_before_the_first_event_and_errors_are_passed_on() -> None:
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), show_plain_view(out):
        raise KeyboardInterrupt
    assert out.getvalue() == ""


PROGRAM = """
import os, signal, sys
sys.path.insert(0, {here!r})
from test_live_view import SPACE
import ogive as og

def evaluate(a):
    evaluate.calls += 1
    if evaluate.calls == 20:
        os.kill(os.getpid(), signal.SIGINT)
    return {{"accuracy": a["a"]}}
evaluate.calls = 0

og.search(SPACE, og.estimate.function(evaluate), run={folder!r}, executor="inline", max_trials=60, cache=False)
print("back", flush=True)
"""


def test_on_a_terminal_ctrl_c_ends_the_search_with_a_message(tmp_path: Path) -> None:
    program = PROGRAM.format(here=str(Path(__file__).parent), folder=str(tmp_path / "r"))
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "20"}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    output = b""
    while True:
        try:
            chunk = os.read(controller, 4096)
        except OSError:  # the other end was closed
            break
        if not chunk:
            break
        output += chunk
    assert process.wait() != 0, output.decode()
    text = output.decode()
    assert "stopping: running trials continue" in text
    assert "not ended, can be continued" in " ".join(text.split())  # the message is wrapped
    assert "the same call continues it" in text
    assert "back" not in text.splitlines()
    assert "\x1b[?25l" in text  # the cursor is hidden while drawing ...
    assert text.count("\x1b[?25h") >= 1  # ... and shown again
    assert og.open_run(tmp_path / "r").ended is None
