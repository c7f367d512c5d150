"""The repetition of a trial with the same architecture, seed, settings, fidelity and threads, compared value by value.

The repetition runs in a fresh worker and writes to a separate folder. The run's journal and trials are not changed. On a
CPU, with the same versions and code, the built-in trainer gives the same numbers, bit for bit. So does every train function
whose random numbers come from the generators that Ogive seeds.

A trial has several segments if it was promoted to a fidelity, such as larger images, at which training cannot continue from
the weights of the lower fidelity, so that it was trained from scratch again. Each segment is repeated as one training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from ogive.api.environment_changes import list_environment_changes
from ogive.api.trial_history import Segment, TrialHistory, read_trial_history
from ogive.api.trial_reproduction import MetricDifference, Reproduction
from ogive.errors import RunError
from ogive.estimate.checkpoint import find_newest_checkpoint
from ogive.executors.processes import ProcessExecutor
from ogive.run.executor import Assignment, Outcome
from ogive.run.journal import JOURNAL, Journal
from ogive.run.manifest import count_cores
from ogive.run.settings import Settings
from ogive.run.trial_folder import get_trial_folder
from ogive.schedule.base import Action
from ogive.session.payload import PAYLOAD
from ogive.trial import Status, Step, TrialId

if TYPE_CHECKING:
    from ogive.api.run import Run

MessageFunction = Callable[[str], object]
Metrics = Mapping[str, float]

TIME_METRICS = ("seconds", "*_seconds")
"""Patterns of metrics that measure time. They are never compared."""
REPEATABLE_FAILURES = (Status.ERROR, Status.INFEASIBLE, Status.OUT_OF_MEMORY, Status.EXITED)
"""The failures that are expected to happen in the repetition as well."""
POLL_SECONDS = 0.5
"""The longest wait for the executor's next event."""


def reproduce(
    run: Run,
    trial: TrialId,
    *,
    ignore: Sequence[str] = (),
    folder: Path | None = None,
    say: MessageFunction = lambda message: None,
) -> Reproduction:
    """Repeat a trial and compare every metric at every step.

    A trial that was paused and then promoted is repeated without the pause. A trial whose result came from the evaluation
    cache is trained. A trial that failed is expected to fail again. If the trial inherited weights and their checkpoint was
    deleted, the parent trial is trained again first.

    Args:
        run: the run, opened with `trust`.
        trial: the number of the trial.
        ignore: patterns of metrics that are not compared, such as "latency*", in addition to `TIME_METRICS`.
        folder: the folder of the repetition; existing files are replaced. None for `reproduced/TRIAL` in the run's folder.
        say: receives messages: first the changes in the environment, then the progress.

    Raises:
        RunError: there is no such trial, or the trial has no metrics to compare, or it cannot be repeated.
    """
    state = run.state
    if trial not in state.trials:
        numbers = f"its trials are numbered from 0 to {len(state.trials) - 1}" if state.trials else "no trials so far"
        raise RunError(f"{run.folder} has no trial {trial}; {numbers}")
    history = _read_history(run, trial)
    _check_repeatable(run, history)
    target = (folder or run.folder / "reproduced" / f"{trial:06d}").absolute()
    environment = tuple(list_environment_changes(run, history))
    for line in environment:
        say(line)
    with _Repetition(run, history.threads or count_cores(), target, say) as repetition:
        # The folder of a segment has the name "leg-N", as in earlier versions.
        repeated = [
            repetition.train_segment(trial, segment, target / f"leg-{number}")
            for number, segment in enumerate(history.segments)
        ]
    return _compare(
        run,
        history,
        repeated,
        ignore=(*TIME_METRICS, *ignore),
        environment=environment,
        folder=target,
    )


def _read_history(run: Run, trial: TrialId) -> TrialHistory:
    journal = Journal(run.folder / JOURNAL, writable=False)
    try:
        return read_trial_history(journal.read(), trial)
    finally:
        journal.close()


def _check_repeatable(run: Run, history: TrialHistory) -> None:
    """Raise RunError if the trial has neither reports nor a failure that can be repeated."""
    trial = run.state.trials[history.trial]
    has_repeatable_failure = trial.status in REPEATABLE_FAILURES and history.was_started
    if not any(segment.reports for segment in history.segments) and not has_repeatable_failure:
        reason = f"{trial.status.value}: {trial.reason}" if trial.reason else trial.status.value
        raise RunError(f"trial {trial.id} has reported nothing ({reason}), so there is nothing to compare with")


# -- the repetition ----------------------------------------------------------------------------------------------


class _SegmentListener:
    """A listener of the executor that collects the reports of a segment, and stops it after the step `stop_step`.

    All steps are counted from the start of the segment.
    """

    def __init__(self, stop_step: Step, say: MessageFunction) -> None:
        self.reports: dict[Step, Metrics] = {}
        self.outcome: Outcome | None = None
        self._stop_step = stop_step
        self._say = say

    def on_report(self, trial: TrialId, step: Step, metrics: Metrics, seconds: float) -> Action:
        # As in `read_trial_history`, a metric that a step does not report keeps its last value.
        previous = self.reports[max(self.reports)] if self.reports else {}
        self.reports[step] = {**previous, **metrics}
        return Action.STOP if step >= self._stop_step else Action.CONTINUE

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        self.outcome = outcome

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        self._say(f"warning: {message}")


class _Repetition:
    """A fresh worker that repeats segments of trials."""

    def __init__(self, run: Run, threads: int, folder: Path, say: MessageFunction) -> None:
        self._run = run
        self._say = say
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be created: {error}; give another folder") from error
        self._folder = folder
        settings = Settings.from_json(run.state.settings)
        self._executor = ProcessExecutor(
            run.folder / PAYLOAD,
            folder,
            1,
            ranks=settings.workers_per_trial,
            memory_limit=settings.memory_limit,
            startup_limit=settings.startup_limit,
            threads=threads,
        )

    def __enter__(self) -> _Repetition:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.close()

    def train_segment(
        self, number: TrialId, segment: Segment, folder: Path, stop_step: Step | None = None
    ) -> _SegmentListener:
        """Train a segment of a trial from its start.

        Args:
            number: the number of the trial.
            segment: the segment to repeat.
            folder: the folder for the output and the checkpoint.
            stop_step: the step, counted from the start of the segment, after which the training is stopped. By default the
                last reported step; if the segment ended in a repeatable failure, the last step of its fidelity, so that it
                can fail again.
        """
        trial = self._run.state.trials[number]
        if stop_step is None:
            should_fail_again = segment.is_last and trial.status in REPEATABLE_FAILURES
            stop_step = segment.target_step if should_fail_again else max(segment.reports)
        listener = _SegmentListener(stop_step, self._say)
        assignment = Assignment(
            trial=number,
            attempt=1,
            choices=trial.architecture.to_json(),
            id=trial.architecture.id,
            fidelity=dict(segment.fidelity),
            seed=trial.seed,
            folder=str(folder),
            settings=dict(trial.proposal.settings),
            inherit_from=self._find_inherited(trial.proposal.inherit),
            step_offset=segment.start_step,
        )
        # Wait until the only worker is idle: it may still be starting, or ending the previous segment.
        while not self._executor.idle_count:
            self._executor.poll(listener, POLL_SECONDS)
        self._executor.submit(assignment)
        while listener.outcome is None:
            self._executor.poll(listener, POLL_SECONDS)
        return listener

    def _find_inherited(self, inherit: tuple[TrialId, Step] | None) -> tuple[str, Step] | None:
        """Return the folder with the checkpoint to inherit from, and the step of the checkpoint.

        The step is counted from the start of the segment that wrote the checkpoint. If the run has deleted the checkpoint,
        the parent is trained again up to this step.

        Args:
            inherit: the number of the parent trial, and the step of its checkpoint; None if nothing is inherited.

        Raises:
            RunError: the parent could not be trained again.
        """
        if inherit is None:
            return None
        number, step = inherit
        parent = self._run.state.trials[number]
        parent_folder = get_trial_folder(self._run.folder, parent)
        saved = find_newest_checkpoint(parent_folder) if parent_folder.is_dir() else None
        if saved is not None and saved.step == step - parent.step_offset:
            return str(parent_folder), saved.step
        self._say(
            f"trial {number} is trained again first, up to step {step}, because the repeated trial inherits from its "
            "checkpoint, which was deleted"
        )
        segments = _read_history(self._run, number).segments
        segment = [segment for segment in segments if segment.start_step < step][-1]
        folder = self._folder / f"inherited-{number:06d}-{step}"
        listener = self.train_segment(number, segment, folder, step - segment.start_step)
        if max(listener.reports, default=0) != step - segment.start_step or find_newest_checkpoint(folder) is None:
            reason = listener.outcome.reason if listener.outcome else ""
            raise RunError(
                f"trial {number}, from which weights are inherited, could not be trained again to step {step}: {reason}"
            )
        return str(folder), step - segment.start_step


# -- the comparison ----------------------------------------------------------------------------------------------


def _compare(
    run: Run,
    history: TrialHistory,
    repeated: Sequence[_SegmentListener],
    *,
    ignore: Sequence[str],
    environment: tuple[str, ...],
    folder: Path,
) -> Reproduction:
    """Return the comparison of all segments of a trial with their repetitions."""
    trial = run.state.trials[history.trial]
    differences: list[MetricDifference] = []
    ignored: dict[str, None] = {}  # an ordered set
    step_count = value_count = 0
    for segment, listener in zip(history.segments, repeated, strict=True):
        # The steps of reports are counted from the start of the segment.
        for step in sorted({*segment.reports, *listener.reports}):
            journalled_metrics, repeated_metrics = segment.reports.get(step, {}), listener.reports.get(step, {})
            step_count += 1
            for metric in dict.fromkeys([*journalled_metrics, *repeated_metrics]):
                if any(fnmatchcase(metric, pattern) for pattern in ignore):
                    ignored[metric] = None
                    continue
                value_count += 1
                if not _is_equal(journalled_metrics.get(metric), repeated_metrics.get(metric)):
                    differences.append(
                        MetricDifference(
                            segment.start_step + step,
                            metric,
                            journalled_metrics.get(metric),
                            repeated_metrics.get(metric),
                        )
                    )
    outcome = repeated[-1].outcome
    assert outcome is not None
    return Reproduction(
        trial=trial.id,
        environment=environment,
        steps=step_count,
        values=value_count,
        ignored=tuple(ignored),
        differences=tuple(differences),
        ended=_format_ending_difference(trial.status, trial.reason, outcome),
        folder=str(folder),
    )


def _is_equal(a: float | None, b: float | None) -> bool:
    """Return whether two values are equal, bit for bit. Two NaN are equal, and so are two missing values."""
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))


def _format_ending_difference(status: Status, reason: str | None, outcome: Outcome) -> str:
    """Return how a trial and its repetition ended, if this differs; "" otherwise.

    The repetition of a trial without a repeatable failure is expected to finish.
    """
    expected = status if status in REPEATABLE_FAILURES else Status.FINISHED
    if outcome.status is expected:
        return ""
    original = f"{status.value}: {reason}" if reason else status.value
    repetition = f"{outcome.status.value}{f': {outcome.reason}' if outcome.reason else ''}"
    return f"the trial: {original}; the repetition: {repetition}"
