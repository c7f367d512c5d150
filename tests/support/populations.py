"""Population based training in virtual time, of a model that learns at a speed that depends on its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from ogive.bench.simulated_search import NO_FOLDER, MemoryLog
from ogive.executors.simulated import SimulatedExecutor, VirtualClock
from ogive.objective import Objective
from ogive.run.controller import Controller
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.schedule.pbt import PBT
from ogive.seeds import generator
from ogive.space import Space, layer, one_of
from ogive.strategy.random import Random
from ogive.trial import Status, Step

SPACE = Space(layer(dict, a=one_of(*range(60), name="a")))
OBJECTIVES = (Objective("accuracy"),)
RANGES = {"lr": [1e-4, 1.0]}
JITTER = 0.1
"""The standard deviation of the logarithm of the seconds of an epoch."""


def population(workers: int, seed: int, epochs: int = 20, jitter: float = JITTER, **options: object) -> State:
    """Return the state at the end of a search, by default with 10 members that are compared after every second epoch."""
    arguments = {"population": 10, "interval": 2, "quantile": 0.2, **options}
    schedule = PBT(RANGES, OBJECTIVES, epochs=epochs, **arguments)  # type: ignore[arg-type]
    created = {
        "space": SPACE.to_json(),
        "objectives": [{"metric": "accuracy", "goal": "maximize"}],
        "constraints": [],
        "strategy": {"name": "random", "options": {}},
        "seed": seed,
        "epochs": epochs,
        "settings": Settings(max_trials=2000, workers=workers).to_json(),
    }
    state = State.from_events([Event(Kind.CREATED, data=created, seq=1)], SPACE)
    skills: dict[tuple[int, Step], float] = {}

    def simulate(assignment: Assignment) -> Iterator[tuple[Step, Mapping[str, float], float]]:
        number, first = assignment.trial, assignment.last_reported_step
        skill = skills[number, first] if first else 0.0
        if assignment.inherit_from and not first:
            donor = int(next(part for part in reversed(Path(assignment.inherit_from[0]).parts) if part.isdigit()))
            skill = skills[donor, assignment.inherit_from[1]]
        speed = 0.3 * math.exp(-0.5 * ((math.log10(assignment.settings["lr"]) + 1.5) / 0.4) ** 2)
        for step in range(first + 1, int(assignment.fidelity["epochs"]) + 1):
            skill += (1 - skill) * speed
            skills[number, step] = skill
            yield step, {"accuracy": skill}, math.exp(generator(seed, "seconds", number, step).normal(0, jitter))

    clock = VirtualClock()
    executor = SimulatedExecutor(clock, simulate, workers)
    strategy = Random(SPACE, OBJECTIVES, ())
    controller = Controller(
        MemoryLog(), [], state, strategy=strategy, schedule=schedule, executor=executor, folder=NO_FOLDER, clock=clock
    )
    controller.run()
    return state


def replaced(state: State, interval: int = 2, epochs: int = 20) -> float:
    """Return the share of comparisons at which a member was replaced."""
    children = sum(trial.proposal.inherit is not None for trial in state.trials.values())
    comparisons = sum(
        1
        for trial in state.trials.values()
        for report in trial.reports
        if report.step % interval == 0 and report.step < epochs
    )
    return children / comparisons


def final(state: State) -> float:
    """Return the mean accuracy of the members at the end."""
    values = [trial.metrics["accuracy"] for trial in state.trials.values() if trial.status is Status.FINISHED]
    return sum(values) / len(values)
