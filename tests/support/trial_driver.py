"""The smallest controller: keeps what is reported, and drives one evaluation of an estimator or of a train function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

import ogive.space as og
from ogive.estimate import LiveTrial, train
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action

SPACE = og.Space(
    og.layer(
        nn.Sequential,
        og.layer(nn.Conv2d, 1, og.one_of(4, 8, name="width"), 3),
        og.layer(nn.LazyBatchNorm2d),
        og.layer(nn.ReLU),
        og.layer(nn.Dropout, og.one_of(0.1, 0.3, name="dropout")),
        og.layer(nn.Flatten),
        og.layer(nn.LazyLinear, 10),
    ),
    example_input=(1, 8, 8),
)
ARCHITECTURE = SPACE.architecture({"width": 4, "dropout": 0.3})


class Dead(BaseException):
    """Stands for a process that dies."""


class Driver:
    """One trial in `folder`: `reports` is its journal, `run` is one attempt."""

    def __init__(self, folder: Path, architecture: og.Architecture = ARCHITECTURE) -> None:
        self.folder = folder
        self.architecture = architecture
        self.reports: dict[int, dict[str, float]] = {}

    def run(
        self,
        estimator: Estimator | Callable[[Any, LiveTrial], object],
        until: int = 1,
        answer: Callable[[int], Action] = lambda step: Action.CONTINUE,
        **options: Any,
    ) -> dict[int, dict[str, float]]:
        def send(step: int, metrics: Mapping[str, float]) -> Action:
            action = answer(step)  # raises where the process is to die before the report is stored
            assert step > max(self.reports, default=0), f"step {step} was sent twice or late"
            self.reports[step] = dict(metrics)
            return action

        evaluation = Evaluation(
            trial=7,
            architecture=self.architecture,
            fidelity={"epochs": until},
            seed=11,
            folder=self.folder,
            send=send,
            last_reported_step=max(self.reports, default=0),
            **options,
        )
        (estimator if isinstance(estimator, Estimator) else train(estimator)).evaluate(evaluation)
        return self.reports


def die_at(step: int) -> Callable[[int], Action]:
    """Dies in the middle of the report of `step`, before it is stored."""

    def answer(now: int) -> Action:
        if now == step:
            raise Dead
        return Action.CONTINUE

    return answer
