"""The contract of an estimator: HOW GOOD IS IT.

An estimator travels to each worker once (by cloudpickle), is prepared there once, and evaluates one job after another::

    estimator.prepare()                  # in the worker: load data, warm up
    estimator.evaluate(evaluation)       # any number of times: evaluation.report(step, metrics) -> Action

What every implementation guarantees, and `ogive.testing.check_estimator` checks:

- `evaluate` reports steps in increasing order, none beyond `evaluation.until` (up to `limit` while it `awaits` a metric),
  and returns soon after a report was answered with anything but CONTINUE.
- An evaluation that goes on from a checkpoint reports what an uninterrupted one would have reported.
- What goes wrong is raised, never printed and forgotten; `Infeasible` says that the architecture is at fault.
- Nothing of one evaluation is visible in the next.
- Where `parallel`, several processes may be given the same evaluation, each with its own `Evaluation.team.rank`. They train
  one model together; rank 0 alone reports and writes, and when it is told to end, all end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ogive.schedule.base import Action
from ogive.source import CodeIdentity, identity
from ogive.space import Architecture, Space
from ogive.trial import EMPTY, BestEpoch, Fidelity, Step, TrialId, until


@dataclass(frozen=True)
class Team:
    """The processes that carry out one evaluation together, all on one machine, as one of them sees them.

    Attributes:
        rank: of this process, from 0.
        size: how many they are.
        place: of this process among all that work for the search, from 0; it chooses the device where each has its own.
        rendezvous: a file, not there yet, by which they find each other; None for a process alone.
    """

    rank: int = 0
    size: int = 1
    place: int = 0
    rendezvous: Path | None = None


ALONE = Team()


@dataclass(frozen=True)
class Evaluation:
    """One job of an estimator: evaluate `architecture` up to `fidelity`.

    Attributes:
        trial: the trial's id.
        fidelity: how far to go; `until` is its number of steps.
        settings: values that are not architecture.
        seed: of all randomness of this trial, in [0, 2**63).
        folder: the trial's own folder; exists; what is left there is kept with the run.
        inherit: the folder of the trial to take weights from, and the step; None for none.
        reported: the last step that the journal has; its reports need not be repeated.
        began: steps that were trained before the first of this job: by the trial that it inherits from and goes on for,
            or by this trial at fidelities that are not continued.
        team: the processes that carry it out.
        send: delivers a report and returns what to do next; use `report`.
        attempt: at this trial, from 1; what came from the evaluation cache was none.
        note: takes a sentence that the user should know and that is no failure; told once for each search.
        awaits: the metrics of objectives and constraints that the trial has not reported yet. An evaluation that comes to
            `until` without them may go on, up to step `limit`, until it has reported them.
        limit: see `awaits`; 0 where the evaluation must not go past `until`.
        best_epoch_of: the rule where the best epoch is the trial's value; the checkpoint of that epoch is kept.
    """

    trial: TrialId
    architecture: Architecture
    fidelity: Fidelity
    seed: int
    folder: Path
    send: Callable[[Step, Mapping[str, float]], Action]
    settings: Mapping[str, Any] = EMPTY
    inherit: tuple[Path, Step] | None = None
    reported: Step = 0
    began: Step = 0
    team: Team = ALONE
    attempt: int = 1
    note: Callable[[str], object] = lambda message: None
    awaits: tuple[str, ...] = ()
    limit: Step = 0
    best_epoch_of: BestEpoch | None = None

    @property
    def until(self) -> Step:
        """The last step of this job: `fidelity["epochs"]`, 1 where there are no epochs."""
        return until(self.fidelity)

    def report(self, step: Step, metrics: Mapping[str, float]) -> Action:
        """Report metrics at `step`; blocks until the controller has journalled them and answered.

        Raises:
            JobError: the step is not a whole number above those reported before, up to `until` (or `limit`).
        """
        return self.send(step, {name: float(value) for name, value in metrics.items()})


class Estimator(ABC):
    """Judges architectures. See the module's docstring for what implementations guarantee.

    Attributes:
        continuable: whether what is reported at a step depends on the steps before it alone, and not on how far the
            job goes; then a result that went further answers for one that goes less far.
        epochs: how far a trial can be trained at most; None where nothing is known of that.
        fidelities: the ways, beside fewer epochs, in which it makes an evaluation cheaper when `Evaluation.fidelity` says
            so, such as "data_fraction"; each is a share of the full amount, above 0, at most 1.
        parallel: whether several processes may carry out an evaluation together (`workers_per_trial`).
        rank_invariant: whether they then give what one process alone would, up to rounding; else results of unlike
            numbers of processes are not taken for each other.
        trains_models: whether its trials train a model, whose weights belong under `model` of their checkpoints.
        is_stored: whether the user's code in it is the copy that was stored with a run, because it cannot be imported (it
            was defined in a script); else it is the present version.
    """

    continuable: bool = False
    epochs: int | None = None
    fidelities: tuple[str, ...] = ()
    parallel: bool = False
    rank_invariant: bool = False
    trains_models: bool = False
    is_stored: bool = False

    def check(self, space: Space, fidelity: Fidelity, settings: Mapping[str, Any]) -> None:  # noqa: B027 - most take all
        """See, before a search begins, that evaluations of `space` at this fidelity and with these settings can be made.

        Raises:
            JobError: they cannot, whatever the architecture.
        """

    def prepare(self) -> None:  # noqa: B027 - most estimators have something to load, none must
        """Called once in every worker before the first evaluation: load data, import what is slow."""

    @abstractmethod
    def evaluate(self, evaluation: Evaluation) -> None:
        """Evaluate one architecture, reporting its metrics."""

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        """Metrics known before training, cheap and deterministic; called in the controller's process."""
        return EMPTY

    def recipe(self) -> Mapping[str, Any] | None:
        """All that determines a result beside architecture, seed and fidelity, as JSON; None where that is unknown.

        Results are shared between runs of equal recipe; a recipe of None is never shared. How many processes share a trial
        is seen to elsewhere (`rank_invariant`).
        """
        return None

    def warnings(self) -> Sequence[str]:
        """What makes its results doubtful, one sentence each; journalled when a run begins."""
        return ()

    def sources(self) -> Sequence[tuple[str, Any]]:
        """The functions and classes whose code judges, each with its role; by default the estimator's class."""
        return [("estimator", type(self))]

    def identity(self) -> CodeIdentity:
        """What identifies the code of `sources` and of what it uses."""
        return identity(self.sources())

    def code(self) -> str:
        """A short hash of the user's code that judges, "" where none does; a change of it is worth a warning."""
        found = self.identity()
        return found.hash if found.has_project_code else ""

    def fingerprints(self) -> Mapping[str, str]:
        """What must not change while a run is continued, by name (`data`, `split`, `recipe`), each as a short hash."""
        return EMPTY
