"""Simulated workers in virtual time: what a search would do on machines that are not there.

The same controller, strategy and schedule run as on real workers; only the clock is a `VirtualClock`, which this executor
moves from event to event. Ten thousand workers cost no more than one.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ogive.errors import JobError
from ogive.run.executor import Assignment, Executor, Listener, Outcome
from ogive.run.outcome import classify
from ogive.schedule.base import Action
from ogive.seeds import generator
from ogive.trial import Status, Step, until

Next = tuple[Step, Mapping[str, float], float]
"""A report: its step, counted from 1 as a train function counts them, its metrics, and the seconds since the former report
on an undisturbed worker.
"""

Judge = Callable[[Assignment], Iterator[Next]]
"""How a job goes on after the step that `Assignment.reported` says: from a table, a fitted model, or a distribution. What it
raises is a failure of the trial, as what a train function raises.
"""


@dataclass
class VirtualClock:
    """A clock that stands still until it is moved; in seconds since `began`, the time of a journal's first event."""

    seconds: float = 0.0
    began: float = 0.0

    def now(self) -> float:
        return self.began + self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class FaultModel:
    """What can befall simulated workers. The defaults disturb nothing.

    Attributes:
        startup: seconds before a worker's first job, and again after a preemption.
        spread: standard deviation of the logarithm of the workers' speeds; 0.1 is about 10 % between them.
        straggle: the share of jobs, in [0, 1], that take `slowdown` times as long.
        slowdown: at least 1.
        fail: the share of trials, in [0, 1], whose training fails, at a step drawn uniformly.
        preempt: preemptions in an hour of a worker's work; the trial is put back, and its unreported work is lost.

    Raises:
        JobError: a value out of its range.
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
    """A job on a worker, as far as it has come."""

    assignment: Assignment
    worker: int
    course: Iterator[Next]
    pace: float  # seconds here for a second of an undisturbed worker
    fails: Step  # 0: it does not
    preempted: float  # when, in virtual time
    began: float
    next: Next | Outcome = field(default=Outcome(Status.FINISHED))


class Simulated(Executor):
    """`workers` simulated workers under `faults`; what happens to a trial depends on `seed` and its number alone."""

    virtual = True

    def __init__(
        self, clock: VirtualClock, judge: Judge, workers: int, faults: FaultModel | None = None, seed: int = 0
    ) -> None:
        self.clock, self.judge, self.faults, self.seed = clock, judge, faults or FaultModel(), seed
        self._cold = set(range(workers)) if self.faults.startup else set()
        self._free = list(range(workers))  # a heap: the lowest number works first
        self._speed: dict[int, float] = {}
        self._events: list[tuple[float, int, _Job]] = []  # (time, order, job): it reports, ends, or is preempted
        self._order = 0
        self._recalled = False

    @property
    def idle(self) -> int:
        return len(self._free)

    def submit(self, assignment: Assignment) -> str:
        worker = heapq.heappop(self._free)
        faults, now = self.faults, self.clock.seconds
        pace, fails, preempted = self._pace(worker), 0, math.inf
        if worker in self._cold:
            self._cold.discard(worker)
            now += faults.startup
        if faults.fail:
            rng = generator(self.seed, "trial", assignment.trial)
            if rng.random() < faults.fail:
                fails = int(rng.integers(1, until(assignment.fidelity) + 1))
        if faults.straggle or faults.preempt:
            rng = generator(self.seed, "attempt", assignment.trial, assignment.attempt)
            pace *= faults.slowdown if rng.random() < faults.straggle else 1.0
            preempted = now + rng.exponential(3600 / faults.preempt) if faults.preempt else math.inf
        job = _Job(assignment, worker, self.judge(assignment), pace, fails, preempted, now)
        self._go_on(job)
        return f"simulated-{worker}"

    def poll(self, listener: Listener, timeout: float) -> None:
        """Go through what happens up to the moment when a worker becomes idle."""
        free = len(self._free)
        while self._events and len(self._free) == free:
            time, _, job = heapq.heappop(self._events)
            self.clock.seconds = time
            self._happen(job, listener)

    def recall(self) -> None:
        self._recalled = True

    def close(self) -> None:
        self._events.clear()

    def _pace(self, worker: int) -> float:
        if not self.faults.spread:
            return 1.0
        if worker not in self._speed:
            self._speed[worker] = math.exp(generator(self.seed, "worker", worker).normal(0, self.faults.spread))
        return self._speed[worker]

    def _go_on(self, job: _Job) -> None:
        """The job's next event: a report, its end, or its preemption."""
        try:
            job.next = next(job.course, Outcome(Status.FINISHED))
        except Exception as error:  # noqa: BLE001 - failure is an input, here as anywhere
            job.next = classify(error)
        seconds = 0.0 if isinstance(job.next, Outcome) else job.next[2] * job.pace
        self._order += 1
        heapq.heappush(self._events, (min(job.began + seconds, job.preempted), self._order, job))

    def _happen(self, job: _Job, listener: Listener) -> None:
        now = self.clock.seconds
        spent = now - job.began
        if now >= job.preempted:
            if self.faults.startup:
                self._cold.add(job.worker)
            self._end(job, Outcome(Status.KILLED, "preempted", "", spent), listener)
        elif isinstance(job.next, Outcome):
            self._end(job, job.next, listener)
        elif 0 < job.fails <= job.next[0]:
            self._end(job, Outcome(Status.ERROR, "a simulated failure", "", spent), listener)
        else:
            job.began = now
            step, metrics, _ = job.next
            answer = listener.on_report(job.assignment.trial, step, metrics, spent)
            if answer is not Action.CONTINUE or step >= job.assignment.last_step(metrics):
                self._end(job, Outcome(Status.FINISHED), listener)
            elif self._recalled:
                self._end(job, Outcome(Status.WAITING, "interrupted"), listener)
            else:
                self._go_on(job)

    def _end(self, job: _Job, outcome: Outcome, listener: Listener) -> None:
        heapq.heappush(self._free, job.worker)
        listener.on_end(job.assignment.trial, outcome)
