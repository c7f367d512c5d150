"""One search of one split in virtual time: the product's own controller, schedule and strategy on modelled durations."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench.anytime_curve import Recorder
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import PluginSpec, simulate
from ogive.executors.simulated import FaultModel, Judge
from ogive.planner.machine import Machine
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.prices import Price
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.seeds import generator
from ogive.trial import Fidelity, Step, until

POWERS = {"resolution": 2.0, "width": 1.3}
"""With which power of a fidelity beside epochs the cost of an epoch grows, as `docs/guide.md` has measured; 1 for others."""


@dataclass(frozen=True, order=True)
class WorkerSplit:
    """How workers are used.

    Attributes:
        parallel_trials: at a time.
        workers_per_trial: given to each.
    """

    parallel_trials: int
    workers_per_trial: int

    @property
    def workers(self) -> int:
        return self.parallel_trials * self.workers_per_trial

    def __str__(self) -> str:
        return f"{self.parallel_trials} x {self.workers_per_trial}"


def splits(workers: int, max_trials: int) -> list[WorkerSplit]:
    """The splits of so many workers of which none uses fewer workers for the same: most parallel trials first.

    Parallel trials beyond `max_trials` would have nothing to do, and are left out where others remain.
    """
    found = {WorkerSplit(p, workers // p) for p in range(1, workers + 1)}
    kept = [split for split in found if split.parallel_trials == workers // split.workers_per_trial]
    useful = [split for split in kept if split.parallel_trials <= max_trials]
    return sorted(useful or kept, reverse=True)


@dataclass(frozen=True)
class PlannedSearch:
    """What is simulated.

    Attributes:
        strategy, schedule: of the job, by name.
        trials: `max_trials`.
        settings: what else ends a search: its budget.
        price: None where nothing is paid.
        devices: whether a worker is a device, which is paid for, and not a thread.
    """

    strategy: PluginSpec
    schedule: PluginSpec
    trials: int
    settings: Settings = field(default_factory=Settings)
    price: Price | None = None
    devices: bool = False

    def paid(self, split: WorkerSplit) -> int:
        """Workers that the price is for, as a run counts them: devices, or processes, whatever threads these have."""
        return split.workers if self.devices else split.parallel_trials

    def hours(self, split: WorkerSplit) -> float | None:
        """When the budget is used up; None where there is none."""
        own = self.settings
        bought = None if own.money is None or self.price is None else own.money / self.price.rate(self.paid(split))
        return min((hours for hours in (own.hours, bought) if hours is not None), default=None)


@dataclass(frozen=True)
class SimulatedSearch:
    """What one simulated search came to; all times in virtual seconds.

    Attributes:
        seconds: to the end.
        compute: of all trials together.
        reports: when each came, in order.
        curve: [m, 2] seconds and regret of the incumbent from then on.
        value: the incumbent's truth at the end; NaN where there is none.
        ended: why.
        processor: seconds that this process took.
    """

    seconds: float
    compute: float
    reports: FloatArray
    curve: FloatArray
    value: float
    ended: str
    processor: float

    def reach(self, regret: float) -> float:
        """Seconds until the incumbent's regret was at most `regret`; infinite where it never was."""
        there = self.curve[self.curve[:, 1] <= regret] if len(self.curve) else self.curve
        return float(there[0, 0]) if len(there) else float("inf")


def evaluate_on(problem: Problem, machine: Machine, workers: int, seed: int, thinking: float = 0.0) -> Judge:
    """How jobs go on: with the problem's metrics after the machine's seconds.

    Args:
        problem: for metrics.
        machine: for seconds.
        workers: given to each trial.
        seed: of the architectures' factors and of the noise of epochs.
        thinking: seconds of the controller for one new proposal; trials wait for it one after the other.
    """

    def course(assignment: Assignment) -> Iterator[tuple[Step, Mapping[str, float], float]]:
        architecture = problem.space.architecture(assignment.choices)
        architecture.__dict__["id"] = assignment.id
        factor = float(np.exp(generator(seed, "factor", assignment.id).normal(0, machine.spread)))
        noise = generator(seed, "epochs", assignment.id).normal(0, machine.noise, size=until(assignment.fidelity) + 1)
        base = machine.epoch(workers) * factor * share(assignment.fidelity)
        begun = machine.attempt(workers) + (thinking if assignment.reported == 0 else 0.0)
        for seen in problem.evaluate(architecture, assignment.fidelity, assignment.seed):
            if seen.step > assignment.reported:
                yield seen.step, seen.metrics, begun + base * float(np.exp(noise[seen.step]))
                begun = 0.0

    return course


def share(fidelity: Fidelity) -> float:
    """What an epoch at this fidelity costs, of a full one."""
    product = 1.0
    for name, value in fidelity.items():
        if name != "epochs":
            product *= float(value) ** POWERS.get(name, 1.0)
    return product


def simulate_split(
    problem: Problem,
    search: PlannedSearch,
    machine: Machine,
    split: WorkerSplit,
    seed: int,
    *,
    thinking: float = 0.0,
    faults: FaultModel | None = None,
) -> SimulatedSearch:
    """Simulate the search once.

    Args:
        problem: whose metrics the schedule sees.
        search: what is searched, and how.
        machine: for the durations.
        split: of the workers.
        seed: of the search, of the factors and of the faults.
        thinking: seconds of the controller for one proposal.
        faults: stragglers, failures and preemptions; the start-up is the machine's.
    """
    recorder = Recorder(problem)
    reports: list[float] = []

    def observe(state: State, event: Event | None) -> None:
        recorder(state, event)
        if event is not None and event.kind is Kind.REPORTED:
            reports.append(event.time)

    given = vars(faults or FaultModel()) | {"startup": machine.start_up(split.workers_per_trial)}
    began = time.process_time()
    state = simulate(
        problem,
        search.strategy,
        search.schedule,
        trials=search.trials,
        workers=split.parallel_trials,
        seed=seed,
        observer=observe,
        trajectory=evaluate_on(problem, machine, split.workers_per_trial, seed, thinking),
        faults=FaultModel(**given),
        hours=search.hours(split),
    )
    processor = time.process_time() - began
    curve = np.array([(point.seconds, point.values[0]) for point in recorder.points]).reshape(-1, 2)
    best = problem.bounds[problem.objectives[0].metric].best
    sign = -1.0 if problem.objectives[0].goal == "maximize" else 1.0
    value = best + sign * float(curve[-1, 1]) if len(curve) else float("nan")
    elapsed = max(state.elapsed, thinking * len(state.trials))  # the controller thinks of one proposal at a time
    return SimulatedSearch(elapsed, state.seconds, np.array(reports), curve, value, state.ended, processor)
