"""Starting searches in processes of their own, and causing faults: kills, full disks, missing folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from ogive.executors.orphans import find_marked
from ogive.executors.processes import compute_run_mark
from ogive.run.events import Event
from ogive.run.journal import Journal
from ogive.run.state import State

SCRIPT = Path(__file__).with_name("search_script.py")


def start(folder: Path, workers: int = 1, pause: float = 0.01, script: Path = SCRIPT) -> subprocess.Popen[str]:
    """Start a search in a process of its own; its output can be read from `stdout`."""
    command = [sys.executable, str(script), str(folder), str(workers), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Read the output of a search until a line begins with `word`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(word):
            return
    assert process.stderr is not None
    raise AssertionError(f"{word!r} was never printed; the last lines are {lines[-5:]}; {process.stderr.read()}")


def finish(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str, str]:
    """Wait for the end of a process; return its exit code, output and errors."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def kill_tree(process: subprocess.Popen[str]) -> None:
    """Kill a process and all of its descendants with SIGKILL."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.communicate()


def events(folder: Path) -> list[Event]:
    journal = Journal(folder / "journal.db", writable=False)
    try:
        return list(journal.read())
    finally:
        journal.close()


def state(folder: Path) -> State:
    return State.from_events(events(folder))


def left_running(folder: Path) -> list[int]:
    """Return the ids of the processes that still work for a run."""
    return find_marked(compute_run_mark(folder))


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a condition is true; fail after a number of seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"the condition was not true within {seconds} s"
        time.sleep(0.05)


def with_command_line(*words: str) -> list[int]:
    """Return the ids of the processes whose command line contains all of `words`."""
    pids = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and set(words) <= set(process.cmdline()):
                pids.append(process.pid)
    return pids


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small disk at `folder`; skip the test where mounting is not permitted."""
    folder.mkdir()
    mount = shutil.which("mount")
    if not sys.platform.startswith("linux") or mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs Linux and root")
    result = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if result.returncode:
        pytest.skip(f"mounting is not permitted here: {result.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Mount a disk again with other options, such as "ro"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def fill(folder: Path, spare: int = 0) -> Path:
    """Fill a disk except for `spare` bytes; return the file to delete."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass
    os.truncate(filler, filler.stat().st_size - spare)
    return filler
