"""The conformance suite itself: each guarantee that an estimator breaks is named."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from trial_driver import SPACE

from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.testing.estimators import check_estimator


class Honest(Estimator):
    """Restarts from step 1 and keeps no state; what it reports is a function of (architecture, step)."""

    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(evaluation.reported + 1, evaluation.until + 1):
            answer = evaluation.report(step, self.metrics(evaluation, step))
            if answer != Action.CONTINUE:
                return

    def metrics(self, evaluation: Evaluation, step: int) -> dict[str, Any]:
        return {"score": step + 0.1 * evaluation.architecture["width"]}


class Silent(Honest):
    def evaluate(self, evaluation: Evaluation) -> None: ...


class Beyond(Honest):
    def evaluate(self, evaluation: Evaluation) -> None:
        super().evaluate(evaluation)
        evaluation.report(evaluation.until + 1, {"score": 0})


class Repeats(Honest):
    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(1, evaluation.until + 1):
            if evaluation.report(step, self.metrics(evaluation, step)) != Action.CONTINUE:
                return


class Stubborn(Honest):
    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(evaluation.reported + 1, evaluation.until + 1):
            evaluation.report(step, self.metrics(evaluation, step))


class Forgetful(Honest):
    def metrics(self, evaluation: Evaluation, step: int) -> dict[str, Any]:
        return {"score": step - evaluation.reported}


class Leaks(Honest):
    calls = 0

    def metrics(self, evaluation: Evaluation, step: int) -> dict[str, Any]:
        self.calls += 1
        return {"score": self.calls - evaluation.reported}


class Swallows(Honest):
    def evaluate(self, evaluation: Evaluation) -> None:
        with suppress(BaseException):
            super().evaluate(evaluation)


class Fickle(Honest):
    asked = 0

    def screen(self, architecture: Any) -> dict[str, float]:
        self.asked += 1
        return {"parameters": self.asked}


def test_an_honest_estimator_passes() -> None:
    check_estimator(Honest, SPACE)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Silent, "without a report"),
        (Beyond, "step 4 was reported, but the trial must end at step 3"),
        (Repeats, "step 1 was reported after step 1; steps must increase"),
        (Stubborn, "the answer to step 1 was STOP, but the reported steps are"),
        (Forgetful, "when it was continued after 1 epoch, step 2 reported"),
        (Leaks, "after another evaluation in the same worker, step 1 reported"),
        (Swallows, "evaluate.. suppressed an exception"),
        (Fickle, "screen.. returned different values"),
    ],
)
def test_a_broken_one_is_caught_and_told_why(broken: type[Honest], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_estimator(broken, SPACE)
