"""SIGKILL at random moments, signals to the controller, and several controllers at once."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
import sqlalchemy as sql
from faults import events, eventually, finish, kill_tree, left_running, start, state, wait_for
from staged import SPACE, Staged, started_steps

import ogive as og
from ogive.errors import RunError
from ogive.run.events import Kind
from ogive.run.journal import Journal
from ogive.testing.journals import comparable_events
from ogive.trial import Status

Events = list[tuple[str, int | None, int | None, str]]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Events:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    process = start(folder, workers=0, pause=0.0)
    code, out, err = finish(process)
    assert code == 0, err
    assert out.endswith("ended all 60 trials are done\n")
    return comparable_events(events(folder))


def kill_repeatedly(folder: Path, workers: int, kills: int, seed: int) -> None:
    """Start the search and kill it, `kills` times; then let it finish."""
    rng = random.Random(seed)
    for number in range(kills):
        process = start(folder, workers)
        if number % 5 == 4:
            time.sleep(rng.uniform(0.1, 1.0))  # while it starts
        else:
            wait_for(process, "started")
            time.sleep(rng.uniform(0.0, 0.25))
        assert process.poll() is None, "the search ended before all kills were done"
        kill_tree(process)
    code, _, err = finish(start(folder, workers, pause=0.0))
    assert code == 0, err
    assert left_running(folder) == []


def test_a_search_killed_at_random_moments_with_one_worker_gives_the_same_events(
    tmp_path: Path, uninterrupted: Events
) -> None:
    folder = tmp_path / "run"
    kill_repeatedly(folder, 1, kills=18, seed=1)
    assert comparable_events(events(folder)) == uninterrupted


def test_a_search_killed_at_random_moments_with_two_workers_finishes_every_trial(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    kill_repeatedly(folder, 2, kills=12, seed=2)
    last_state = state(folder)
    assert last_state.status_counts[Status.FINISHED] == 60 == len(last_state.trials)
    for trial in last_state.trials.values():
        assert [report.step for report in trial.reports] == [1, 2, 3, 4, 5]


def test_workers_end_when_only_their_controller_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, workers=2, pause=1000.0)
    wait_for(process, "started")
    eventually(lambda: (folder / "trials/000000/steps.txt").exists())
    assert len(left_running(folder)) == 2
    process.kill()
    process.communicate()
    eventually(lambda: left_running(folder) == [])
    code, _, err = finish(start(folder, workers=2, pause=0.0))
    assert code == 0, err
    assert state(folder).status_counts[Status.FINISHED] == 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_puts_the_running_trials_back(tmp_path: Path, number: int, uninterrupted: Events) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=0.2)
    wait_for(process, "reported")
    process.send_signal(number)
    code, out, err = finish(process)
    assert code != 0, "a program must not continue after an interrupted search"
    assert "ended" not in out.splitlines()[-1]
    assert "stopping: " in err
    assert "KeyboardInterrupt: the search in" in err
    assert "the same call continues it" in err
    stopped = state(folder)
    assert stopped.status_counts[Status.WAITING] == 1
    assert stopped.trials[0].reason == "interrupted"
    assert not stopped.is_open
    assert left_running(folder) == []
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
    assert comparable_events(events(folder)) == uninterrupted
    steps = [step for _, step in started_steps(folder / "trials/000000")]
    assert steps == [1, 2, 3, 4, 5], "it continued from its checkpoint"


def test_two_interrupts_stop_a_search_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, pause=1000.0)
    wait_for(process, "started")
    process.send_signal(signal.SIGINT)
    wait_for(process, "tick")
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code != 0
    assert "KeyboardInterrupt" in err
    assert left_running(folder) == []
    assert not state(folder).is_open
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
    assert state(folder).status_counts[Status.FINISHED] == 60


def test_a_second_controller_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = start(folder, pause=1000.0)
    wait_for(first, "started")
    before = len(events(folder))
    with pytest.raises(RunError, match=rf"another controller \(process {first.pid} on .*stop it first"):
        og.search(SPACE, Staged(0.0), run=folder)
    assert len(events(folder)) == before
    first.kill()
    # The killed controller is a zombie, since no process waits for it. Another controller can take over its lease.
    eventually(lambda: _lease_is_free(folder))
    first.communicate()
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err


def test_only_one_of_several_controllers_that_start_together_searches(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ended = [finish(process) for process in [start(folder, pause=0.0) for _ in range(3)]]
    assert sorted(code for code, _, _ in ended) == [0, 1, 1]
    for code, _, err in ended:
        assert code == 0 or re.search(
            r"RunError: .*(exists already|is there already|has just started|is executing this run)", err
        ), err
    assert state(folder).status_counts[Status.FINISHED] == 60


def test_a_new_controller_removes_the_draft_of_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "journal.db.4711.draft").write_bytes(b"half")
    (tmp_path / "journal.db.4711.draft-wal").touch()
    for file in tmp_path.iterdir():  # make the draft so old that no living controller can be writing it
        os.utime(file, (0, 0))
    code, _, err = finish(start(tmp_path, pause=0.0))
    assert code == 0, err
    assert not list(tmp_path.glob("*draft*"))


def _lease_is_free(folder: Path) -> bool:
    journal = Journal(folder / "journal.db")
    try:
        journal.acquire()
    except RunError:
        return False
    finally:
        journal.close()
    return True


def test_a_controller_that_was_suspended_during_a_takeover_cannot_append(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    suspended = start(folder, pause=0.05)
    wait_for(suspended, "reported")
    suspended.send_signal(signal.SIGSTOP)
    engine = sql.create_engine(f"sqlite:///{folder / 'journal.db'}")
    with engine.begin() as connection:  # as if the holder were on another host: only its heartbeat is checked
        connection.execute(sql.text('UPDATE lease SET holder = replace(holder, \'"host": "\', \'"host": "not-\')'))
    engine.dispose()
    successor = Journal(folder / "journal.db")
    successor.acquire(patience=1.0)
    before = len(events(folder))
    suspended.send_signal(signal.SIGCONT)
    code, _, err = finish(suspended)
    assert code != 0
    assert "another controller has taken over this run" in err
    assert [event.kind for event in successor.read(after=before)] == []
    successor.close()
    assert left_running(folder) == []
    code, _, err = finish(start(folder, pause=0.0))
    assert code == 0, err
    kinds = [event.kind for event in events(folder)]
    assert kinds.count(Kind.FINISHED) == 60


def test_a_reader_follows_a_running_search(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder, workers=2, pause=0.005)
    wait_for(process, "started")
    run = og.open_run(folder)
    numbers = []
    while not run.ended:
        numbers.append(run.state.seq)
        assert state(folder).seq >= numbers[-1], "a new reader sees at least the events of an older one"
    code, _, err = finish(process)
    assert code == 0, err
    assert len(set(numbers)) > 10
    assert numbers == sorted(numbers)
    assert comparable_events(events(folder))[-1][0] == "ended"
    assert run.state.ended_count == 60
