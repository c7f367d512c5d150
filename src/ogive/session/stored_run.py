"""A run in a folder, read from its journal whenever something is asked for. It begins nothing and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import PickleError
from typing import Self

from ogive.errors import JobError, RunError
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL, Journal
from ogive.run.results import front, top, why_none
from ogive.run.state import State
from ogive.run.unsaved_weights import UNSAVED
from ogive.space import Space
from ogive.trial import Trial


class StoredRun:
    """A run: its folder, its trials and its best. `state` keeps up with the journal.

    Attributes:
        folder: with the journal, and a folder for each trial under `trials/`.
        trust: whether the user's code may be loaded from the folder, which runs it; see `open`.
    """

    def __init__(
        self, folder: Path, space: Space | None = None, estimator: Estimator | None = None, trust: bool = False
    ) -> None:
        self.folder = folder
        self.trust = trust
        self._space = space
        self._estimator = estimator
        self._state: State | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str], trust: bool = False) -> Self:
        """Open a run that was begun earlier and may be running now.

        Args:
            folder: of the run.
            trust: load the space's layers and the estimator too. That runs code: modules that the run names, and what
                `payload.pkl` in the folder holds. Without it only the journal is read.

        Raises:
            RunError: there is no readable journal in `folder`, or the code cannot be loaded.
        """
        run = cls(Path(folder).absolute(), trust=trust)
        _ = run.state  # raises where there is no run
        if trust:
            _ = run.space
        return run

    @property
    def state(self) -> State:
        """The state after all events that are in the journal now."""
        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            if self._state is None:
                self._state = State.of(journal.read(), self._space)
            else:
                for event in journal.read(after=self._state.seq):
                    self._state.apply(event)
        finally:
            journal.close()
        return self._state

    @property
    def space(self) -> Space:
        """The space with its layers.

        Raises:
            RunError: the run was opened without `trust`, or its code cannot be loaded.
        """
        return self._loaded()[0]

    @property
    def estimator(self) -> Estimator:
        """What judged the trials.

        Raises:
            RunError: as for `space`.
        """
        return self._loaded()[1]

    def _loaded(self) -> tuple[Space, Estimator]:
        if self._space is None or self._estimator is None:
            from ogive.session.payload import PAYLOAD, load_payload

            path = self.folder / PAYLOAD
            if not self.trust:
                raise RunError(
                    f"this needs the layers and the train function of the run in {self.folder}, and loading them runs code "
                    f"from {path.name}: open it with og.open_run(folder, trust=True) if you trust where it comes from"
                )
            try:
                space, self._estimator = load_payload(path)
            except FileNotFoundError as error:
                raise RunError(
                    f"{path} is gone; continue the search with the same call, which writes it again"
                ) from error
            except (OSError, ImportError, AttributeError, EOFError, ValueError, TypeError, PickleError) as error:
                raise RunError(
                    f"the space and the estimator of this run cannot be loaded from {path}: {error}; call this where their "
                    "modules can be imported"
                ) from error
            if self._state is not None:  # its trials' architectures get layers, and no event is read again
                space = self._state.space.adopt(space)
            self._space = space
        return self._space, self._estimator

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of proposal."""
        return list(self.state.trials.values())

    @property
    def ended(self) -> str:
        """Why the search ended; "" where it was interrupted or goes on. `failed` says whether it was for failures."""
        return self.state.ended

    @property
    def failed(self) -> bool:
        """Whether failed trials ended the search: `max_failed_trials` of them, or the stop rule on failures."""
        return self.state.ended_by_failures

    def top(self, k: int = 10) -> list[Trial]:
        """The best `k` trials that satisfy all constraints, best first; several objectives by front and crowding.

        Trials are compared at the highest fidelity that any has reached; those that have not come behind.
        """
        return top(self.state, k)

    @property
    def best(self) -> Trial:
        """The best trial of the search; what full training chose is `delivery()`.

        Raises:
            RunError: no trial has a value yet, or none satisfies the constraints.
            JobError: there are several objectives.
        """
        if len(self.state.objectives) > 1:
            names = ", ".join(objective.metric for objective in self.state.objectives)
            raise JobError(f"with several objectives ({names}) there is no single best trial; take one of run.front()")
        found = self.top(1)
        if not found:
            raise RunError(f"the run in {self.folder} has no best trial: {why_none(self.state)}")
        return found[0]

    def front(self) -> list[Trial]:
        """The trials that no other dominates, among those that satisfy all constraints, by the first objective."""
        return front(self.state)

    def __repr__(self) -> str:
        state = self.state
        by = "by failures: " if state.ended_by_failures else ""
        ended = f"ended: {by}{state.ended}" if state.ended else "not ended"
        kept = ", no weights are kept" if any(m.startswith(UNSAVED) for m, _ in state.warnings) else ""
        return f"<Run {self.folder}: {len(state.trials)} trials, {state.failed} failed{kept}, {ended}>"
