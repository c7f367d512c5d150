"""The states of a run's stages: the search, and full training where there is one."""

from __future__ import annotations

from pathlib import Path

from ogive.run.journal import JOURNAL, Journal
from ogive.run.state import State
from ogive.stages.full_training_result import FOLDER


def stage_states(folder: Path, state: State) -> dict[str, State]:
    """The search, and the second stage where there is one."""
    found = {"search": state}
    if (folder / FOLDER / JOURNAL).is_file():
        journal = Journal(folder / FOLDER / JOURNAL, writable=False)
        try:
            found["final"] = State.of(journal.read())
        finally:
            journal.close()
    return found
