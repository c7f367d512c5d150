"""Every strategy works with every schedule, with several objectives and a hard constraint, and can be continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from memory import SPACE, Curve, ListLog, declare, session, value

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.executors.simulated import SimulatedExecutor, SimulatedReport, VirtualClock
from ogive.objective import Constraint
from ogive.run.executor import Assignment
from ogive.seeds import generator
from ogive.testing.journals import comparable_events
from ogive.trial import count_steps

SCHEDULES: dict[str, dict[str, Any]] = {
    **{name: {} for name in schedules.names()},
    "pbt": {"settings": {"learning_rate": [0.001, 0.1]}, "population": 4, "interval": 3},
    "progressive_dynamic_hurdles": {"models": 5},
}
OPTIONS: dict[str, dict[str, Any]] = {  # small models, since only the interfaces are tested here
    "auto": {"candidates": 16},
    "bananas": {"initial": 4, "candidates": 8, "members": 2, "max_fit": 8},
    "gp": {"candidates": 16, "draws": 1, "max_fit": 8},
    "reinforce": {"batch": 4, "hidden": 3},
    "smac": {"initial": 4, "candidates": 5, "starts": 1, "trees": 2, "max_fit": 8},
    "tpe": {"initial": 4, "candidates": 4},
}
STRATEGIES = [name for name in strategies.names() if name not in ("bohb", "dehb", "listed")]
TRIALS = 14


def every_third(assignment: Assignment) -> Iterator[SimulatedReport]:
    """Report the metrics in every third epoch only, and continue up to the first value, as train functions do."""
    last = max(count_steps(assignment.fidelity), assignment.max_step if assignment.missing_metrics else 0)
    for step, metrics, seconds in evaluate(replace(assignment, fidelity={**assignment.fidelity, "epochs": last})):
        yield step, metrics if step % 3 == 0 else {"train_loss": 1 / step}, seconds


def evaluate(assignment: Assignment) -> Iterator[SimulatedReport]:
    architecture = SPACE.architecture(assignment.choices)
    seconds = float(generator(9, assignment.trial).integers(1, 20))
    for step in range(assignment.last_reported_step + 1, count_steps(assignment.fidelity) + 1):
        yield step, {"accuracy": value(architecture) - 1 / step, "latency": float(architecture["depth"])}, seconds


def run(log: ListLog, evaluate: Callable[[Assignment], Iterator[SimulatedReport]] = evaluate) -> ListLog:
    clock = VirtualClock(log.events[-1].time)
    controller = session(log, Curve(), Path("unused"), clock)
    controller.executor = SimulatedExecutor(clock, evaluate, workers=1)
    controller.run()
    return log


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_strategy_works_with_every_schedule(strategy: str, schedule: str) -> None:
    created = declare(
        strategy={strategy: OPTIONS.get(strategy, {})},
        schedule={schedule: SCHEDULES[schedule]},
        objectives=["accuracy", "latency"],
        constraints=[Constraint("parameters", at_most=15, hard=True)],
        max_trials=TRIALS,
    )
    log = run(ListLog([created]))
    proposed = [event for event in log.events if event.kind == "proposed"]
    assert len(proposed) == (TRIALS if schedule != "pbt" else len(proposed))
    assert all(event.data["screened"]["parameters"] <= 15 for event in proposed)
    cut = len(log.events) * 2 // 3
    assert comparable_events(run(ListLog(log.events[:cut])).events) == comparable_events(log.events)


@pytest.mark.parametrize("evaluate", [evaluate, every_third])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_search_continued_from_any_prefix_of_its_journal_takes_the_same_decisions(
    schedule: str, evaluate: Callable[[Assignment], Iterator[SimulatedReport]]
) -> None:
    created = declare(strategy="random", schedule={schedule: SCHEDULES[schedule]}, max_trials=TRIALS)
    log = run(ListLog([created]), evaluate)
    # `curve` stops only trials that report every epoch.
    never_stopping = ("full", "curve") if evaluate is every_third else ("full",)
    assert {"paused", "stopped"} & {event.kind for event in log.events} or schedule in never_stopping
    assert not any(event.kind == "failed" for event in log.events)
    for cut in range(1, len(log.events)):
        continued = run(ListLog(log.events[:cut]), evaluate)
        assert comparable_events(continued.events) == comparable_events(log.events), f"differs after event {cut}"
