"""Where trials are carried out: the executors by name, and what `simulated` takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ogive.bench.benchmark_estimator import BenchmarkEstimator
from ogive.errors import JobError, RunError
from ogive.executors.simulated import FaultModel, Next, Simulated, VirtualClock
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment
from ogive.space import Space

EXECUTORS = ("processes", "inline", "simulated")
SIMULATED = "simulated"
OPTIONS = (*(field.name for field in fields(FaultModel)), "seed")

NO_FAULTS = FaultModel()

ExecutorSpec = str | Mapping[str, Any]
"""A name, or {"simulated": {option: value}}."""


@dataclass(frozen=True)
class ExecutorConfig:
    """Where trials are carried out; made by `places_of`.

    Attributes:
        name: of the executor.
        faults: what befalls simulated workers.
        seed: of the faults; None for that of the search.
    """

    name: str
    faults: FaultModel = NO_FAULTS
    seed: int | None = None

    @property
    def simulated(self) -> bool:
        return self.name == SIMULATED

    def journalled(self) -> dict[str, Any]:
        """What a session's first event tells of it."""
        return {SIMULATED: {**asdict(self.faults), "seed": self.seed}} if self.simulated else {}


def executor_config(spec: ExecutorSpec) -> ExecutorConfig:
    """Read "name" or {"simulated": {option: value}}; the options are those of `FaultModel`, and `seed`.

    Raises:
        JobError: there is no such executor or option, or a value is out of its range.
    """
    name, options = next(iter(spec.items())) if isinstance(spec, Mapping) and len(spec) == 1 else (spec, None)
    if name not in EXECUTORS:
        raise JobError(f"executor: found {spec!r}; allowed: {', '.join(EXECUTORS)}, or {{simulated: {{startup: 30}}}}")
    if not options:
        return ExecutorConfig(name)
    if name != SIMULATED or not isinstance(options, Mapping) or not options.keys() <= set(OPTIONS):
        raise JobError(f"executor: found {spec!r}; only `simulated` has options: {', '.join(OPTIONS)}")
    given = dict(options)
    seed = given.pop("seed", None)
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise JobError(f"executor: seed={seed!r} of simulated workers: a whole number, at least 0")
    try:
        return ExecutorConfig(name, FaultModel(**given), seed)
    except JobError as error:
        raise JobError(f"executor: {error}") from error


def check_simulated_times(places: ExecutorConfig, estimator: Estimator) -> None:
    """See that simulated workers know how long a trial takes.

    Raises:
        JobError: nobody does.
    """
    if places.simulated and not isinstance(estimator, BenchmarkEstimator):
        raise JobError(
            f"executor: 'simulated' needs to know how long each trial takes, and a {type(estimator).__name__} tells it "
            "only by training; allowed: the estimator of a benchmark, og.bench.estimator(problem); else use 'processes'"
        )


def simulated(
    places: ExecutorConfig, clock: VirtualClock, space: Space, estimator: Estimator, workers: int, seed: int
) -> Simulated:
    """Workers that answer as the estimator does, after the seconds that its table tells. `seed`: of the search."""
    assert isinstance(estimator, BenchmarkEstimator)  # `check_known` has seen to it
    problem = estimator.problem

    def course(given: Assignment) -> Iterator[Next]:
        architecture, spent = space.architecture(given.choices), 0.0
        for seen in problem.evaluate(architecture, given.fidelity, given.seed):
            spent += seen.seconds
            if seen.step > given.reported:
                yield seen.step, {**seen.metrics, "seconds": spent}, seen.seconds

    own_seed = seed if places.seed is None else places.seed
    return Simulated(clock, course, workers, faults=places.faults, seed=own_seed)


def check_same_time(places: ExecutorConfig, events: Sequence[Event], folder: object) -> None:
    """See that the sessions of a run, `events` so far, are all simulated or all not: their times are added up.

    Raises:
        RunError: they would not be.
    """
    former = [SIMULATED in event.data for event in events if event.kind is Kind.OPENED]
    if former and former[-1] != places.simulated:
        was, now = ("virtual", "real") if former[-1] else ("real", "virtual")
        raise RunError(
            f"the time of the run in {folder} is {was}, and would be {now} with executor={places.name!r}; give "
            f"{'the executor simulated' if former[-1] else 'processes or inline'}, or start a new run"
        )


def executor_warnings(places: ExecutorConfig, workers: int) -> list[str]:
    """What a user who begins a run should know."""
    if not places.simulated:
        return []
    return [
        f"time is virtual: nothing is trained, each trial takes the seconds that the benchmark tells on one of {workers:,} "
        "simulated workers, and hours, costs and forecasts are of that time"
    ]
