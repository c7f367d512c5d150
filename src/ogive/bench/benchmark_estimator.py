"""A benchmark problem as an estimator, for `og.search`, jobs and the command line."""

from __future__ import annotations

from collections.abc import Mapping

from ogive.bench.problem import Problem
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.space import Architecture


class BenchmarkEstimator(Estimator):
    """Answers from `problem`; made by `estimator`. Reports the table's own `seconds` as a metric, and takes none itself."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.continuable = problem.continuable
        self.epochs = problem.epochs

    def evaluate(self, evaluation: Evaluation) -> None:
        spent = 0.0
        for seen in self.problem.evaluate(evaluation.architecture, evaluation.fidelity, evaluation.seed):
            spent += seen.seconds
            if seen.step <= evaluation.reported:
                continue
            answer = evaluation.report(seen.step, {**seen.metrics, "seconds": spent})
            if answer is not Action.CONTINUE:
                return

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return self.problem.screen(architecture)

    def fingerprints(self) -> Mapping[str, str]:
        return {"benchmark": self.problem.fingerprint}


def estimator(problem: Problem) -> BenchmarkEstimator:
    """The problem as an estimator; search `problem.space` with it, for `problem.objectives`."""
    return BenchmarkEstimator(problem)
