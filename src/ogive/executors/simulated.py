"""An executor of simulated workers in virtual time: it shows what a search would do on machines that do not exist.

Controller, strategy and schedule are the same as on real workers. Only the clock is a `VirtualClock`, which this
executor moves from event to event. The cost of a simulation does not depend on the number of workers.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ogive.errors import JobError
from ogive.run.executor import Assignment, Executor, Listener, Outcome
from ogive.run.outcome import classify
from ogive.run.spending import HOUR
from ogive.schedule.base import Action
from ogive.seeds import generator
from ogive.trial import Status, Step, steps_of

SimulatedReport = tuple[Step, Mapping[str, float], float]
"""A simulated report: its step (from 1, as a train function counts), its metrics, and the seconds since the previous
report on a worker without faults.
"""

SimulateTrial = Callable[[Assignment], Iterator[SimulatedReport]]
"""Returns the reports of an assignment after the step `Assignment.reported`: from a table, a fitted model, or a
distribution. An exception is a failure of the trial, as in a train function.
"""


@dataclass
class VirtualClock:
    """A clock that stands still until it is moved.

    Attributes:
        seconds: the time since `began`, in seconds.
        began: the time of the first event of the journal, in seconds.
    """

    seconds: float = 0.0
    start_time: float = 0.0

    def now(self) -> float:
        return self.start_time + self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class FaultModel:
    """The faults of simulated workers; by default there are none.

    Attributes:
        startup: seconds before a worker's first job, and again after a preemption, at least 0.
        spread: standard deviation of the logarithm of the workers' speeds, at least 0; 0.1 means a difference of about 10 %.
        straggle: the share of jobs that take `slowdown` times as long, in [0, 1].
        slowdown: how many times as long a straggling job takes, at least 1.
        fail: the share of trials whose training fails, in [0, 1]; the step is drawn uniformly.
        preempt: preemptions for each hour of a worker's work, at least 0. The trial then needs another attempt, and the work
            since its last report is lost.

    Raises:
        JobError: a value is out of its range.
    """

    startup: float = 0.0
    spread: float = 0.0
    straggle: float = 0.0
    slowdown: float = 3.0
    fail: float = 0.0
    preempt: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("startup", 0, math.inf),
            ("spread", 0, math.inf),
            ("straggle", 0, 1),
            ("slowdown", 1, math.inf),
            ("fail", 0, 1),
            ("preempt", 0, math.inf),
        ):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise JobError(f"{name}={value!r} of simulated workers: a number from {low} to {high}")


@dataclass
class _Job:
    """A job that a worker is carrying out.

    Attributes:
        trajectory: its remaining reports.
        pace: seconds that it takes for each second of a worker without faults.
        failing_step: the step at which it fails; None if it does not.
        preempted_at: when the worker is preempted, in seconds of virtual time; infinite if it is not.
        last_time: the virtual time of its last report, or of its start, in seconds.
        next: what happens next: a report, or its end.
    """

    assignment: Assignment
    worker: int
    trajectory: Iterator[SimulatedReport]
    pace: float
    failing_step: Step | None
    preempted_at: float
    last_time: float
    next: SimulatedReport | Outcome = field(default=Outcome(Status.FINISHED))


class SimulatedExecutor(Executor):
    """A number of simulated workers.

    Args:
        clock: the clock of the controller, which this executor moves.
        simulate: returns the reports of an assignment.
        workers: the number of workers.
        faults: the faults of the workers; None for none.
        seed: the seed of the faults. The faults of a trial depend only on the seed and on the number of the trial.
    """

    virtual = True

    def __init__(
        self,
        clock: VirtualClock,
        simulate: SimulateTrial,
        workers: int,
        *,
        faults: FaultModel | None = None,
        seed: int = 0,
    ) -> None:
        self.clock, self.faults, self.seed = clock, faults or FaultModel(), seed
        self._simulate = simulate
        self._starting = set(range(workers)) if self.faults.startup else set()  # workers that have still to start up
        self._free = list(range(workers))  # a heap: the idle worker with the lowest number is next
        self._pace: dict[int, float] = {}
        self._events: list[
            tuple[float, int, _Job]
        ] = []  # a heap of (time, order, job): it reports, ends, or is preempted
        self._order = 0
        self._recalled = False

    @property
    def idle(self) -> int:
        return len(self._free)

    def submit(self, assignment: Assignment) -> str:
        worker = heapq.heappop(self._free)
        faults, now = self.faults, self.clock.seconds
        pace, failing_step, preempted_at = self._pace_of(worker), None, math.inf
        if worker in self._starting:
            self._starting.discard(worker)
            now += faults.startup
        if faults.fail:
            rng = generator(self.seed, "trial", assignment.trial)
            if rng.random() < faults.fail:
                failing_step = int(rng.integers(1, steps_of(assignment.fidelity) + 1))
        if faults.straggle or faults.preempt:
            rng = generator(self.seed, "attempt", assignment.trial, assignment.attempt)
            pace *= faults.slowdown if rng.random() < faults.straggle else 1.0
            preempted_at = now + rng.exponential(HOUR / faults.preempt) if faults.preempt else math.inf
        job = _Job(
            assignment=assignment,
            worker=worker,
            trajectory=self._simulate(assignment),
            pace=pace,
            failing_step=failing_step,
            preempted_at=preempted_at,
            last_time=now,
        )
        self._schedule_next(job)
        return f"simulated-{worker}"

    def poll(self, listener: Listener, timeout: float) -> None:
        """Move the clock from event to event, until a worker becomes idle."""
        free = len(self._free)
        while self._events and len(self._free) == free:
            time, _, job = heapq.heappop(self._events)
            self.clock.seconds = time
            self._handle_event(job, listener)

    def recall(self) -> None:
        self._recalled = True

    def close(self) -> None:
        self._events.clear()

    def _pace_of(self, worker: int) -> float:
        """Return the seconds that a worker takes for each second of a worker without faults."""
        if not self.faults.spread:
            return 1.0
        if worker not in self._pace:
            self._pace[worker] = math.exp(generator(self.seed, "worker", worker).normal(0, self.faults.spread))
        return self._pace[worker]

    def _schedule_next(self, job: _Job) -> None:
        """Schedule the next event of a job: a report, its end, or the preemption of its worker."""
        try:
            job.next = next(job.trajectory, Outcome(Status.FINISHED))
        except Exception as error:  # noqa: BLE001 - a failure of the trial
            job.next = classify(error)
        seconds = 0.0 if isinstance(job.next, Outcome) else job.next[2] * job.pace
        # Events at the same time happen in the order in which they were scheduled.
        self._order += 1
        heapq.heappush(self._events, (min(job.last_time + seconds, job.preempted_at), self._order, job))

    def _handle_event(self, job: _Job, listener: Listener) -> None:
        now = self.clock.seconds
        seconds = now - job.last_time
        if now >= job.preempted_at:
            if self.faults.startup:
                self._starting.add(job.worker)
            self._end(job, Outcome(Status.KILLED, "preempted", seconds=seconds), listener)
        elif isinstance(job.next, Outcome):
            self._end(job, job.next, listener)
        elif job.failing_step is not None and job.failing_step <= job.next[0]:
            self._end(job, Outcome(Status.ERROR, "a simulated failure", seconds=seconds), listener)
        else:
            job.last_time = now
            step, metrics, _ = job.next
            answer = listener.on_report(job.assignment.trial, step, metrics, seconds)
            if answer is not Action.CONTINUE or step >= job.assignment.last_step(metrics):
                self._end(job, Outcome(Status.FINISHED), listener)
            elif self._recalled:
                self._end(job, Outcome(Status.WAITING, "interrupted"), listener)
            else:
                self._schedule_next(job)

    def _end(self, job: _Job, outcome: Outcome, listener: Listener) -> None:
        heapq.heappush(self._free, job.worker)
        listener.on_end(job.assignment.trial, outcome)
