"""The live view: what it tells, that it agrees with the state, and that it lets Ctrl-C through."""

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
from ogive.monitor.live_view import _drawn
from ogive.monitor.progress import Progress
from ogive.report import live_view, plain_view
from ogive.run.alerts import Alert
from ogive.run.events import Event, Kind
from ogive.run.results import front, top
from ogive.run.state import State
from ogive.trial import Proposal, Report, Status, Trial

SPACE = og.Space(og.layer(dict, a=og.one_of(*range(8)), b=og.one_of(*range(8)), c=og.one_of(*range(4))))


def judge(a: og.Architecture) -> dict[str, float]:
    if a["c"] == 3:
        raise ValueError("three is not allowed")
    return {"accuracy": a["a"] / 8 - abs(a["b"] - 3) / 20, "parameters": 100 * a["a"] + a["b"]}


def search(folder: Path, observer: object, **options: object) -> og.Run:
    settings = {"max_trials": 40, "max_failed_trials": 40, "seed": 3, "strategy": "random", **options}
    return og.search(
        SPACE, og.estimate.function(judge), run=folder, executor="inline", cache=False, observer=observer, **settings
    )


@pytest.mark.parametrize("several", [False, True])
def test_the_best_kept_up_event_by_event_is_the_best_of_the_state(tmp_path: Path, several: bool) -> None:
    tally, checked = Progress(), []

    def observe(state: State, event: Event | None) -> None:
        tally.note(state, event)
        if len(state.trials) % 7 == 0 and state.done:
            expected = front(state) if several else top(state, 1)
            if expected:
                values = {tuple(t.metrics[o.metric] for o in state.objectives) for t in expected}
                assert {tuple(t.metrics[o.metric] for o in state.objectives) for t in tally.best} == values
                checked.append(len(expected))

    objectives = ["accuracy", og.Objective("parameters", "minimize")] if several else ["accuracy"]
    search(tmp_path / "r", observe, objectives=objectives, constraints=[og.Constraint("parameters", at_most=500)])
    assert len(checked) > 5


def test_a_trial_that_came_further_replaces_a_better_one_that_did_not() -> None:

    architecture = SPACE.sample(np.random.default_rng(0))
    early = Trial(0, Proposal(architecture), status=Status.PAUSED, reports=(Report(1, {"accuracy": 0.9}),))
    late = Trial(1, Proposal(architecture), status=Status.FINISHED, reports=(Report(3, {"accuracy": 0.8}),))
    created = {"epochs": 3}
    state = State(SPACE, created, {"max_trials": 5}, (og.Objective("accuracy"),), (), {0: early})
    tally = Progress()
    tally.note(state, None)
    assert tally.best == [early]
    state.trials[1] = late
    tally.note(state, Event(Kind.FINISHED, 1))
    assert tally.best == [late]
    tally.note(state, Event(Kind.PAUSED, 0))  # better, but not as far
    assert tally.best == [late]
    state.trials[1] = replace(late, status=Status.KILLED)
    tally.note(state, Event(Kind.FAILED, 1))
    assert tally.best == [early]


def test_time_left_is_of_this_session_and_leaves_out_what_the_cache_gave() -> None:

    architecture = SPACE.sample(np.random.default_rng(0))
    now = [100.0]
    state = State(SPACE, {}, {"max_trials": 24, "budget": None}, (og.Objective("accuracy"),), (), elapsed=1000.0)
    state.count[Status.FINISHED] = 10
    tally = Progress(clock=lambda: now[0])
    tally.note(state, None)
    assert tally.left is None

    state.trials[20] = Trial(20, Proposal(architecture), cached=True)
    tally.note(state, Event(Kind.PROPOSED, 20))
    state.count[Status.FINISHED] = 15  # one of them from the cache: 4 in 8 s
    now[0] += 8
    assert tally.left == pytest.approx((24 - 15) * 8 / 4)
    assert tally.elapsed == pytest.approx(1008)
    state.settings["budget"] = 1010 / 3600
    assert tally.left == pytest.approx(2)
    state.ended = "all done"
    assert tally.left is None


def test_plain_lines_come_at_tenths_and_end_with_a_summary(tmp_path: Path) -> None:
    out = io.StringIO()
    with live_view(out) as view:  # no terminal, so plain
        run = search(tmp_path / "r", view)
    printed = out.getvalue().splitlines()
    alerts = [line for line in printed if line.startswith("warning: ")]
    assert [alert.message for alert in run.state.alerts] == [line.removeprefix("warning: ") for line in alerts]
    lines = [line for line in printed if line not in alerts]
    assert len(lines) == 11
    assert lines[0].startswith("4/40 trials")
    assert lines[-1].startswith("40/40 trials")
    assert f"best: trial {run.best.id}, accuracy" in lines[-1]
    assert f"{run.state.failed} failed" in lines[-1]
    assert "ended: all 40 trials are done" in lines[-1]


def test_an_alert_that_a_route_prints_is_not_printed_again(tmp_path: Path) -> None:
    for name, routes, told in (
        ("all", ["console"], False),
        ("some", [{"console": True, "severity": "critical"}], True),
    ):
        out = io.StringIO()
        with live_view(out) as view:
            run = search(tmp_path / name, view, alerts=routes)
        assert "warning" in {alert.severity for alert in run.state.alerts}
        assert ("warning: " in out.getvalue()) is told


@pytest.mark.parametrize("width", [10, 24, 200])
def test_drawing_fits_any_width(tmp_path: Path, width: int) -> None:
    tally = Progress()
    run = search(tmp_path / "r", tally.note)
    run.state.alerts.append(Alert("warning", "slow", "a [bold]long[/bold] warning\nof two lines " * 5, {}))
    tally = Progress()
    tally.note(run.state, None)
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(_drawn(tally))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(line.rstrip()) <= width for line in lines)
    if width == 200:
        assert any("[bold]long[/bold]" in line for line in lines)
        assert any(line.startswith("failed") and "error" in line for line in lines)


def test_nothing_is_printed_where_nothing_was_seen_and_errors_pass_through() -> None:
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), plain_view(out):
        raise KeyboardInterrupt
    assert out.getvalue() == ""


PROGRAM = """
import os, signal, sys
sys.path.insert(0, {here!r})
from test_live_view import SPACE, judge
import ogive as og

def judged(a):
    judged.n += 1
    if judged.n == 20:
        os.kill(os.getpid(), signal.SIGINT)
    return {{"accuracy": a["a"]}}
judged.n = 0

og.search(SPACE, og.estimate.function(judged), run={folder!r}, executor="inline", max_trials=60, cache=False)
print("back", flush=True)
"""


def test_on_a_terminal_ctrl_c_ends_the_search_and_its_message_is_seen(tmp_path: Path) -> None:
    program = PROGRAM.format(here=str(Path(__file__).parent), folder=str(tmp_path / "r"))
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "20"}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    while True:
        try:
            chunk = os.read(controller, 4096)
        except OSError:  # the other end was closed
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait() != 0, shown.decode()
    text = shown.decode()
    assert "stopping: running trials continue" in text
    assert "not ended, can be continued" in text
    assert "the same call continues it" in text
    assert "back" not in text.splitlines()
    assert "\x1b[?25l" in text  # the cursor was hidden while drawing ...
    assert text.count("\x1b[?25h") >= 1  # ... and shown again
    assert og.open_run(tmp_path / "r").ended == ""
