"""The conformance suite of sinks: `check_sink`."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle

from ogive.errors import RunError
from ogive.run.events import Event, Kind, proposal_to_json
from ogive.run.settings import Settings
from ogive.sinks.base import EventFeeder, Sink, feed_events, run_identity
from ogive.space import Space, integer, layer, one_of, some_of
from ogive.testing.rules import assert_that, rule
from ogive.trial import Proposal

MakeSink = Callable[[Path], Sink]
ReadShown = Callable[[Path, str], Any]
"""A function that reads back the content that a target shows for a run, given the folder and the identity of the run."""
KILLED_EXIT_CODE = 9
"""The exit code of a process that was killed while it was writing."""


def check_sink(make: MakeSink, read_shown: ReadShown, every: int = 1, kills: int = 4) -> None:
    """Check that a sink fulfils the contract of `ogive.sinks.base`.

    Args:
        make: a function; `make(folder)` returns a new instance that writes into `folder`. cloudpickle sends `make` to
            another process.
        read_shown: a function; `read_shown(folder, run)` reads back the content that the target shows for the run with the
            identity `run`. Results are compared with ==, so it leaves out values that may differ each time, such as numbers
            that the target assigns.
        every: the interval, in events, at which the sink is interrupted; a larger value takes less time.
        kills: the number of times that the sink's process is killed.

    Raises:
        AssertionError: the sink breaks a rule. The message names the rule and the run.
    """
    with rule(_check_all_events_are_shown, "a whole run"):
        expected = _check_all_events_are_shown(make, read_shown)
    with rule(_check_interruptions_change_nothing, "a run in two sessions"):
        _check_interruptions_change_nothing(make, read_shown, expected, every)
    with rule(_check_kills_change_nothing, "a run in two sessions"):
        _check_kills_change_nothing(make, read_shown, expected, kills)
    with rule(_check_runs_are_separate, "two runs"):
        _check_runs_are_separate(make, read_shown, expected)


def _create_sink_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ogive-sink-")


def _check_all_events_are_shown(make: MakeSink, read_shown: ReadShown) -> Any:
    """All events are shown: the same events are shown equally, and half of a run differently from the whole run."""
    results = []
    for events in (EVENTS, EVENTS, EVENTS[: len(EVENTS) // 2]):
        with _create_sink_folder() as folder:
            feed_events(make(Path(folder)), events)
            results.append(read_shown(Path(folder), RUN_IDENTITY))
    first, second, half = results
    assert_that(first == second, f"the same events are shown as {first} and as {second}")
    assert_that(first != half, f"half of the events and all of them are shown as {first}")
    return first


def _check_interruptions_change_nothing(make: MakeSink, read_shown: ReadShown, expected: Any, every: int) -> None:
    """A sink that was closed after any event and opened again shows the same as one that was not interrupted."""
    for count in range(1, len(EVENTS) + 1, every):
        with _create_sink_folder() as folder:
            for events in (EVENTS[:count], EVENTS[:count], EVENTS):
                feed_events(make(Path(folder)), events)
            result = read_shown(Path(folder), RUN_IDENTITY)
        assert_that(result == expected, f"interrupted after event {count}, it shows {result} instead of {expected}")


def _check_kills_change_nothing(make: MakeSink, read_shown: ReadShown, expected: Any, kills: int) -> None:
    """A sink that was opened again after its process was killed at any moment shows the same as one that was not killed."""
    for number in range(kills):
        count = (number + 1) * len(EVENTS) // (kills + 1)
        with _create_sink_folder() as folder:
            _write_until_killed(make, Path(folder), count, is_flushed=number % 2 == 0)
            feed_events(make(Path(folder)), EVENTS)
            result = read_shown(Path(folder), RUN_IDENTITY)
        assert_that(result == expected, f"killed after event {count}, it shows {result} instead of {expected}")


def _write_until_killed(make: MakeSink, folder: Path, count: int, is_flushed: bool) -> None:
    """Write `count` events in another process, which ends abruptly after a flush, or in the middle of a batch."""
    program = "from ogive.testing.sinks import _write_and_die; _write_and_die()"
    process = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps((make, folder, count, is_flushed)),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert_that(
        process.returncode == KILLED_EXIT_CODE, f"the other process failed:\n{process.stderr.decode(errors='replace')}"
    )


def _write_and_die() -> None:
    """Run in the process of `_write_until_killed`."""
    make, folder, count, is_flushed = cloudpickle.load(sys.stdin.buffer)
    feeding = EventFeeder(make(folder))
    feeding.feed(EVENTS[: count // 2])
    remaining = EVENTS[count // 2 : count]
    feeding.feed(remaining if is_flushed else _die_after(remaining))
    os._exit(KILLED_EXIT_CODE)


def _die_after(events: Sequence[Event]) -> Iterable[Event]:
    yield from events
    os._exit(KILLED_EXIT_CODE)


def _check_runs_are_separate(make: MakeSink, read_shown: ReadShown, expected: Any) -> None:
    """A second run does not change the shown content of the first run: the second is refused, or is shown separately."""
    other_run = [replace(EVENTS[0], time=EVENTS[0].time + 1), *EVENTS[1:7]]
    with _create_sink_folder() as folder:
        feed_events(make(Path(folder)), EVENTS)
        with suppress(RunError):
            feed_events(make(Path(folder)), other_run)
        result = read_shown(Path(folder), RUN_IDENTITY)
    assert_that(result == expected, f"after another run, it shows {result} instead of {expected}")


# -- a run with every kind of event ------------------------------------------------------------------------------


def _make_space() -> Space:
    block = one_of(conv=layer(dict, kernel=one_of(3, 5)), pool=layer(dict, size=2))
    return Space(layer(dict, layer(list, [block]), rate=one_of(0.1, 0.5, name="rate"), names=some_of(2, "ä", "b", "c"),
                       depth=integer(1, 4, name="depth, or so")))  # fmt: skip


def _make_events() -> list[Event]:
    """Return the events of a run in two sessions: every kind of event, and texts and numbers that are hard to store."""
    space = _make_space()
    declaration = {
        "space": space.to_json(), "objectives": [{"metric": "accuracy", "goal": "maximize"}], "constraints": [],
        "strategy": {"name": "random", "options": {}}, "schedule": {"name": "asha", "options": {"eta": 3}},
        "epochs": 9, "seed": 3, "estimator": "ogive:None", "fingerprints": {}, "recipe": None,
    }  # fmt: skip
    architectures = list(space.grid())[::7]
    nan = math.nan

    def proposed(trial: int, epochs: int = 9, inherit: tuple[int, int] | None = None, **more: Any) -> Event:
        settings, note = more.pop("settings", {}), {"origin": "random"}
        proposal = proposal_to_json(Proposal(architectures[trial], inherit, settings, note))
        return Event(
            Kind.PROPOSED, trial, data={"proposal": proposal, "seed": trial, "fidelity": {"epochs": epochs}, **more}
        )

    def started(trial: int) -> Event:
        return Event(Kind.STARTED, trial, data={"worker": "worker-0", "attempt": 1})

    def reported(trial: int, step: int, **metrics: float) -> Event:
        return Event(Kind.REPORTED, trial, step, {"metrics": metrics, "seconds": 0.5})

    events = [
        Event(Kind.CREATED, data={**declaration, "settings": Settings(max_trials=6).to_json()}),
        Event(Kind.OPENED, data={"host": "here", "threads": 1}),
        proposed(0, epochs=1), started(0), reported(0, 1, accuracy=0.5, **{"loss/é": 2.0}), Event(Kind.PAUSED, 0),
        proposed(1, settings={"rate": 0.1}, screened={"parameters": 1e9}, cached=True),
        *(reported(1, step, accuracy=0.06 * step) for step in range(1, 10)), Event(Kind.FINISHED, 1),
        proposed(2), started(2), reported(2, 1, accuracy=0.1),
        Event(Kind.FAILED, 2, data={"status": "error", "reason": "ValueError: too\nmany 'ß'", "traceback": "x" * 9000}),
        Event(Kind.WARNING, 2, data={"message": "of trial 2, with a \"quote\""}),
        proposed(3, inherit=(0, 1)), started(3), reported(3, 1, accuracy=0.2),
        Event(Kind.PUT_BACK, 3, data={"reason": "interrupted", "seconds": 1.5}),
        Event(Kind.CLOSED, data={"why": "interrupted"}),
        Event(Kind.CHANGED, data={"max_trials": 8}), Event(Kind.OPENED, data={"host": "there", "threads": 2}),
        started(3), reported(3, 2, accuracy=nan, **{"loss/é": math.inf}),
        Event(Kind.FAILED, 3, data={"status": "not_finite", "reason": "accuracy is nan"}),
        Event(Kind.PROMOTED, 0, data={"fidelity": {"epochs": 3}}), started(0),
        reported(0, 2, accuracy=0.6), reported(0, 3, accuracy=0.7, extra=1.0), Event(Kind.FINISHED, 0),
        proposed(4, epochs=3), started(4), reported(4, 1, accuracy=0.3), Event(Kind.STOPPED, 4),
        proposed(5), Event(Kind.FAILED, 5, data={"status": "infeasible", "reason": ""}),
        Event(Kind.ENDED, data={"why": "all 6 trials are done"}), Event(Kind.CLOSED, data={"why": "ended"}),
        Event(Kind.TEST_READ, data={"split": "test", "by": "finalize"}),
    ]  # fmt: skip
    return [replace(event, seq=seq, time=1.6e9 + 10 * seq) for seq, event in enumerate(events, 1)]


EVENTS = _make_events()
RUN_IDENTITY = run_identity(EVENTS[0])
