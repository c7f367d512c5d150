"""The run that a report describes, with the results that several sections of the report use.

Each result is computed when it is first read, and then kept.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ogive.formatting import number
from ogive.monitor.stop_rules import StopVerdict, evaluate_rules
from ogive.monitor.utilisation import Utilisation, compute_utilisation
from ogive.objective import compute_costs, rank_metrics, total_violation
from ogive.report.failures import FailureCause, find_failure_causes
from ogive.report.frontier import Knee, find_knee
from ogive.report.importance import ImportanceResult, compute_importance
from ogive.report.narrower_space import suggest_restriction
from ogive.run.results import CurvePoint, collect_random_values, compute_search_curve, find_best_trials, find_front
from ogive.run.state import State
from ogive.run.trial_labels import select_shown_metrics
from ogive.stages.baseline_comparison import BaselineComparison
from ogive.stages.delivery import Delivery, Stages
from ogive.stages.full_training_result import FullTrainingResult
from ogive.trial import Status, Trial, are_finite, select_comparable

MAX_DRAWN = 5
"""At most this many networks are drawn."""
MAX_ROWS = 40
"""A list shows at most this many rows; a line below the list gives the number of the others."""


@dataclass(frozen=True)
class Subject:
    """The run that a report describes.

    Attributes:
        state: the state of the search.
        folder: the folder of the run; None for a state without a folder.
        name: the name of the run, which is the title of the report.
        comparison: the comparison with a hand-drawn baseline; None if the run has no baseline.
        run_argument: the run as the argument of a command, quoted for a shell. Default: the absolute path of its folder, or
            RUN for a state without a folder.
    """

    state: State
    folder: Path | None
    name: str
    comparison: BaselineComparison | None = None
    run_argument: str | None = None

    @cached_property
    def trials(self) -> list[Trial]:
        return list(self.state.trials.values())

    @cached_property
    def trials_with_value(self) -> list[Trial]:
        """The trials that have reported and did not fail, whatever step they have reached."""
        return [trial for trial in self.trials if trial.reports and not trial.status.failed]

    @cached_property
    def failed_trials(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.status.failed]

    @cached_property
    def comparable(self) -> tuple[int, list[Trial]]:
        """The highest step that any trial has reached, and the trials that have reached it, among them the best trial."""
        return select_comparable(self.trials, at_least=1)

    @cached_property
    def best_trials(self) -> list[Trial]:
        """At most `MAX_DRAWN` best trials of the search, best first; with several objectives, the front's knee is first."""
        best = find_best_trials(self.state, MAX_DRAWN)
        knee_trial = [trial for trial in self.front if self.knee is not None and trial.id == self.knee.trial]
        return [*knee_trial, *(trial for trial in best if trial not in knee_trial)][:MAX_DRAWN]

    @cached_property
    def front(self) -> list[Trial]:
        """The Pareto front of the search."""
        return find_front(self.state)

    @cached_property
    def knee(self) -> Knee | None:
        """The knee of the Pareto front; None for a single objective, or for a front without a knee."""
        if not self.has_several_objectives or not self.front:
            return None
        rows = np.array([compute_costs(trial.metrics, self.state.objectives) for trial in self.front])
        return find_knee([trial.id for trial in self.front], rows)

    @cached_property
    def curve_points(self) -> list[CurvePoint]:
        """The search curve of the first objective."""
        return compute_search_curve(self.state, self.state.objectives[0])

    @cached_property
    def random_reference(self) -> tuple[list[float], str]:
        """The values of the run's own random trials, and a text: their source or, if there are no values, the reason."""
        return collect_random_values(self.state, self.curve_points)

    @cached_property
    def importance(self) -> ImportanceResult:
        """The importance of each decision."""
        state = self.state
        metrics = [objective.metric for objective in state.objectives]
        trials = [trial for trial in self._trials_for_importance if are_finite(trial.metrics, metrics)]
        ranks = rank_metrics([trial.metrics for trial in trials], state.objectives, state.constraints)
        if len(state.objectives) == 1:
            costs: Sequence[float] = [state.objectives[0].cost(trial.metrics) for trial in trials]
        else:
            costs = [float(rank) for rank in ranks]
        return compute_importance(state.space, trials, costs, ranks)

    @cached_property
    def _trials_for_importance(self) -> list[Trial]:
        """The trials that reached the highest step that a quarter of all trials reached, as they were at this step.

        The highest step of any trial would leave too few trials under a schedule such as ASHA.
        """
        step, trials = select_comparable(self.trials, at_least=max(1, len(self.trials_with_value) // 4))
        return [trial if trial.step == step else _truncate(trial, step) for trial in trials]

    @cached_property
    def narrower_space(self) -> dict[str, list[object]]:
        """The suggested restriction of the space, an argument for `Space.restricted`; empty if none is suggested."""
        return suggest_restriction(self.state.space, self.importance, self.best_trials)

    @cached_property
    def stop_verdicts(self) -> Sequence[StopVerdict]:
        """The current verdict of every stop rule."""
        return evaluate_rules(self.state)

    @cached_property
    def stages(self) -> Stages:
        """The search and the stages after it."""
        return Stages(self.state, self.folder)

    @property
    def full_training(self) -> FullTrainingResult | None:
        """The result of full training; None before it has ended."""
        return self.stages.full_training_result

    @property
    def later_states(self) -> dict[str, State]:
        """The states of the stages after the search, by name; empty before full training has begun."""
        return {} if self.stages.full_training_state is None else {"final": self.stages.full_training_state}

    @cached_property
    def best_network(self) -> Delivery | None:
        """The network that the report presents: the first winner of full training, else the best trial of the search."""
        if self.full_training is not None:
            return self.stages.winners[0]
        return self.drawn_networks[0] if self.best_trials else None

    @cached_property
    def drawn_networks(self) -> list[Delivery]:
        """The networks that are drawn, `best_network` first."""
        if self.full_training is not None:
            return self.stages.rank_networks(MAX_DRAWN)
        return [self.stages.make_search_delivery(trial) for trial in self.best_trials]

    @cached_property
    def failure_causes(self) -> list[FailureCause]:
        """Alternatives whose trials fail significantly more often."""
        return find_failure_causes(self.state.space, [trial for trial in self.trials if trial.status.ended])

    @cached_property
    def utilisation(self) -> Utilisation:
        return compute_utilisation(self.state)

    @property
    def folder_argument(self) -> str:
        """The run as the argument of a command: `run_argument` or, if it is None, its default."""
        if self.run_argument is not None:
            return self.run_argument
        return shlex.quote(str(self.folder.absolute())) if self.folder else "RUN"

    @property
    def step_unit(self) -> str:
        """The unit of a trial's steps, in the singular: "epoch" or "step"."""
        return "epoch" if self.state.declaration["epochs"] else "step"

    @property
    def has_several_objectives(self) -> bool:
        return len(self.state.objectives) > 1

    @property
    def inactive_count(self) -> int:
        """The number of trials that have ended or are paused."""
        return self.state.ended_count + self.state.status_counts[Status.PAUSED]

    def metric_texts(self, network: Trial | Delivery) -> list[tuple[str, str]]:
        """Return the names and the formatted values of the metrics that are shown for a network.

        These are the metrics of the objectives and constraints, and the number of parameters.
        """
        metrics = network.mean_metrics if isinstance(network, Delivery) else network.metrics
        return [
            (name, format_metric(value))
            for name, value in select_shown_metrics(metrics, self.state.compared_metrics).items()
        ]

    def format_metrics(self, network: Trial | Delivery) -> str:
        """Return the same metrics on one line: `accuracy 0.9, parameters 45,210`."""
        return ", ".join(f"{name} {value}" for name, value in self.metric_texts(network))

    def is_feasible(self, network: Trial | Delivery) -> bool:
        """Return whether a network satisfies all constraints."""
        metrics = network.mean_metrics if isinstance(network, Delivery) else network.metrics
        return not self.state.constraints or total_violation(metrics, self.state.constraints) == 0


def format_metric(value: object) -> str:
    """Return a metric as text: "none" for a missing value, "not finite" for NaN and infinity."""
    if not isinstance(value, (int, float)):
        return "none"
    return number(value) if math.isfinite(value) else "not finite"


def _truncate(trial: Trial, step: int) -> Trial:
    """Return the trial as it was at `step`."""
    return trial.with_changes(reports=tuple(report for report in trial.reports if report.step <= step))
