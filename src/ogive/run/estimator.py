"""The contract of an estimator: it measures how good an architecture is.

An estimator is pickled once and sent to each worker. There it is prepared once, and then evaluates one trial after another::

    estimator.prepare()                  # once in each worker: load data, import slow packages
    estimator.evaluate(evaluation)       # once for each attempt; calls evaluation.report(step, metrics) -> Action

The smallest estimator reports its metrics after every step, and returns when the answer is not CONTINUE::

    class Example(Estimator):
        def evaluate(self, evaluation: Evaluation) -> None:
            width = evaluation.architecture["width"]
            for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
                if evaluation.report(step, {"accuracy": 1 - 0.5 ** (step * width)}) is not Action.CONTINUE:
                    return

Guarantees of every implementation, which `ogive.testing.check_estimator` checks:

- Steps increase from report to report. No step is above `evaluation.until`. While some of `evaluation.missing_metrics` have
  not been reported, steps up to `evaluation.max_step` are allowed.
- `evaluate` returns soon after a report was answered with PAUSE or STOP.
- An evaluation that continues from a checkpoint reports the same metrics as an uninterrupted one.
- A failure is raised as an exception. `Infeasible` means that the architecture cannot be evaluated.
- An evaluation does not depend on earlier evaluations in the same worker.
- If `parallel` is true, several processes may receive the same evaluation, each with its own `evaluation.team.rank`. They
  train one model together. Only rank 0 reports and writes checkpoints. All ranks return when rank 0 has to end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ogive.schedule.base import Action
from ogive.source import CodeIdentity, identify_code
from ogive.space import Architecture, Space
from ogive.trial import EMPTY, BestEpoch, Fidelity, Step, TrialId, count_steps


@dataclass(frozen=True)
class Team:
    """The processes that carry out an evaluation together on one machine, from the point of view of one of them.

    Attributes:
        rank: the number of this process in the team, from 0 to `size` - 1.
        size: the number of processes of the team.
        process_index: the number of this process among all processes of the search, from 0; selects its device.
        rendezvous: a path at which the processes create a file to find each other; None for a single process.
    """

    rank: int = 0
    size: int = 1
    process_index: int = 0
    rendezvous: Path | None = None


SINGLE_PROCESS = Team()
"""The team of an evaluation that one process carries out."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The work of one attempt: evaluate `architecture` at `fidelity`.

    Attributes:
        trial: the id of the trial.
        architecture: the architecture to evaluate.
        fidelity: the fidelity of the evaluation; its number of epochs is `until`.
        seed: the seed of all random numbers of this trial, in [0, 2**63).
        folder: the folder of the trial, which exists. Files that are written there stay with the run.
        send: a function that sends a report and returns the answer. An estimator calls `report` instead.
        settings: values that are not part of the architecture, such as a learning rate.
        inherit_from: the folder of the trial whose weights to start from, and the step of its checkpoint; None to start
            without inherited weights.
        last_reported_step: the last step that was reported before this attempt; 0 if there is none. Steps up to it need not
            be reported again.
        step_offset: the number to add to a step of this evaluation to get the step of the trial. (`report` receives the
            steps of this evaluation, which start at 1.) It is above 0 if the trial inherits weights, skips lower rungs, or
            was trained before at a fidelity from which it could not continue.
        team: the processes that carry out the evaluation.
        attempt: the number of the attempt, from 1. Results from the evaluation cache do not count as attempts.
        add_note: a function to call with a message for the user that is not an error. A search shows each message once.
        missing_metrics: the metrics of objectives and constraints that the trial has not reported yet. If some of them are
            still missing at step `until`, the evaluation may continue up to step `max_step`.
        max_step: the last step that may be reported while metrics are missing. If it is not above `until`, as with 0, no
            step after `until` may be reported.
        best_epoch_rule: the rule that selects the best epoch as the value of the trial, so that its checkpoint is kept;
            None if the last epoch is the value.
    """

    trial: TrialId
    architecture: Architecture
    fidelity: Fidelity
    seed: int
    folder: Path
    send: Callable[[Step, Mapping[str, float]], Action]
    settings: Mapping[str, Any] = EMPTY
    inherit_from: tuple[Path, Step] | None = None
    last_reported_step: Step = 0
    step_offset: Step = 0
    team: Team = SINGLE_PROCESS
    attempt: int = 1
    add_note: Callable[[str], object] = lambda message: None
    missing_metrics: tuple[str, ...] = ()
    max_step: Step = 0
    best_epoch_rule: BestEpoch | None = None

    @property
    def until(self) -> Step:
        """The last step of this evaluation: `fidelity["epochs"]`, or 1 without epochs."""
        return count_steps(self.fidelity)

    def report(self, step: Step, metrics: Mapping[str, float]) -> Action:
        """Report the metrics of `step`; block until the controller has journalled them and answered.

        Raises:
            JobError: `step` is not an integer, is not above the previous step, or is above `until` (or `max_step`).
        """
        return self.send(step, {name: float(value) for name, value in metrics.items()})


class Estimator(ABC):
    """Evaluates architectures. See the docstring of the module for the guarantees of implementations.

    Attributes:
        continuable: whether the metrics of a step depend only on the steps before it, and not on the length of the job. If
            so, the results of a longer job can be used for a shorter one.
        epochs: the largest number of epochs that a trial can be trained for; None if it is unknown.
        fidelities: the entries, besides "epochs", that `Evaluation.fidelity` may have to make an evaluation cheaper, such as
            "data_fraction". The value of each is a share of the full amount, in (0, 1].
        parallel: whether several processes can carry out an evaluation together (`workers_per_trial`).
        rank_invariant: whether several processes give the same results as one, up to rounding. If not, the evaluation cache
            stores the results of different numbers of processes separately.
        trains_models: whether trials train a model and store its weights as `model` in their checkpoints.
        display_name: what messages call an estimator of this class, such as "the built-in trainer"; None for the name of the
            class. Subclasses do not inherit it (see `name_estimator`).
        uses_stored_code: whether the user's code in the estimator is the copy that is stored with the run, because it was
            defined in a script and cannot be imported. If not, it is the present version of the code.
    """

    continuable: bool = False
    epochs: int | None = None
    fidelities: tuple[str, ...] = ()
    parallel: bool = False
    rank_invariant: bool = False
    trains_models: bool = False
    display_name: str | None = None
    uses_stored_code: bool = False

    def check(self, space: Space, fidelity: Fidelity, settings: Mapping[str, Any]) -> None:  # noqa: B027 - optional
        """Check, before a search starts, that `space` can be evaluated at this fidelity with these settings.

        Raises:
            JobError: no architecture of the space can be evaluated in this way.
        """

    def prepare(self) -> None:  # noqa: B027 - optional
        """Load data and import slow packages; called once in each worker, before its first evaluation."""

    @abstractmethod
    def evaluate(self, evaluation: Evaluation) -> None:
        """Evaluate one architecture and report its metrics."""

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        """Return the metrics that are known before training; cheap and deterministic, called by the controller."""
        return EMPTY

    def recipe(self) -> Mapping[str, Any] | None:
        """Return all that determines a result, besides architecture, settings, seed, fidelity and code, as JSON.

        Runs with equal recipes and equal code share results through the evaluation cache. None means that the recipe is
        unknown, and disables the cache. The number of processes of a trial is not part of the recipe; see `rank_invariant`.
        """
        return None

    def warnings(self) -> Sequence[str]:
        """Return the reasons to doubt the results, one sentence each; journalled when a run starts."""
        return ()

    def sources(self) -> Sequence[tuple[str, Any]]:
        """Return the functions and classes that carry out evaluations, each as (role, object); by default this class."""
        return [("estimator", type(self))]

    def identity(self) -> CodeIdentity:
        """Return the identity of the code of `sources` and of all code that it uses."""
        return identify_code(self.sources())

    def code_hash(self) -> str:
        """Return a short hash of the user's code that carries out evaluations; "" if there is none.

        If the hash has changed when a run is continued, the user gets a warning.
        """
        code_identity = self.identity()
        return code_identity.hash if code_identity.has_project_code else ""

    def fingerprints(self) -> Mapping[str, str]:
        """Return short hashes by name (`data`, `split`, `recipe`). They must be unchanged when a run is continued."""
        return EMPTY


def name_estimator(estimator: Estimator) -> str:
    """Return what messages call an estimator: its `display_name`, or the name of the user's class."""
    return vars(type(estimator)).get("display_name") or f"the estimator {type(estimator).__name__}"
