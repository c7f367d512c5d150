"""An executor that simulates workers in virtual time, to predict how a search would run on other machines.

Controller, strategy and schedule are the same as with real workers. Only the clock is a `VirtualClock`, which this
executor advances from event to event. How long a simulation takes does not depend on the number of simulated workers.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ogive.errors import JobError
from ogive.run.executor import Assignment, Executor, Listener, Outcome
from ogive.run.outcome import classify
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.schedule.base import Action
from ogive.seeds import generator
from ogive.trial import Status, Step, count_steps

SimulatedReport = tuple[Step, Mapping[str, float], float]
"""A simulated report: its step (counted from 1, as in a train function), its metrics, and the seconds since the previous
report, on a worker without faults.
"""

SimulateTrial = Callable[[Assignment], Iterator[SimulatedReport]]
"""A function that returns the reports of an assignment after step `Assignment.last_reported_step`. They may come from a
table, a fitted model or a distribution. An exception is a failure of the trial, as in a train function.
"""


@dataclass
class VirtualClock:
    """A clock whose time changes only when `seconds` is set.

    Attributes:
        seconds: the time since `start_time`, in seconds.
        start_time: the time of the first event of the journal, in seconds.
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
        startup: the seconds that a worker needs to start, before its first attempt and after each preemption, at least 0.
        spread: the standard deviation of the logarithm of the workers' speeds, at least 0. With 0.1, speeds differ by about
            10%.
        straggle: the share of attempts that take `slowdown` times as long, in [0, 1].
        slowdown: the factor by which a straggling attempt takes longer, at least 1.
        fail: the share of trials whose training fails, in [0, 1]; the step of the failure is drawn uniformly.
        preempt: the expected number of preemptions per hour of work of a worker, at least 0. After a preemption the trial
            needs another attempt, and the work since its last report is lost.

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
class _Attempt:
    """An attempt that a worker is carrying out.

    Attributes:
        assignment: the assignment of the attempt.
        worker: the number of the worker.
        remaining_reports: the remaining reports of the attempt.
        pace: the time that the attempt takes, relative to its time on a worker without faults.
        failing_step: the step at which the attempt fails; None if it does not fail.
        preempted_at: the time at which the worker is preempted, in seconds of virtual time; infinite if it is not preempted.
        last_time: the virtual time of the last report, or of the start of the attempt, in seconds.
        next_event: the next report of the attempt, or its outcome if no report follows.
    """

    assignment: Assignment
    worker: int
    remaining_reports: Iterator[SimulatedReport]
    pace: float
    failing_step: Step | None
    preempted_at: float
    last_time: float
    next_event: SimulatedReport | Outcome = field(default=Outcome(Status.FINISHED))


class SimulatedExecutor(Executor):
    """Simulates a number of workers, and their faults if there are any.

    Args:
        clock: the clock of the controller, which this executor advances.
        simulate: a function that returns the reports of an assignment.
        workers: the number of workers.
        faults: the faults of the workers; None for none.
        seed: the seed of the faults. The faults of a trial depend only on the seed and on the number of the trial.
    """

    is_virtual = True

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
        self._starting = set(range(workers)) if self.faults.startup else set()  # workers that must still start up
        # A heap: the next attempt goes to the idle worker with the lowest number.
        self._idle_workers = list(range(workers))
        self._paces: dict[int, float] = {}
        # A heap of (time, number of the event, attempt). At this time the attempt reports or ends, or its worker is
        # preempted.
        self._events: list[tuple[float, int, _Attempt]] = []
        self._event_count = 0
        self._is_recalled = False

    @property
    def idle_count(self) -> int:
        return len(self._idle_workers)

    def submit(self, assignment: Assignment) -> str:
        worker = heapq.heappop(self._idle_workers)
        faults, begins_at = self.faults, self.clock.seconds
        pace, failing_step, preempted_at = self._get_pace(worker), None, math.inf
        if worker in self._starting:
            self._starting.discard(worker)
            begins_at += faults.startup
        if faults.fail:
            rng = generator(self.seed, "trial", assignment.trial)
            if rng.random() < faults.fail:
                failing_step = int(rng.integers(1, count_steps(assignment.fidelity) + 1))
        if faults.straggle or faults.preempt:
            rng = generator(self.seed, "attempt", assignment.trial, assignment.attempt)
            pace *= faults.slowdown if rng.random() < faults.straggle else 1.0
            preempted_at = (
                begins_at + rng.exponential(SECONDS_PER_HOUR / faults.preempt) if faults.preempt else math.inf
            )
        attempt = _Attempt(
            assignment=assignment,
            worker=worker,
            remaining_reports=self._simulate(assignment),
            pace=pace,
            failing_step=failing_step,
            preempted_at=preempted_at,
            last_time=begins_at,
        )
        self._schedule_next(attempt)
        return f"simulated-{worker}"

    def poll(self, listener: Listener, timeout: float) -> None:
        """Advance the clock from event to event, until a worker becomes idle."""
        idle_count = len(self._idle_workers)
        while self._events and len(self._idle_workers) == idle_count:
            time, _, attempt = heapq.heappop(self._events)
            self.clock.seconds = time
            self._handle_event(attempt, listener)

    def recall(self) -> None:
        self._is_recalled = True

    def close(self) -> None:
        self._events.clear()

    def _get_pace(self, worker: int) -> float:
        """Return the time that a worker takes for an attempt, relative to a worker without faults."""
        if not self.faults.spread:
            return 1.0
        if worker not in self._paces:
            self._paces[worker] = math.exp(generator(self.seed, "worker", worker).normal(0, self.faults.spread))
        return self._paces[worker]

    def _schedule_next(self, attempt: _Attempt) -> None:
        """Schedule the next event of an attempt: a report, its end, or the preemption of its worker."""
        try:
            attempt.next_event = next(attempt.remaining_reports, Outcome(Status.FINISHED))
        except Exception as error:  # noqa: BLE001 - a failure of the trial
            attempt.next_event = classify(error)
        if isinstance(attempt.next_event, Outcome):
            seconds = 0.0
        else:
            _, _, fault_free_seconds = attempt.next_event
            seconds = fault_free_seconds * attempt.pace
        # Events at the same time happen in the order in which they were scheduled.
        self._event_count += 1
        heapq.heappush(
            self._events, (min(attempt.last_time + seconds, attempt.preempted_at), self._event_count, attempt)
        )

    def _handle_event(self, attempt: _Attempt, listener: Listener) -> None:
        """Carry out the event of an attempt at the present time: deliver its report, or end the attempt."""
        now = self.clock.seconds
        seconds = now - attempt.last_time
        if now >= attempt.preempted_at:
            if self.faults.startup:
                self._starting.add(attempt.worker)
            self._end(attempt, Outcome(Status.KILLED, "preempted", seconds=seconds), listener)
        elif isinstance(attempt.next_event, Outcome):
            self._end(attempt, attempt.next_event, listener)
        elif attempt.failing_step is not None and attempt.failing_step <= attempt.next_event[0]:
            self._end(attempt, Outcome(Status.ERROR, "a simulated failure", seconds=seconds), listener)
        else:
            attempt.last_time = now
            step, metrics, _ = attempt.next_event
            answer = listener.on_report(attempt.assignment.trial, step, metrics, seconds)
            if answer is not Action.CONTINUE or step >= attempt.assignment.get_last_step(metrics):
                self._end(attempt, Outcome(Status.FINISHED), listener)
            elif self._is_recalled:
                self._end(attempt, Outcome(Status.WAITING, "interrupted"), listener)
            else:
                self._schedule_next(attempt)

    def _end(self, attempt: _Attempt, outcome: Outcome, listener: Listener) -> None:
        heapq.heappush(self._idle_workers, attempt.worker)
        listener.on_end(attempt.assignment.trial, outcome)
