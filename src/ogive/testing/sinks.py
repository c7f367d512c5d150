"""The conformance suite of sinks: `check_sink(make, shown)`."""

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
from ogive.sinks.base import Feed, Sink, feed, identity
from ogive.space import Space, integer, layer, one_of, some_of
from ogive.testing.rules import assert_that, rule
from ogive.trial import Proposal

MakeSink = Callable[[Path], Sink]
Shown = Callable[[Path, str], Any]
KILLED = 9


def check_sink(make: MakeSink, shown: Shown, every: int = 1, kills: int = 4) -> None:
    """See that a sink keeps the contract of `ogive.sinks.base`.

    Args:
        make: `make(folder)` gives a new instance that writes below `folder`; travels to another process by cloudpickle.
        shown: `shown(folder, run)` reads back what the target shows of the run with the identity `run`, to be compared
            with ==; without what may differ from one writing to the next, such as numbers that the other tool gives.
        every: the sink is interrupted after each event, or after every so many where that takes long.
        kills: how many times its process is killed.

    Raises:
        AssertionError: names the rule that was broken, and where.
    """
    with rule(_tells, "a whole run"):
        whole = _tells(make, shown)
    with rule(_goes_on, "a run in two sessions"):
        _goes_on(make, shown, whole, every)
    with rule(_survives, "a run in two sessions"):
        _survives(make, shown, whole, kills)
    with rule(_keeps_apart, "two runs"):
        _keeps_apart(make, shown, whole)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ogive-sink-")


def _tells(make: MakeSink, shown: Shown) -> Any:
    """Every event finds its way: what is shown changes from the half to the whole run, and is the same the next time."""
    found = []
    for events in (EVENTS, EVENTS, EVENTS[: len(EVENTS) // 2]):
        with _folder() as folder:
            feed(make(Path(folder)), events)
            found.append(shown(Path(folder), RUN))
    assert_that(found[0] == found[1], f"the same events give {found[0]} and {found[1]}")
    assert_that(found[0] != found[2], f"half of the events and all of them give {found[0]}")
    return found[0]


def _goes_on(make: MakeSink, shown: Shown, whole: Any, every: int) -> None:
    """Closed after any event and opened again, it shows in the end what it shows when it is written in one go."""
    for count in range(1, len(EVENTS) + 1, every):
        with _folder() as folder:
            for events in (EVENTS[:count], EVENTS[:count], EVENTS):
                feed(make(Path(folder)), events)
            found = shown(Path(folder), RUN)
        assert_that(found == whole, f"interrupted after event {count} it shows {found}, not {whole}")


def _survives(make: MakeSink, shown: Shown, whole: Any, kills: int) -> None:
    """Killed at any moment and opened again, it shows in the end what it shows when it is written in one go."""
    for number in range(kills):
        count = (number + 1) * len(EVENTS) // (kills + 1)
        with _folder() as folder:
            _killed(make, Path(folder), count, flushed=number % 2 == 0)
            feed(make(Path(folder)), EVENTS)
            found = shown(Path(folder), RUN)
        assert_that(found == whole, f"killed after event {count} it shows {found}, not {whole}")


def _killed(make: MakeSink, folder: Path, count: int, flushed: bool) -> None:
    program = "from ogive.testing.sinks import _die; _die()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps((make, folder, count, flushed)),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert_that(done.returncode == KILLED, f"the other process failed:\n{done.stderr.decode(errors='replace')}")


def _die() -> None:
    """The process of `_killed`: it ends in the middle of what it does, or right after a flush."""
    make, folder, count, flushed = cloudpickle.load(sys.stdin.buffer)
    feeding = Feed(make(folder))
    feeding.give(EVENTS[: count // 2])
    feeding.give(EVENTS[count // 2 : count] if flushed else _until_death(EVENTS[count // 2 : count]))
    os._exit(KILLED)


def _until_death(events: Sequence[Event]) -> Iterable[Event]:
    yield from events
    os._exit(KILLED)


def _keeps_apart(make: MakeSink, shown: Shown, whole: Any) -> None:
    """What it shows of one run is not changed by another: that one is refused, or has a place of its own."""
    other = [replace(EVENTS[0], time=EVENTS[0].time + 1), *EVENTS[1:7]]
    with _folder() as folder:
        feed(make(Path(folder)), EVENTS)
        with suppress(RunError):
            feed(make(Path(folder)), other)
        found = shown(Path(folder), RUN)
    assert_that(found == whole, f"after another run it shows {found}, not {whole}")


# -- a run with all that happens ---------------------------------------------------------------------------------


def _space() -> Space:
    block = one_of(conv=layer(dict, kernel=one_of(3, 5)), pool=layer(dict, size=2))
    return Space(layer(dict, layer(list, [block]), rate=one_of(0.1, 0.5, name="rate"), names=some_of(2, "ä", "b", "c"),
                       depth=integer(1, 4, name="depth, or so")))  # fmt: skip


def _events() -> list[Event]:
    space = _space()
    declared = {
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

    told = [
        Event(Kind.CREATED, data={**declared, "settings": Settings(max_trials=6).to_json()}),
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
    return [replace(event, seq=seq, time=1.6e9 + 10 * seq) for seq, event in enumerate(told, 1)]


EVENTS = _events()
RUN = identity(EVENTS[0])
