"""The simulation of a search with one split of the workers, with the real controller, schedule and strategy."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ogive.arrays import FloatArray
from ogive.bench.anytime_curve import Recorder
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import PluginSpec, simulate
from ogive.executors.simulated import FaultModel, SimulateTrial
from ogive.planner.machine import Machine
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.run.prices import Price
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.seeds import generator
from ogive.trial import Fidelity, Step, count_steps

DURATION_EXPONENTS = {"resolution": 2.0, "width": 1.3}
"""The duration of an epoch is proportional to the fidelity to this power (measured in `docs/guide.md`). The exponent of
fidelities that are not listed is 1."""


@dataclass(frozen=True, order=True)
class WorkerSplit:
    """A split of the workers.

    Attributes:
        parallel_trials: the number of trials at a time.
        workers_per_trial: the number of workers of each trial.
    """

    parallel_trials: int
    workers_per_trial: int

    @property
    def workers(self) -> int:
        """The number of workers that the split uses."""
        return self.parallel_trials * self.workers_per_trial

    def __str__(self) -> str:
        return f"{self.parallel_trials} x {self.workers_per_trial}"


def list_splits(workers: int, max_trials: int) -> list[WorkerSplit]:
    """Return the splits of `workers` workers, most parallel trials first.

    A split is left out if another split has the same number of workers per trial and more parallel trials. Splits with more
    parallel trials than `max_trials` are left out too, unless there are no others.
    """
    candidates = {WorkerSplit(p, workers // p) for p in range(1, workers + 1)}
    complete = [split for split in candidates if split.parallel_trials == workers // split.workers_per_trial]
    useful = [split for split in complete if split.parallel_trials <= max_trials]
    return sorted(useful or complete, reverse=True)


@dataclass(frozen=True)
class PlannedSearch:
    """The search that is simulated.

    Attributes:
        strategy: the name and the options of the strategy.
        schedule: the name and the options of the schedule.
        trials: the number of trials of the search.
        settings: the settings of the search; only the budget is used.
        price: the price of a worker-hour; None without a price.
        uses_devices: whether workers are devices. If not, workers are threads, and only their process has a price.
    """

    strategy: PluginSpec
    schedule: PluginSpec
    trials: int
    settings: Settings = field(default_factory=Settings)
    price: Price | None = None
    uses_devices: bool = False

    def count_billed_workers(self, split: WorkerSplit) -> int:
        """Return the number of workers that are billed: all devices, or one process for each parallel trial."""
        return split.workers if self.uses_devices else split.parallel_trials

    def compute_budget_hours(self, split: WorkerSplit) -> float | None:
        """Return the hours after which the budget is used up; None without a budget."""
        settings = self.settings
        paid_hours = None
        if settings.money is not None and self.price is not None:
            paid_hours = settings.money / self.price.compute_hourly_cost(self.count_billed_workers(split))
        return min((hours for hours in (settings.hours, paid_hours) if hours is not None), default=None)


@dataclass(frozen=True, kw_only=True)
class SimulatedSearch:
    """The result of one simulated search. All times are in virtual seconds.

    Attributes:
        seconds: the time from the start to the end of the search.
        compute_seconds: the compute time of all trials together.
        report_times: the time of each report, in ascending order.
        curve: an array with a row for each change of the incumbent: the time, and the regret of the new incumbent.
        value: the true value of the incumbent at the end; NaN without an incumbent.
        end_reason: the reason why the search ended.
        cpu_seconds: the CPU time of the simulation.
    """

    seconds: float
    compute_seconds: float
    report_times: FloatArray
    curve: FloatArray
    value: float
    end_reason: str | None
    cpu_seconds: float

    @property
    def final_regret(self) -> float:
        """The regret of the incumbent at the end; infinity without an incumbent."""
        return float(self.curve[-1, 1]) if len(self.curve) else math.inf

    def find_time_to_regret(self, regret: float) -> float:
        """Return the seconds until the incumbent's regret was at most `regret`; infinity if it never was."""
        points_at_regret = self.curve[self.curve[:, 1] <= regret] if len(self.curve) else self.curve
        return float(points_at_regret[0, 0]) if len(points_at_regret) else math.inf


def make_trajectories(
    problem: Problem, machine: Machine, workers: int, *, seed: int, proposal_seconds: float = 0.0
) -> SimulateTrial:
    """Return a function that yields the reports of a trial: the problem's metrics after the machine's durations.

    Args:
        problem: the source of the metrics.
        machine: the source of the durations.
        workers: the number of workers of each trial.
        seed: the seed of the architectures' duration factors and of the noise of epochs.
        proposal_seconds: the controller's time for a proposal, which delays the first epoch of each trial.
    """

    def compute_trajectory(assignment: Assignment) -> Iterator[tuple[Step, Mapping[str, float], float]]:
        architecture = problem.space.architecture(assignment.choices)
        # Set the cached property `id` without computing it, which takes long. The controller has computed it already.
        architecture.__dict__["id"] = assignment.id
        factor = float(np.exp(generator(seed, "factor", assignment.id).normal(0, machine.spread)))
        # Steps are counted from 1, so the first item is not used.
        noise = generator(seed, "epochs", assignment.id).normal(
            0, machine.noise, size=count_steps(assignment.fidelity) + 1
        )
        epoch_seconds = machine.compute_epoch_seconds(workers) * factor * compute_relative_duration(assignment.fidelity)
        delay = proposal_seconds if assignment.last_reported_step == 0 else 0.0
        start_seconds = machine.compute_attempt_seconds(workers) + delay
        for observation in problem.evaluate(architecture, assignment.fidelity, assignment.seed):
            if observation.step > assignment.last_reported_step:
                seconds = start_seconds + epoch_seconds * float(np.exp(noise[observation.step]))
                yield observation.step, observation.metrics, seconds
                start_seconds = 0.0

    return compute_trajectory


def compute_relative_duration(fidelity: Fidelity) -> float:
    """Return the duration of an epoch at a fidelity, divided by its duration at the full fidelity."""
    product = 1.0
    for name, value in fidelity.items():
        if name != "epochs":
            product *= float(value) ** DURATION_EXPONENTS.get(name, 1.0)
    return product


def simulate_split(
    problem: Problem,
    search: PlannedSearch,
    machine: Machine,
    split: WorkerSplit,
    seed: int,
    *,
    proposal_seconds: float = 0.0,
    faults: FaultModel | None = None,
) -> SimulatedSearch:
    """Simulate a search once.

    Args:
        problem: the source of the metrics.
        search: the search.
        machine: the source of the durations.
        split: the split of the workers.
        seed: the seed of the search, the duration factors and the faults.
        proposal_seconds: the controller's time for one proposal.
        faults: stragglers, failures and preemptions of the workers; its start-up time is ignored, because `machine` has one.
    """
    recorder = Recorder(problem)
    report_times: list[float] = []

    def observe(state: State, event: Event | None) -> None:
        recorder(state, event)
        if event is not None and event.kind is Kind.REPORTED:
            report_times.append(event.time)

    fault_options = vars(faults or FaultModel()) | {
        "startup": machine.compute_start_up_seconds(split.workers_per_trial)
    }
    begin = time.process_time()
    state = simulate(
        problem,
        search.strategy,
        search.schedule,
        trials=search.trials,
        workers=split.parallel_trials,
        seed=seed,
        observer=observe,
        trajectory=make_trajectories(
            problem, machine, split.workers_per_trial, seed=seed, proposal_seconds=proposal_seconds
        ),
        faults=FaultModel(**fault_options),
        hours=search.compute_budget_hours(split),
    )
    cpu_seconds = time.process_time() - begin
    # Without points, the array has no rows, but two columns all the same.
    curve = np.array([(point.seconds, point.values[0]) for point in recorder.points]).reshape(-1, 2)
    # The incumbent's value is the best value of the problem, made worse by the incumbent's regret.
    best = problem.bounds[problem.objectives[0].metric].best
    sign = -1.0 if problem.objectives[0].goal == "maximize" else 1.0
    value = best + sign * float(curve[-1, 1]) if len(curve) else math.nan
    # The controller computes one proposal at a time, so the search takes at least the time of all proposals.
    seconds = max(state.elapsed_seconds, proposal_seconds * len(state.trials))
    return SimulatedSearch(
        seconds=seconds,
        compute_seconds=state.compute_seconds,
        report_times=np.array(report_times),
        curve=curve,
        value=value,
        end_reason=state.end_reason,
        cpu_seconds=cpu_seconds,
    )
