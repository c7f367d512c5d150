"""The measurement of durations: random architectures of the job are trained briefly in fresh workers, as a search would.

With k workers a trial, W // k trials train at a time, as in a search with W workers, so the durations include what parallel
trials on one machine cost each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from ogive.errors import JobError
from ogive.executors.processes import ProcessExecutor
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
"""Epochs of each: the first of an attempt, and two later ones."""
CANDIDATES = 5
"""Architectures that are sampled for each that is timed, because some cannot be trained."""
SAMPLES_EACH = 20
"""Samples that are drawn for each candidate, because some are not allowed."""
SLOWER = 1.25
"""The ratio of epoch times from which more workers count as slower. Then two trials are enough, and larger numbers of
workers are not measured."""
POLL_SECONDS = 0.5

Say = Callable[[str], object]


def list_sizes(workers: int) -> list[int]:
    """Return the numbers of workers to measure with: the powers of two up to `workers`, and `workers` itself."""
    sizes = [1]
    while sizes[-1] * 2 <= workers:
        sizes.append(sizes[-1] * 2)
    return sizes if sizes[-1] == workers else [*sizes, workers]


def measure_durations(
    space: Space,
    payload: Path,
    folder: Path,
    *,
    workers: int,
    unit: str = "threads",
    epochs: int | None,
    trials: int = TRIALS,
    epochs_each: int = EPOCHS,
    seed: int = 0,
    is_allowed: Callable[[Architecture], bool] = lambda architecture: True,
    time_limit: float | None = None,
    startup_limit: float | None = STARTUP_SECONDS,
    say: Say = lambda message: None,
) -> Timings:
    """Time some architectures with every number of workers of `list_sizes(workers)`, the same architectures with each.

    Args:
        space: from which the architectures are sampled.
        payload: the file from which workers load the space and the estimator.
        folder: for the trials; the caller deletes it.
        workers: of the search, in total.
        unit: "threads" of a CPU, or "devices".
        epochs: of a trial of the job; None if the estimator has no epochs, and a whole evaluation is timed.
        trials: the least number of architectures; more are timed if more train at a time.
        epochs_each: of each architecture.
        seed: of the sample.
        is_allowed: whether a search would train an architecture.
        time_limit: of a trial, in seconds.
        startup_limit: the longest time in which a worker must have loaded code and data, in seconds.
        say: receives messages on the progress.

    Raises:
        RunError: the workers cannot start.
        JobError: no architecture can be trained.
    """
    until = min(epochs_each, epochs) if epochs else None
    candidates = _sample_candidates(space, max(trials, workers) * CANDIDATES, seed, is_allowed)
    watches: list[_Stopwatch] = []
    notes: list[str] = []
    for size in list_sizes(workers):
        parallel_trials = workers // size
        # With fewer trials some workers would be idle, and the trials would slow each other down less than in a search.
        count = max(trials, parallel_trials)
        say(
            f"measuring {plural(count, 'architecture')}, {parallel_trials} at a time with {size} of {workers} {unit} each"
        )
        (size_folder := folder / f"{size}").mkdir(parents=True)
        watch = _Stopwatch(size, until or 1, time.monotonic())
        options = {"threads": size} if unit == "threads" else {"ranks": size}
        executor = ProcessExecutor(
            payload, size_folder, parallel_trials, time_limit=time_limit, startup_limit=startup_limit, **options
        )
        previous = watches[-1] if watches else None
        try:
            _wait_until_ready(executor, watch, parallel_trials)
            # Every number of workers trains the architectures that the first one could train.
            names = watches[0].completed[:count] if watches else candidates
            queue = [(name, candidates[name]) for name in names]
            _train(
                executor,
                watch,
                queue,
                until,
                count=min(count, len(queue)),
                folder=size_folder,
                previous=previous,
            )
        finally:
            executor.close()
        if not watch.completed and not watches:
            raise JobError(
                f"none of {len(candidates)} sampled architectures could be trained; the last reason: {watch.reason}"
            )
        watches.append(watch)
        if previous is not None and watch.is_slower_than(previous):
            notes.append(f"with {size} {unit} an epoch takes longer than with {previous.workers}")
            break
    measured = ", ".join(str(watch.workers) for watch in watches)
    trained = f"{len(watches[0].completed)} random architectures, {plural(until or 1, 'epoch')} each"
    return Timings(
        epochs=tuple(epoch for watch in watches for epoch in watch.list_epochs()),
        start_ups=tuple(watch.start_up() for watch in watches),
        unit=unit,
        source=f"measured here: {trained}, with {measured} {unit}",
        notes=tuple(notes),
    )


def measure_start_up(
    payload: Path, folder: Path, workers: int, threads: int, limit: float | None = STARTUP_SECONDS
) -> float:
    """Return the seconds until `workers` fresh workers, started together, are ready for their first trials.

    Args:
        payload: the file from which workers load the space and the estimator.
        folder: for their files.
        workers: how many.
        threads: of each.
        limit: the longest time, in seconds; None for no limit.

    Raises:
        RunError: they cannot start, or not within the limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    watch = _Stopwatch(threads, 1, time.monotonic())
    executor = ProcessExecutor(payload, folder, workers, threads=threads, startup_limit=limit)
    try:
        _wait_until_ready(executor, watch, workers)
    finally:
        executor.close()
    return max(watch.ready)


def _sample_candidates(
    space: Space, count: int, seed: int, is_allowed: Callable[[Architecture], bool]
) -> Mapping[str, Architecture]:
    """Return up to `count` different random architectures that are allowed, by their ids.

    Raises:
        JobError: none of the samples is allowed.
    """
    candidates: dict[str, Architecture] = {}
    for index in range(count * SAMPLES_EACH):
        architecture = space.sample(generator(seed, "plan", index))
        if architecture.id not in candidates and is_allowed(architecture):
            candidates[architecture.id] = architecture
        if len(candidates) == count:
            break
    if not candidates:
        raise JobError(
            f"none of {count * SAMPLES_EACH} sampled architectures satisfies the hard constraints: loosen them"
        )
    return candidates


@dataclass
class _Stopwatch:
    """Times the trials of an executor with one number of workers a trial; the executor's listener.

    Attributes:
        workers: of each trial.
        until: epochs of each trial.
        begin: when the workers were started, by the monotonic clock.
        ready: seconds after which each worker was ready.
        epochs: in the order of their reports.
        first_trials: the first trial of each worker, by worker.
        completed: the trials that reached `until`.
        reason: why the last trial that failed did so, or the last warning.
    """

    workers: int
    until: Step
    begin: float
    ready: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    first_trials: dict[str, str] = field(default_factory=dict)
    completed: list[str] = field(default_factory=list)
    reason: str = ""
    _running: dict[TrialId, tuple[str, float]] = field(default_factory=dict)  # name, and the time of the last report

    @property
    def running(self) -> int:
        """The number of running trials."""
        return len(self._running)

    def start(self, trial: TrialId, name: str, worker: str) -> None:
        """Take the time at which a trial starts on a worker."""
        self.first_trials.setdefault(worker, name)
        self._running[trial] = name, time.monotonic()

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        name, last = self._running[trial]
        now = time.monotonic()
        first = all(epoch.trial != name for epoch in self.epochs)
        self.epochs.append(
            Epoch(
                trial=name,
                workers=self.workers,
                epoch=step,
                seconds=now - last,
                first=first,
                metrics=dict(metrics),
            )
        )
        self._running[trial] = name, now
        return Action.CONTINUE if step < self.until else Action.STOP

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        name, _ = self._running.pop(trial)
        if any(epoch.trial == name and epoch.epoch >= self.until for epoch in self.epochs):
            self.completed.append(name)
        else:
            self.reason = outcome.reason or outcome.status.value

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        self.reason = message

    def is_slower_than(self, other: _Stopwatch) -> bool:
        """Return whether the trials that both have timed take clearly longer here."""
        common = [name for name in self.completed if name in other.completed]
        ratios = [median(self._later_epochs(name)) / median(other._later_epochs(name)) for name in common]
        return len(ratios) > 1 and median(ratios) > SLOWER

    def list_epochs(self) -> list[Epoch]:
        """Return the epochs of the completed trials, without the first epochs of fresh workers.

        Those include loading and compiling, which belong to the start-up. If only one epoch is measured, it is kept.
        """
        fresh = set(self.first_trials.values()) if self.until > 1 else set()
        return [e for e in self.epochs if e.trial in self.completed and not (e.first and e.trial in fresh)]

    def start_up(self) -> StartUp:
        """Return the start-up of a worker: the time until it is ready, and the extra time of its first trial.

        The extra time is that of its first epoch compared with those of later trials. Workers that start together slow each
        other down, so they give one value, the median.
        """
        extras = {name: self._extra_seconds(name) for name in self.completed}
        warm = [extra for name, extra in extras.items() if name not in self.first_trials.values()]
        usual = median(warm) if warm else 0.0
        cold = [
            max(0.0, extras[name] - usual) for name in self.first_trials.values() if name in extras and self.until > 1
        ]
        return StartUp(self.workers, median(self.ready) + (mean(cold) if cold else 0.0))

    def _extra_seconds(self, name: str) -> float:
        """Return by how many seconds the first epoch of a trial took longer than its later ones."""
        first = next(epoch.seconds for epoch in self.epochs if epoch.trial == name)
        return max(0.0, first - median(self._later_epochs(name)))

    def _later_epochs(self, name: str) -> list[float]:
        seconds = [epoch.seconds for epoch in self.epochs if epoch.trial == name]
        return seconds[1:] or seconds


def _wait_until_ready(executor: ProcessExecutor, watch: _Stopwatch, count: int) -> None:
    """Wait until all `count` workers are ready."""
    while len(watch.ready) < count:
        executor.poll(watch, POLL_SECONDS)
        watch.ready += [time.monotonic() - watch.begin] * (executor.idle - len(watch.ready))


def _train(
    executor: ProcessExecutor,
    watch: _Stopwatch,
    queue: list[tuple[str, Architecture]],
    until: Step | None,
    *,
    count: int,
    folder: Path,
    previous: _Stopwatch | None,
) -> None:
    """Train architectures from the front of `queue` until `count` are completed, or are clearly slower than `previous`."""
    number = 0
    while True:
        enough = previous is not None and watch.is_slower_than(previous)
        while executor.idle and queue and not enough and len(watch.completed) + watch.running < count:
            name, architecture = queue.pop(0)
            assignment = Assignment(
                trial=number,
                attempt=1,
                choices=architecture.to_json(),
                id=name,
                fidelity={} if until is None else {"epochs": until},
                seed=derive(0, "plan", name),
                folder=str(folder / "trials" / f"{number:06d}"),
                settings={},
            )
            watch.start(number, name, executor.submit(assignment))
            number += 1
        if not watch.running:
            return
        executor.poll(watch, POLL_SECONDS)
