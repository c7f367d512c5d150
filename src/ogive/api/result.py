"""A run as its user sees it: what was found, read from the journal whenever it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import PickleError
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, MissingExtra, RunError
from ogive.report.results import front, top, why_none
from ogive.report.sinks.flat import row
from ogive.report.two_stage import TwoStage, read_two_stage
from ogive.run.estimator import Estimator
from ogive.run.journal import Journal
from ogive.run.state import State
from ogive.space import Space
from ogive.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

    from ogive.api.final import Say
    from ogive.api.replay import Replay
    from ogive.api.reproduce import Reproduction
    from ogive.run.fold import Observer

JOURNAL = "journal.db"


class Run:
    """A search: its trials, its best, its folder. Everything is read from the journal; `state` keeps up with it.

    Attributes:
        folder: with the journal, and a folder for each trial under `trials/`.
    """

    def __init__(self, folder: Path, space: Space | None = None, estimator: Estimator | None = None) -> None:
        self.folder = folder
        self._space = space
        self._estimator = estimator
        self._state: State | None = None

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
        """The space with its layers."""
        return self._loaded()[0]

    @property
    def estimator(self) -> Estimator:
        """What judged the trials."""
        return self._loaded()[1]

    def _loaded(self) -> tuple[Space, Estimator]:
        if self._space is None or self._estimator is None:
            from ogive.api.payload import PAYLOAD, load_payload

            path = self.folder / PAYLOAD
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
        """Why the search ended; "" where it was interrupted or goes on."""
        return self.state.ended

    def top(self, k: int = 10) -> list[Trial]:
        """The best `k` trials that satisfy all constraints, best first; several objectives by front and crowding.

        Trials are compared at the highest fidelity that any has reached; those that have not come behind.
        """
        return top(self.state, k)

    @property
    def best(self) -> Trial:
        """The best trial.

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

    def frame(self) -> pd.DataFrame:
        """A row for each trial: status, step, metrics, seconds, and a column for each decision."""
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtra("pandas", "pandas", "run.frame()") from None
        return pd.DataFrame([row(trial) for trial in self.trials])

    def finalize(
        self,
        top: int = 10,
        *,
        seeds: Sequence[int] = (0,),
        epochs: int | None = None,
        recipe: Mapping[str, Any] | None = None,
        from_weights: bool = False,
        baseline: Callable[[], Any] | None = None,
        random: Run | None = None,
        workers: int | None = None,
        executor: str = "processes",
        say: Say = lambda message: None,
        observer: Observer | None = None,
        **settings: Any,
    ) -> TwoStage:
        """Train the best in full, rank them anew, and read the test split for the winner; see `ogive.api.final`."""
        from ogive.api.final import finalize

        return finalize(
            self,
            top,
            seeds=seeds,
            epochs=epochs,
            recipe=recipe,
            from_weights=from_weights,
            baseline=baseline,
            random=random,
            workers=workers,
            executor=executor,
            say=say,
            observer=observer,
            **settings,
        )

    @property
    def two_stage(self) -> TwoStage | None:
        """What the last second stage came to; None where there was none."""
        return read_two_stage(self.folder)

    def log(self, to: str, **options: str) -> str:
        """Bring the run's journal into another form or tool: "jsonl", "csv", "tensorboard", "mlflow" or "wandb".

        What is there already is added to, never doubled. `search(..., sinks=...)` does the same while it runs.

        Args:
            to: a sink by name; see `ogive.report.sinks`.
            options: of the sink, such as `path`, relative to `sinks/` in the run's folder.

        Returns:
            where it is now: a file, a folder, or an address.

        Raises:
            JobError: there is no such sink or option.
            MissingExtra: the sink's package is not installed.
            RunError: its place holds something else, or cannot be written.
        """
        from ogive.report import sinks

        (sink,) = sinks.create([{to: options}], self.folder)
        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            sinks.write(sink, journal.read(), self.folder)
        except OSError as error:
            raise RunError(f"{sink.place} cannot be written: {error}") from error
        finally:
            journal.close()
        return sink.place

    def reproduce(
        self,
        trial: int,
        *,
        ignore: Sequence[str] = (),
        folder: str | os.PathLike[str] | None = None,
        say: Say = lambda message: None,
    ) -> Reproduction:
        """Repeat a trial in a fresh process and compare every metric at every step; see `ogive.api.reproduce`."""
        from ogive.api.reproduce import reproduce

        return reproduce(self, trial, ignore=ignore, folder=None if folder is None else Path(folder), say=say)

    def replay(self, **question: Any) -> Replay:
        """What would have been chosen, stopped and paid under other `objectives`, `constraints`, `price`, `stop`,
        `criteria`, `budget`, `max_trials` or `top`, of what was trained; see `ogive.api.replay`.
        """
        from ogive.api.replay import replay

        journal = Journal(self.folder / JOURNAL, writable=False)
        try:
            return replay(self.folder, list(journal.read()), self._space, **question)
        finally:
            journal.close()

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write one self-contained HTML page; by default `report.html` in the run's folder."""
        from ogive.report import write_report

        target = Path(path) if path is not None else self.folder / "report.html"
        self._loaded()
        return write_report(self.state, self.folder, target)

    def __repr__(self) -> str:
        state = self.state
        return f"<Run {self.folder}: {len(state.trials)} trials, {state.failed} failed, {state.ended or 'not ended'}>"


def open_run(folder: str | os.PathLike[str]) -> Run:
    """A run that was begun earlier, possibly still going on elsewhere; models are loaded when they are needed.

    Raises:
        RunError: there is no readable journal in `folder`.
    """
    run = Run(Path(folder).absolute())
    _ = run.state  # what is no run is told now
    return run
