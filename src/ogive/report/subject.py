"""The run that a report is about, with what several sections ask of it, each computed once."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ogive.formatting import number
from ogive.monitor.stop_rules import StopVerdict, verdicts
from ogive.monitor.utilisation import Utilisation, utilisation
from ogive.objective import costs, ranks, violation
from ogive.report.failures import FailureCause, failure_causes
from ogive.report.frontier import Knee, knee
from ogive.report.importance import ImportanceResult, decision_importance, narrower
from ogive.run.results import CurvePoint, curve, front, random_values, top
from ogive.run.state import State
from ogive.run.trial_labels import shown_metrics
from ogive.stages.baseline_comparison import BaselineComparison
from ogive.stages.delivery import Delivery, Stages
from ogive.stages.full_training_result import FullTrainingResult
from ogive.trial import Status, Trial, comparable, finite

DRAWN = 5
"""How many architectures are drawn."""
LISTED = 40
"""The most rows of a list that may be long; what is left out is counted."""


@dataclass(frozen=True)
class Subject:
    """A run: its state, its folder (None where there is none), its name, and a comparison with a baseline."""

    state: State
    folder: Path | None
    name: str
    comparison: BaselineComparison | None = None

    @cached_property
    def trials(self) -> list[Trial]:
        return list(self.state.trials.values())

    @cached_property
    def valued(self) -> list[Trial]:
        """Trials with a value, however far they were trained."""
        return [trial for trial in self.trials if trial.reports and not trial.status.failed]

    @cached_property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.status.failed]

    @cached_property
    def compared(self) -> tuple[int, list[Trial]]:
        """The furthest step, and the trials that came to it: those among which the best is sought."""
        return comparable(self.trials, at_least=1)

    @cached_property
    def best(self) -> list[Trial]:
        """The best trials, best first; of several objectives the knee of the front comes before its ends."""
        found = top(self.state, DRAWN)
        middle = [trial for trial in self.front if self.knee is not None and trial.id == self.knee.trial]
        return [*middle, *(trial for trial in found if trial not in middle)][:DRAWN]

    @cached_property
    def front(self) -> list[Trial]:
        return front(self.state)

    @cached_property
    def knee(self) -> Knee | None:
        rows = np.array([costs(trial.metrics, self.state.objectives) for trial in self.front])
        return knee([trial.id for trial in self.front], rows) if len(self.state.objectives) > 1 and self.front else None

    @cached_property
    def points(self) -> list[CurvePoint]:
        """The search curve of the first objective."""
        return curve(self.state, self.state.objectives[0])

    @cached_property
    def random(self) -> tuple[list[float], str]:
        """Values of the run's own random trials, and where they come from or why there are none."""
        return random_values(self.state, self.points)

    @cached_property
    def found_out(self) -> ImportanceResult:
        """What mattered, among the trials that are compared."""
        state = self.state
        sought = [objective.metric for objective in state.objectives]
        trials = [trial for trial in self._for_decisions if finite(trial.metrics, sought)]
        places = ranks([trial.metrics for trial in trials], state.objectives, state.constraints)
        if len(state.objectives) == 1:
            values: Sequence[float] = [state.objectives[0].cost(trial.metrics) for trial in trials]
        else:
            values = [float(place) for place in places]
        return decision_importance(state.space, trials, values, places)

    @cached_property
    def _for_decisions(self) -> list[Trial]:
        """Trials compared at one step that at least a quarter have reached: the furthest alone would be too few."""
        step, trials = comparable(self.trials, at_least=max(1, len(self.valued) // 4))
        return [trial if trial.step == step else _cut(trial, step) for trial in trials]

    @cached_property
    def narrower(self) -> dict[str, list[object]]:
        """What may be left of the space; see `Space.restricted`."""
        return narrower(self.state.space, self.found_out, self.best)

    @cached_property
    def verdicts(self) -> Sequence[StopVerdict]:
        """What every stop rule says now."""
        return verdicts(self.state)

    @cached_property
    def stages(self) -> Stages:
        """The search and what followed it."""
        return Stages(self.state, self.folder)

    @property
    def stage(self) -> FullTrainingResult | None:
        """The second stage; None where none has come to its end."""
        return self.stages.result

    @property
    def finals(self) -> dict[str, State]:
        """The second stage as a run of its own, where it was begun."""
        return {} if self.stages.final is None else {"final": self.stages.final}

    @cached_property
    def first(self) -> Delivery | None:
        """The network that the page is led by: the first winner of full training, else the first of `best`."""
        if self.stage is not None:
            return self.stages.winners[0]
        return self.drawn[0] if self.best else None

    @cached_property
    def drawn(self) -> list[Delivery]:
        """The networks that are drawn, `first` first."""
        if self.stage is not None:
            return self.stages.ranked(DRAWN)
        return [self.stages.searched(trial) for trial in self.best]

    @cached_property
    def failure_causes(self) -> list[FailureCause]:
        """Alternatives under which trials fail more often than chance explains."""
        return failure_causes(self.state.space, [trial for trial in self.trials if trial.status.ended])

    @cached_property
    def utilisation(self) -> Utilisation:
        """How busy the workers were."""
        return utilisation(self.state)

    @property
    def where(self) -> str:
        """The run's folder as a word of a command that works wherever the page is read."""
        return shlex.quote(str(self.folder.absolute())) if self.folder else "RUN"

    @property
    def several(self) -> bool:
        return len(self.state.objectives) > 1

    @property
    def resting(self) -> int:
        return self.state.done + self.state.count[Status.PAUSED]

    def metrics(self, network: Trial | Delivery) -> list[tuple[str, str]]:
        """What was sought, with the number of parameters, as text."""
        metrics = network.mean if isinstance(network, Delivery) else network.metrics
        return [(name, shown(value)) for name, value in shown_metrics(metrics, self.state.metrics_needed).items()]

    def values(self, network: Trial | Delivery) -> str:
        """The same in one line: `accuracy 0.9, parameters 45,210`."""
        return ", ".join(f"{name} {value}" for name, value in self.metrics(network))

    def feasible(self, network: Trial | Delivery) -> bool:
        metrics = network.mean if isinstance(network, Delivery) else network.metrics
        return not self.state.constraints or violation(metrics, self.state.constraints) == 0


def shown(value: object) -> str:
    """A metric as text; what is no number says so."""
    if not isinstance(value, (int, float)):
        return "none"
    return number(value) if math.isfinite(value) else "not finite"


def _cut(trial: Trial, step: int) -> Trial:
    """The trial as it was at `step`."""
    return trial.changed(reports=tuple(report for report in trial.reports if report.step <= step))
