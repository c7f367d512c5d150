"""A benchmark problem as an estimator, for `og.search`, jobs and the command line."""

from __future__ import annotations

from collections.abc import Mapping

from ogive.bench.problem import Problem
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.space import Architecture


class BenchmarkEstimator(Estimator):
    """An estimator that reports the metrics of a benchmark problem; created by `estimator`.

    It does not train anything. The training time of the problem is reported as the metric `seconds`.
    """

    display_name = "an estimator made by og.bench.estimator"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.continuable = problem.continuable
        self.epochs = problem.epochs

    def evaluate(self, evaluation: Evaluation) -> None:
        seconds = 0.0
        for result in self.problem.evaluate(evaluation.architecture, evaluation.fidelity, evaluation.seed):
            seconds += result.seconds
            if result.step <= evaluation.last_reported_step:
                continue
            action = evaluation.report(result.step, {**result.metrics, "seconds": seconds})
            if action is not Action.CONTINUE:
                return

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return self.problem.screen(architecture)

    def fingerprints(self) -> Mapping[str, str]:
        return {"benchmark": self.problem.fingerprint}


def estimator(problem: Problem) -> BenchmarkEstimator:
    """Return an estimator for searches of `problem.space` with `problem.objectives`."""
    return BenchmarkEstimator(problem)
