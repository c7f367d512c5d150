"""The conformance suite of estimators: it reports each broken guarantee."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from trial_driver import SPACE

from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.testing.estimators import check_estimator


class Correct(Estimator):
    """A correct estimator: it keeps no state, and its reports are a function of (architecture, step)."""

    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
            action = evaluation.report(step, self.metrics(evaluation, step))
            if action != Action.CONTINUE:
                return

    def metrics(self, evaluation: Evaluation, step: int) -> dict[str, Any]:
        return {"score": step + 0.1 * evaluation.architecture["width"]}


class NeverReports(Correct):
    def evaluate(self, evaluation: Evaluation) -> None: ...


class ReportsTooMuch(Correct):
    def evaluate(self, evaluation: Evaluation) -> None:
        super().evaluate(evaluation)
        evaluation.report(evaluation.until + 1, {"score": 0})


class RepeatsSteps(Correct):
    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(1, evaluation.until + 1):
            if evaluation.report(step, self.metrics(evaluation, step)) != Action.CONTINUE:
                return


class IgnoresStop(Correct):
    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
            evaluation.report(step, self.metrics(evaluation, step))


class DependsOnContinuation(Correct):
    def metrics(self, evaluation: Evaluation, step: int) -> dict[str, Any]:
        return {"score": step - evaluation.last_reported_step}


class SharesState(Correct):
    calls = 0

    def metrics(self, evaluation: Evaluation, step: int) -> dict[str, Any]:
        self.calls += 1
        return {"score": self.calls - evaluation.last_reported_step}


class SuppressesErrors(Correct):
    def evaluate(self, evaluation: Evaluation) -> None:
        with suppress(BaseException):
            super().evaluate(evaluation)


class ScreensInconsistently(Correct):
    calls = 0

    def screen(self, architecture: Any) -> dict[str, float]:
        self.calls += 1
        return {"parameters": self.calls}


def test_a_correct_estimator_passes() -> None:
    check_estimator(Correct, SPACE)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (NeverReports, "without a report"),
        (ReportsTooMuch, "step 4 was reported, but the trial must end at step 3"),
        (RepeatsSteps, "step 1 was reported after step 1; steps must increase"),
        (IgnoresStop, "the answer to step 1 was STOP, but the reported steps are"),
        (DependsOnContinuation, "when it was continued after 1 epoch, step 2 reported"),
        (SharesState, "after another evaluation in the same worker, step 1 reported"),
        (SuppressesErrors, "evaluate.. suppressed an exception"),
        (ScreensInconsistently, "screen.. returned different values"),
    ],
)
def test_a_broken_guarantee_is_reported(broken: type[Correct], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_estimator(broken, SPACE)
