"""Durations measured here: random architectures of the job, trained briefly in fresh workers, as a search would train them.

With k workers a trial, as many trials train at a time as a search of W workers would have (W // k): what trials take from
each other on one machine is in the numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from ogive.errors import JobError
from ogive.executors.processes import Processes
from ogive.formatting import plural
from ogive.planner.timings import Epoch, StartUp, Timings
from ogive.run.executor import STARTUP_SECONDS, Assignment, Outcome
from ogive.schedule.base import Action
from ogive.seeds import derive, generator
from ogive.space import Architecture, Space
from ogive.trial import Step, TrialId

TRIALS = 6
"""Architectures that are timed."""
EPOCHS = 3
"""Epochs of each: the first, which an attempt begins with, and two like those that follow."""
DRAWS, ATTEMPTS = 5, 20
"""Architectures drawn for each that is timed: some cannot be trained. For each of them as many attempts: some are not
allowed."""
SLOWER = 1.25
"""Where epochs take so many times as long with more workers, two trials are enough to see it, and more are not tried."""
POLL_SECONDS = 0.5

Say = Callable[[str], object]


def sizes(workers: int) -> list[int]:
    """The numbers of workers to measure with: powers of two up to `workers`, and `workers` itself."""
    found = [1]
    while found[-1] * 2 <= workers:
        found.append(found[-1] * 2)
    return found if found[-1] == workers else [*found, workers]


def measure_durations(
    space: Space,
    payload: Path,
    folder: Path,
    *,
    workers: int,
    unit: str = "threads",
    epochs: int | None,
    trials: int = TRIALS,
    each: int = EPOCHS,
    seed: int = 0,
    allowed: Callable[[Architecture], bool] = lambda architecture: True,
    time_limit: float | None = None,
    startup_limit: float | None = STARTUP_SECONDS,
    say: Say = lambda message: None,
) -> Timings:
    """Time some architectures with every number of workers of `sizes(workers)`, the same ones with each.

    Args:
        space: to draw from.
        payload: the file from which workers load the space and the estimator.
        folder: for the trials; its owner deletes it.
        workers: of the search, all together.
        unit: "threads" of a CPU, or "devices".
        epochs: how far the job trains; None where there are no epochs, and a whole evaluation is timed.
        trials: how many architectures, at least: as many as train at a time, where those are more.
        each: epochs of each.
        seed: of the architectures.
        allowed: whether a search would train an architecture.
        time_limit: seconds of one trial.
        startup_limit: seconds that a worker may take to load code and data.
        say: told what is being done.

    Raises:
        RunError: the workers cannot start.
        JobError: no architecture can be trained.
    """
    until = min(each, epochs) if epochs else None
    drawn = _drawn(space, max(trials, workers) * DRAWS, seed, allowed)
    found: list[_Stopwatch] = []
    notes: list[str] = []
    for size in sizes(workers):
        at_a_time = workers // size
        wanted = max(trials, at_a_time)  # fewer would leave places empty, and take less from each other than a search's
        say(f"measuring {plural(wanted, 'architecture')}, {at_a_time} at a time with {size} of {workers} {unit} each")
        (own := folder / f"{size}").mkdir(parents=True)
        watch = _Stopwatch(size, until or 1, time.monotonic())
        given = {"threads": size} if unit == "threads" else {"ranks": size}
        places = Processes(payload, own, at_a_time, time_limit=time_limit, startup_limit=startup_limit, **given)
        try:
            _wait(places, watch, at_a_time)
            queue = [(name, drawn[name]) for name in (found[0].done[:wanted] if found else drawn)]
            _train(places, watch, queue, until, min(wanted, len(queue)), own, found[-1] if found else None)
        finally:
            places.close()
        if not watch.done and not found:
            raise JobError(f"none of {len(drawn)} sampled architectures could be trained; the last: {watch.reason}")
        found.append(watch)
        if len(found) > 1 and watch.slower(found[-2]):
            notes.append(f"with {size} {unit} an epoch takes longer than with {found[-2].workers}")
            break
    measured = ", ".join(str(watch.workers) for watch in found)
    trained = f"{len(found[0].done)} random architectures, {plural(until or 1, 'epoch')} each"
    return Timings(
        tuple(epoch for watch in found for epoch in watch.warm()),
        tuple(start for watch in found for start in watch.start_ups()),
        unit,
        f"measured here: {trained}, with {measured} {unit}",
        tuple(notes),
    )


def start_up(payload: Path, folder: Path, workers: int, threads: int, limit: float | None = STARTUP_SECONDS) -> float:
    """Seconds until `workers` fresh workers, started together, are ready: what a search waits before its first trials.

    Raises:
        RunError: they cannot start, or not within `limit` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    watch = _Stopwatch(threads, 1, time.monotonic())
    places = Processes(payload, folder, workers, threads=threads, startup_limit=limit)
    try:
        _wait(places, watch, workers)
    finally:
        places.close()
    return max(watch.ready)


def _drawn(space: Space, count: int, seed: int, allowed: Callable[[Architecture], bool]) -> Mapping[str, Architecture]:
    """Different random architectures that are allowed, by their identities: up to `count`."""
    found: dict[str, Architecture] = {}
    for index in range(count * ATTEMPTS):
        architecture = space.sample(generator(seed, "plan", index))
        if architecture.id not in found and allowed(architecture):
            found[architecture.id] = architecture
        if len(found) == count:
            break
    if not found:
        raise JobError(f"none of {count * ATTEMPTS} sampled architectures satisfies the hard constraints: loosen them")
    return found


@dataclass
class _Stopwatch:
    """Takes the time of what an executor tells.

    Attributes:
        workers: given to each trial.
        until: epochs of each.
        began: when the workers were started.
        ready: seconds that each took to be ready.
        epochs: in the order of their reports.
        cold: trials that were the first of a fresh worker.
        done: those that came to their end.
        reason: why the last that did not, did not.
    """

    workers: int
    until: Step
    began: float
    ready: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    cold: dict[str, str] = field(default_factory=dict)  # by worker
    done: list[str] = field(default_factory=list)
    reason: str = ""
    _running: dict[TrialId, tuple[str, float]] = field(default_factory=dict)  # name, and when it was last heard of

    @property
    def running(self) -> int:
        return len(self._running)

    def begin(self, trial: TrialId, name: str, worker: str) -> None:
        self.cold.setdefault(worker, name)
        self._running[trial] = name, time.monotonic()

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        name, last = self._running[trial]
        now = time.monotonic()
        first = all(epoch.trial != name for epoch in self.epochs)
        self.epochs.append(Epoch(name, self.workers, step, now - last, first, dict(metrics)))
        self._running[trial] = name, now
        return Action.CONTINUE if step < self.until else Action.STOP

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        name, _ = self._running.pop(trial)
        if any(epoch.trial == name and epoch.epoch >= self.until for epoch in self.epochs):
            self.done.append(name)
        else:
            self.reason = outcome.reason or outcome.status.value

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        self.reason = message

    def slower(self, other: _Stopwatch) -> bool:
        """Whether the trials that both have timed take clearly longer here."""
        both = [name for name in self.done if name in other.done]
        ratios = [median(self._later(name)) / median(other._later(name)) for name in both]
        return len(ratios) > 1 and median(ratios) > SLOWER

    def warm(self) -> list[Epoch]:
        """The epochs of the trials that came to their end, without those that a fresh worker began with: what is loaded
        and compiled then is start-up. A single epoch stays, since nothing tells the two apart.
        """
        fresh = set(self.cold.values()) if self.until > 1 else set()
        return [e for e in self.epochs if e.trial in self.done and not (e.first and e.trial in fresh)]

    def start_ups(self) -> list[StartUp]:
        """Until a worker was ready, and by how much longer than others its first trial took to get going: of those that were
        started together the median, since what slowed one down slowed them all.
        """
        extras = {name: self._extra(name) for name in self.done}
        warm = [extra for name, extra in extras.items() if name not in self.cold.values()]
        usual = median(warm) if warm else 0.0
        cold = [max(0.0, extras[name] - usual) for name in self.cold.values() if name in extras and self.until > 1]
        return [StartUp(self.workers, median(self.ready) + (mean(cold) if cold else 0.0))]

    def _extra(self, name: str) -> float:
        first = next(epoch.seconds for epoch in self.epochs if epoch.trial == name)
        return max(0.0, first - median(self._later(name)))

    def _later(self, name: str) -> list[float]:
        own = [epoch.seconds for epoch in self.epochs if epoch.trial == name]
        return own[1:] or own


def _wait(places: Processes, watch: _Stopwatch, count: int) -> None:
    """Until every worker is ready."""
    while len(watch.ready) < count:
        places.poll(watch, POLL_SECONDS)
        watch.ready += [time.monotonic() - watch.began] * (places.idle - len(watch.ready))


def _train(
    places: Processes,
    watch: _Stopwatch,
    queue: list[tuple[str, Architecture]],
    until: Step | None,
    wanted: int,
    folder: Path,
    former: _Stopwatch | None,
) -> None:
    """Train from the front of `queue` until `wanted` have come to their end, or it is clear that this is slower."""
    number = 0
    while True:
        enough = former is not None and watch.slower(former)
        while places.idle and queue and not enough and len(watch.done) + watch.running < wanted:
            name, architecture = queue.pop(0)
            fidelity = {} if until is None else {"epochs": until}
            own, seed = str(folder / "trials" / f"{number:06d}"), derive(0, "plan", name)
            assignment = Assignment(
                trial=number,
                attempt=1,
                choices=architecture.to_json(),
                id=name,
                fidelity=fidelity,
                seed=seed,
                folder=own,
            )
            watch.begin(number, name, places.submit(assignment))
            number += 1
        if not watch.running:
            return
        places.poll(watch, POLL_SECONDS)
