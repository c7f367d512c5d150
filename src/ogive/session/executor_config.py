"""The names of the executors, and the options of the simulated executor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ogive.bench.benchmark_estimator import BenchmarkEstimator
from ogive.errors import JobError, RunError
from ogive.executors.simulated import FaultModel, SimulatedExecutor, SimulatedReport, VirtualClock
from ogive.run.estimator import Estimator, name_estimator
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.space import Space

EXECUTORS = ("processes", "inline", "simulated")
SIMULATED = "simulated"
"""The name of the simulated executor. In the record of a session it is the key of the executor's options."""
SIMULATED_OPTIONS = (*(field.name for field in fields(FaultModel)), "seed")
"""The options of the simulated executor."""

NO_FAULTS = FaultModel()
"""Workers that start at once and never fail."""

ExecutorSpec = str | Mapping[str, Any]
"""A name, or {"simulated": {option: value}}."""


@dataclass(frozen=True)
class ExecutorConfig:
    """The name of an executor and its options; see `parse_executor_config`.

    Attributes:
        name: one of `EXECUTORS`.
        faults: the faults of simulated workers.
        seed: the seed of the faults; None for the seed of the search.
    """

    name: str
    faults: FaultModel = NO_FAULTS
    seed: int | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether the trials run in virtual time."""
        return self.name == SIMULATED

    def make_session_fields(self) -> dict[str, Any]:
        """Return the fields that describe this executor in the event that opens a session."""
        return {SIMULATED: {**asdict(self.faults), "seed": self.seed}} if self.is_simulated else {}


def parse_executor_config(spec: ExecutorSpec) -> ExecutorConfig:
    """Return the configuration for the name of an executor, or for {"simulated": {option: value}}.

    The options are the fields of `FaultModel`, and `seed`.

    Raises:
        JobError: there is no such executor or option, or a value is out of its range.
    """
    name, options = next(iter(spec.items())) if isinstance(spec, Mapping) and len(spec) == 1 else (spec, None)
    if name not in EXECUTORS:
        raise JobError(f"executor: found {spec!r}; allowed: {', '.join(EXECUTORS)}, or {{simulated: {{startup: 30}}}}")
    if not options:
        return ExecutorConfig(name)
    if name != SIMULATED or not isinstance(options, Mapping) or not options.keys() <= set(SIMULATED_OPTIONS):
        raise JobError(f"executor: found {spec!r}; only `simulated` has options: {', '.join(SIMULATED_OPTIONS)}")
    faults = dict(options)
    seed = faults.pop("seed", None)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise JobError(f"executor: seed={seed!r} of simulated workers: expected a whole number, at least 0")
    try:
        return ExecutorConfig(name, FaultModel(**faults), seed)
    except JobError as error:
        raise JobError(f"executor: {error}") from error


def check_simulated_times(config: ExecutorConfig, estimator: Estimator) -> None:
    """Check that the estimator knows the durations of trials in advance, if the executor is simulated.

    Raises:
        JobError: the executor is simulated, and the estimator is not a benchmark's estimator.
    """
    if config.is_simulated and not isinstance(estimator, BenchmarkEstimator):
        raise JobError(
            f"executor: 'simulated' needs the duration of each trial in advance, which {name_estimator(estimator)} does "
            "not know; allowed: the estimator of a benchmark, og.bench.estimator(problem); otherwise use 'processes'"
        )


def make_simulated_executor(
    config: ExecutorConfig,
    clock: VirtualClock,
    space: Space,
    estimator: Estimator,
    *,
    workers: int,
    seed: int,
) -> SimulatedExecutor:
    """Return an executor whose workers report the benchmark's metrics after the benchmark's durations, in virtual time.

    Args:
        config: the configuration of the executor.
        clock: the virtual clock, which the executor advances.
        space: the space of the search.
        estimator: the estimator of a benchmark; `check_simulated_times` checks this.
        workers: the number of simulated workers.
        seed: the seed of the search. It seeds the faults if `config` has no seed.
    """
    assert isinstance(estimator, BenchmarkEstimator)
    problem = estimator.problem

    def compute_trajectory(assignment: Assignment) -> Iterator[SimulatedReport]:
        architecture, elapsed = space.architecture(assignment.choices), 0.0
        for observation in problem.evaluate(architecture, assignment.fidelity, assignment.seed):
            elapsed += observation.seconds
            if observation.step > assignment.last_reported_step:
                yield observation.step, {**observation.metrics, "seconds": elapsed}, observation.seconds

    fault_seed = seed if config.seed is None else config.seed
    return SimulatedExecutor(clock, compute_trajectory, workers, faults=config.faults, seed=fault_seed)


def check_same_kind_of_time(config: ExecutorConfig, events: Sequence[Event], folder: object) -> None:
    """Check that this session measures the same kind of time, virtual or real, as the earlier sessions of the run.

    The times of all sessions are added up, which makes no sense for different kinds of time.

    Args:
        config: the configuration of this session's executor.
        events: the events of the earlier sessions.
        folder: the run's folder, for the message.

    Raises:
        RunError: the last session had the other kind of time.
    """
    was_simulated = [SIMULATED in event.data for event in events if event.kind is Kind.OPENED]
    if was_simulated and was_simulated[-1] != config.is_simulated:
        before, now = ("virtual", "real") if was_simulated[-1] else ("real", "virtual")
        raise RunError(
            f"the run in {folder} measures {before} time, but executor={config.name!r} measures {now} time; use the "
            f"executor {'simulated' if was_simulated[-1] else 'processes or inline'}, or start a new run"
        )


def list_executor_warnings(config: ExecutorConfig, workers: int) -> list[str]:
    """Return the warnings about the executor of a new run."""
    if not config.is_simulated:
        return []
    return [
        f"time is virtual: nothing is trained, each trial takes the benchmark's duration on one of {workers:,} simulated "
        "workers, and hours, prices and forecasts are in virtual time"
    ]
