"""The measurement of durations: random architectures of the space are trained briefly in fresh workers.

If each trial has k of W workers, W // k trials are trained at a time, as in a search. So the durations include the slowdown
by other trials on the same machine.
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
from ogive.planner.timings import MeasuredEpoch, MeasuredStartUp, Timings
from ogive.run.executor import STARTUP_SECONDS, Assignment, Outcome
from ogive.schedule.base import Action
from ogive.seeds import derive, generator
from ogive.space import Architecture, Space
from ogive.trial import Step, TrialId

MEASURED_TRIALS = 6
"""The default number of measured architectures."""
MEASURED_EPOCHS = 3
"""The default number of epochs of each architecture: the first epoch of an attempt, and two later epochs."""
CANDIDATES_PER_TRIAL = 5
"""The number of candidates for each measured architecture, because some candidates cannot be trained."""
SAMPLES_PER_CANDIDATE = 20
"""The number of samples for each candidate, because some samples violate hard constraints or are duplicates."""
MAX_SLOWDOWN = 1.25
"""If an epoch takes longer by more than this factor than with fewer workers, larger numbers of workers are not measured."""
POLL_SECONDS = 0.5
"""The longest wait for the executor's next event."""

MessageFunction = Callable[[str], object]


def list_sizes(workers: int) -> list[int]:
    """Return the numbers of workers per trial to measure: the powers of two up to `workers`, and `workers` itself."""
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
    trials: int = MEASURED_TRIALS,
    epochs_each: int = MEASURED_EPOCHS,
    seed: int = 0,
    is_allowed: Callable[[Architecture], bool] = lambda architecture: True,
    time_limit: float | None = None,
    startup_limit: float | None = STARTUP_SECONDS,
    say: MessageFunction = lambda message: None,
) -> Timings:
    """Train the same random architectures with each number of workers per trial, and return the durations.

    Args:
        space: the space from which the architectures are sampled.
        payload: the file from which workers load the space and the estimator.
        folder: a folder for the trials, which the caller deletes.
        workers: the total number of workers of the search.
        unit: "threads" of a CPU, or "devices".
        epochs: the epochs of a trial in the search; None if the estimator has no epochs. Then each trial is measured up to
            its first report.
        trials: the least number of architectures. More are measured if more are trained at a time.
        epochs_each: the epochs of each architecture, at most `epochs`.
        seed: the seed of the sample.
        is_allowed: a function that returns whether a search would train an architecture.
        time_limit: the longest compute time of a trial, in seconds; None for no limit.
        startup_limit: the longest time in which a worker must have loaded code and data, in seconds; None for no limit.
        say: receives messages on the progress.

    Raises:
        RunError: the workers cannot start.
        JobError: no architecture can be trained.
    """
    last_epoch = min(epochs_each, epochs) if epochs else None
    candidates = _sample_candidates(space, max(trials, workers) * CANDIDATES_PER_TRIAL, seed, is_allowed)
    watches: list[_Stopwatch] = []
    notes: list[str] = []
    for size in list_sizes(workers):
        parallel_trials = workers // size
        # With fewer trials than this, some workers would be idle, and trials would be slowed down less than in a search.
        count = max(trials, parallel_trials)
        say(
            f"measuring {plural(count, 'architecture')}, {parallel_trials} at a time with {size} of {workers} {unit} each"
        )
        size_folder = folder / f"{size}"
        size_folder.mkdir(parents=True)
        # Without epochs, a trial is stopped after its first report, which is step 1.
        watch = _Stopwatch(size, last_epoch or 1, time.monotonic())
        options = {"threads": size} if unit == "threads" else {"ranks": size}
        executor = ProcessExecutor(
            payload, size_folder, parallel_trials, time_limit=time_limit, startup_limit=startup_limit, **options
        )
        previous = watches[-1] if watches else None
        try:
            _wait_until_ready(executor, watch, parallel_trials)
            # For larger numbers of workers, use the architectures that could be trained with the first number.
            names = watches[0].completed[:count] if watches else candidates
            queue = [(name, candidates[name]) for name in names]
            _train_architectures(
                executor,
                watch,
                queue,
                last_epoch,
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
    sizes = ", ".join(str(watch.workers) for watch in watches)
    architectures = f"{len(watches[0].completed)} random architectures, {plural(last_epoch or 1, 'epoch')} each"
    return Timings(
        epochs=tuple(epoch for watch in watches for epoch in watch.list_epochs()),
        start_ups=tuple(watch.compute_start_up() for watch in watches),
        unit=unit,
        source=f"measured here: {architectures}, with {sizes} {unit}",
        notes=tuple(notes),
    )


def measure_start_up(
    payload: Path, folder: Path, workers: int, threads: int, limit: float | None = STARTUP_SECONDS
) -> float:
    """Start workers at the same time, and return the seconds until all of them are ready for a trial.

    Args:
        payload: the file from which workers load the space and the estimator.
        folder: a folder for the files of the workers.
        workers: the number of workers.
        threads: the number of threads of each worker.
        limit: the longest time, in seconds; None for no limit.

    Raises:
        RunError: the workers cannot start, or take longer than the limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    watch = _Stopwatch(threads, 1, time.monotonic())
    executor = ProcessExecutor(payload, folder, workers, threads=threads, startup_limit=limit)
    try:
        _wait_until_ready(executor, watch, workers)
    finally:
        executor.close()
    return max(watch.ready_seconds)


def _sample_candidates(
    space: Space, count: int, seed: int, is_allowed: Callable[[Architecture], bool]
) -> Mapping[str, Architecture]:
    """Return up to `count` different random architectures for which `is_allowed` is true, by their ids.

    Raises:
        JobError: no sample is allowed.
    """
    candidates: dict[str, Architecture] = {}
    for index in range(count * SAMPLES_PER_CANDIDATE):
        architecture = space.sample(generator(seed, "plan", index))
        if architecture.id not in candidates and is_allowed(architecture):
            candidates[architecture.id] = architecture
        if len(candidates) == count:
            break
    if not candidates:
        raise JobError(
            f"none of {count * SAMPLES_PER_CANDIDATE} sampled architectures satisfies the hard constraints: loosen them"
        )
    return candidates


@dataclass
class _Stopwatch:
    """A listener of an executor that measures the durations of trials, all with the same number of workers.

    Attributes:
        workers: the number of workers of each trial.
        last_epoch: each trial is stopped after this epoch.
        begin: the time at which the workers were started, by the monotonic clock.
        ready_seconds: the seconds after which each worker was ready.
        epochs: the measured epochs, in the order of the reports.
        first_trials: the name of the first trial of each worker, by the name of the worker.
        completed: the names of the trials that have reached `last_epoch`.
        reason: the reason of the last failure, or the last warning.
    """

    workers: int
    last_epoch: Step
    begin: float
    ready_seconds: list[float] = field(default_factory=list)
    epochs: list[MeasuredEpoch] = field(default_factory=list)
    first_trials: dict[str, str] = field(default_factory=dict)
    completed: list[str] = field(default_factory=list)
    reason: str = ""
    # The name of each running trial, and the time of its start or its last report.
    _running: dict[TrialId, tuple[str, float]] = field(default_factory=dict)

    @property
    def running(self) -> int:
        """The number of running trials."""
        return len(self._running)

    def start(self, trial: TrialId, name: str, worker: str) -> None:
        """Record the time at which a trial starts on a worker."""
        self.first_trials.setdefault(worker, name)
        self._running[trial] = name, time.monotonic()

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        # `seconds` is the worker's compute time. The plan needs the wall-clock time, so it is measured here.
        name, last_report_time = self._running[trial]
        now = time.monotonic()
        is_first = all(epoch.trial != name for epoch in self.epochs)
        self.epochs.append(
            MeasuredEpoch(
                trial=name,
                workers=self.workers,
                epoch=step,
                seconds=now - last_report_time,
                first=is_first,
                metrics=dict(metrics),
            )
        )
        self._running[trial] = name, now
        return Action.CONTINUE if step < self.last_epoch else Action.STOP

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        name, _ = self._running.pop(trial)
        if any(epoch.trial == name and epoch.epoch >= self.last_epoch for epoch in self.epochs):
            self.completed.append(name)
        else:
            self.reason = outcome.reason or outcome.status.value

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        self.reason = message

    def is_slower_than(self, other: _Stopwatch) -> bool:
        """Return whether epochs take clearly longer than with `other`, by the architectures that both have measured.

        At least two architectures are needed for this statement.
        """
        common = [name for name in self.completed if name in other.completed]
        ratios = [median(self._list_later_seconds(name)) / median(other._list_later_seconds(name)) for name in common]
        return len(ratios) > 1 and median(ratios) > MAX_SLOWDOWN

    def list_epochs(self) -> list[MeasuredEpoch]:
        """Return the epochs of the completed trials, except the first epoch of each worker.

        The first epoch of a worker includes loading and compiling, which belong to the start-up. If trials have only one
        epoch, it is not left out.
        """
        first_trials = set(self.first_trials.values()) if self.last_epoch > 1 else set()
        return [e for e in self.epochs if e.trial in self.completed and not (e.first and e.trial in first_trials)]

    def compute_start_up(self) -> MeasuredStartUp:
        """Return the start-up of a worker: the time until it is ready, and the extra time of its first trial.

        Workers that start together slow each other down, so their median is one measurement.
        """
        # The first epoch of any trial takes longer, by its extra time. Only the additional extra time of a worker's first
        # trial belongs to the start-up.
        extras = {name: self._compute_extra_seconds(name) for name in self.completed}
        later_extras = [extra for name, extra in extras.items() if name not in self.first_trials.values()]
        usual_extra = median(later_extras) if later_extras else 0.0
        additional = [
            max(0.0, extras[name] - usual_extra)
            for name in self.first_trials.values()
            if name in extras and self.last_epoch > 1
        ]
        return MeasuredStartUp(self.workers, median(self.ready_seconds) + (mean(additional) if additional else 0.0))

    def _compute_extra_seconds(self, name: str) -> float:
        """Return the seconds by which the first epoch of a trial took longer than its later epochs."""
        first_epoch_seconds = next(epoch.seconds for epoch in self.epochs if epoch.trial == name)
        return max(0.0, first_epoch_seconds - median(self._list_later_seconds(name)))

    def _list_later_seconds(self, name: str) -> list[float]:
        """Return the seconds of the epochs of a trial without the first one, unless it is the only one."""
        seconds = [epoch.seconds for epoch in self.epochs if epoch.trial == name]
        return seconds[1:] or seconds


def _wait_until_ready(executor: ProcessExecutor, watch: _Stopwatch, count: int) -> None:
    """Wait until all `count` workers are ready."""
    while len(watch.ready_seconds) < count:
        executor.poll(watch, POLL_SECONDS)
        # One entry for each worker that has become ready; ready workers stay idle until all are ready.
        watch.ready_seconds += [time.monotonic() - watch.begin] * (executor.idle_count - len(watch.ready_seconds))


def _train_architectures(
    executor: ProcessExecutor,
    watch: _Stopwatch,
    queue: list[tuple[str, Architecture]],
    last_epoch: Step | None,
    *,
    count: int,
    folder: Path,
    previous: _Stopwatch | None,
) -> None:
    """Train the architectures of `queue` in their order, until `count` of them are completed.

    Training ends early if epochs take clearly longer than with the smaller number of workers of `previous`.
    """
    trial_number = 0
    while True:
        is_slower = previous is not None and watch.is_slower_than(previous)
        while executor.idle_count and queue and not is_slower and len(watch.completed) + watch.running < count:
            name, architecture = queue.pop(0)
            assignment = Assignment(
                trial=trial_number,
                attempt=1,
                choices=architecture.to_json(),
                id=name,
                fidelity={} if last_epoch is None else {"epochs": last_epoch},
                seed=derive(0, "plan", name),
                folder=str(folder / "trials" / f"{trial_number:06d}"),
                settings={},
            )
            watch.start(trial_number, name, executor.submit(assignment))
            trial_number += 1
        if not watch.running:
            return
        executor.poll(watch, POLL_SECONDS)
