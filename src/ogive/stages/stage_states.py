"""The states of a run's stages: the search, and full training if there is one."""

from __future__ import annotations

from pathlib import Path

from ogive.run.journal import JOURNAL, Journal
from ogive.run.state import State
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER


def read_stage_states(folder: Path, state: State) -> dict[str, State]:
    """Return the state of each stage: "search", and "final" if full training was started.

    Args:
        folder: the run's folder.
        state: the state of the search.
    """
    states = {"search": state}
    if (folder / FULL_TRAINING_FOLDER / JOURNAL).is_file():
        journal = Journal(folder / FULL_TRAINING_FOLDER / JOURNAL, writable=False)
        try:
            states["final"] = State.from_events(journal.read())
        finally:
            journal.close()
    return states
