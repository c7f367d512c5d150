"""A run in a folder, which is read from its journal. This module starts no session and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import PickleError
from typing import Self

from ogive.errors import JobError, RunError
from ogive.run.estimator import Estimator
from ogive.run.journal import JOURNAL, Journal
from ogive.run.results import explain_no_best, find_best_trials, find_front
from ogive.run.state import State
from ogive.run.unsaved_weights import UNSAVED_PREFIX
from ogive.space import Space
from ogive.trial import Trial


class StoredRun:
    """A run: its folder, its trials and its best trial. Every access to `state` reads the new events of the journal.

    Attributes:
        folder: the run's folder, with the journal and a folder for each trial in `trials/`.
        trust: whether user code may be loaded from the folder; see `open`.
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
        """Open a run that was started earlier and may be running now.

        Args:
            folder: the run's folder.
            trust: whether to load the space's layers and the estimator. This executes code: the modules that the run names,
                and the contents of `payload.pkl` in the folder. If False, only the journal is read.

        Raises:
            RunError: there is no readable journal in `folder`, or the code cannot be loaded.
        """
        run = cls(Path(folder).absolute(), trust=trust)
        # Read the properties for their errors only: they raise RunError if there is no run, or its code cannot be loaded.
        _ = run.state
        if trust:
            _ = run.space
        return run

    @property
    def state(self) -> State:
        """The state of the run after all events that are in the journal now."""
        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            if self._state is None:
                self._state = State.from_events(journal.read(), self._space)
            else:
                for event in journal.read(after=self._state.seq):
                    self._state.apply(event)
        finally:
            journal.close()
        return self._state

    @property
    def space(self) -> Space:
        """The search space with its layers.

        Raises:
            RunError: the run was opened without `trust`, or its code cannot be loaded.
        """
        return self._load()[0]

    @property
    def estimator(self) -> Estimator:
        """The estimator that evaluated the trials.

        Raises:
            RunError: as for `space`.
        """
        return self._load()[1]

    def _load(self) -> tuple[Space, Estimator]:
        """Return the space and the estimator; load them at the first call.

        Raises:
            RunError: the run was opened without `trust`, or its code cannot be loaded.
        """
        if self._space is None or self._estimator is None:
            from ogive.session.payload import PAYLOAD, load_payload

            path = self.folder / PAYLOAD
            if not self.trust:
                raise RunError(
                    f"this call needs the layers and the train function of the run in {self.folder}, and loading them "
                    f"executes code from {path.name}: open the run with og.open_run(folder, trust=True) if you trust its "
                    "source"
                )
            try:
                space, self._estimator = load_payload(path)
            except FileNotFoundError as error:
                raise RunError(
                    f"{path} does not exist any more; continue the search with the same call, which writes it again"
                ) from error
            except (OSError, ImportError, AttributeError, EOFError, ValueError, TypeError, PickleError) as error:
                raise RunError(
                    f"the space and the estimator of this run cannot be loaded from {path}: {error}; call this "
                    "where their modules can be imported"
                ) from error
            # The architectures of trials that were read before refer to the state's space, which has no layers yet.
            if self._state is not None:
                space = self._state.space.attach_declaration(space)
            self._space = space
        return self._space, self._estimator

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order in which they were proposed."""
        return list(self.state.trials.values())

    @property
    def ended(self) -> str | None:
        """The reason why the search ended; None if it was interrupted or is running."""
        return self.state.end_reason

    @property
    def failed(self) -> bool:
        """Whether the search ended because of failed trials: `max_failed_trials`, or the stop rule on failures."""
        return self.state.ended_by_failures

    def top(self, k: int = 10) -> list[Trial]:
        """Return the best `k` trials that satisfy all constraints, best first.

        With several objectives, trials are ranked by Pareto front and crowding distance. Trials are compared at the highest
        fidelity that any trial has reached. Trials that have not reached this fidelity come last.
        """
        return find_best_trials(self.state, k)

    @property
    def best(self) -> Trial:
        """The best trial of the search. `delivery()` returns the winner of full training.

        Raises:
            RunError: no trial has a value yet, or none satisfies the constraints.
            JobError: the search has several objectives.
        """
        if len(self.state.objectives) > 1:
            names = ", ".join(objective.metric for objective in self.state.objectives)
            raise JobError(
                f"with several objectives ({names}) there is no single best trial; choose one of run.front()"
            )
        trials = self.top(1)
        if not trials:
            raise RunError(f"the run in {self.folder} has no best trial: {explain_no_best(self.state)}")
        return trials[0]

    def front(self) -> list[Trial]:
        """Return the Pareto front of the trials that satisfy all constraints, sorted by the first objective."""
        return find_front(self.state)

    def __repr__(self) -> str:
        state = self.state
        cause = "by failures: " if state.ended_by_failures else ""
        end = f"ended: {cause}{state.end_reason}" if state.end_reason else "not ended"
        weights = ", no weights are kept" if any(m.startswith(UNSAVED_PREFIX) for m, _ in state.warnings) else ""
        return f"<Run {self.folder}: {len(state.trials)} trials, {state.failed_count} failed{weights}, {end}>"
