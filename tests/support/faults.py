"""Starting searches in processes of their own, and hurting them."""

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
from ogive.executors.processes import run_mark
from ogive.run.events import Event
from ogive.run.journal import Journal
from ogive.run.state import State

SCRIPT = Path(__file__).with_name("search_script.py")


def start(folder: Path, workers: int = 1, pause: float = 0.01, script: Path = SCRIPT) -> subprocess.Popen[str]:
    """Start a search in a process of its own; what it prints is to be read from `stdout`."""
    command = [sys.executable, str(script), str(folder), str(workers), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Read what a search prints until a line begins with `word`."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(word):
            return
    assert process.stderr is not None
    raise AssertionError(f"{word!r} was never printed, but {seen[-5:]}; {process.stderr.read()}")


def finish(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def kill_tree(process: subprocess.Popen[str]) -> None:
    """`kill -9` of a process and everything below it."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        for member in [top, *top.children(recursive=True)]:
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
    return State.of(events(folder))


def left_running(folder: Path) -> list[int]:
    """Processes that still work for a run."""
    return find_marked(run_mark(folder))


def eventually(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so; fail where it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not so within {seconds} s"
        time.sleep(0.05)


def with_command_line(*words: str) -> list[int]:
    """Processes whose command line has all of `words`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and set(words) <= set(process.cmdline()):
                found.append(process.pid)
    return found


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    """A small disk of its own, where mounting is permitted."""
    folder.mkdir()
    mount = shutil.which("mount")
    if not sys.platform.startswith("linux") or mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs Linux and root")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def fill(folder: Path, spare: int = 0) -> Path:
    """Use up the rest of a disk but for `spare` bytes; returns the file to remove."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass
    os.truncate(filler, filler.stat().st_size - spare)
    return filler
