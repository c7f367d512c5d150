"""One trial again: the same architecture, seed, settings, fidelity and threads in a fresh worker, value by value.

Nothing is written into the run's journal or its trials; the repetition has a folder of its own. On a CPU, with the same
versions and code, the built-in trainer and every train function whose randomness comes from the random states that
Ogive sets give the same numbers, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.api.trial_history import Segment, TrialHistory, trial_history
from ogive.errors import RunError
from ogive.estimate.checkpoint import newest
from ogive.executors.processes import Processes
from ogive.run.executor import Assignment, Outcome
from ogive.run.journal import Journal
from ogive.run.manifest import cores, manifest
from ogive.run.settings import Settings
from ogive.run.trial_folder import trial_folder
from ogive.schedule.base import Action
from ogive.session.payload import PAYLOAD
from ogive.session.search_code import SearchCode
from ogive.space import Space
from ogive.trial import Status, Step, TrialId

if TYPE_CHECKING:
    from ogive.api.run import Run

Say = Callable[[str], object]
Metrics = Mapping[str, float]

CLOCKS = ("seconds", "*_seconds")
"""Metrics that are the clock's, which are never compared."""
REPEATABLE = (Status.ERROR, Status.INFEASIBLE, Status.OUT_OF_MEMORY, Status.EXITED)
"""Failures that the repetition is expected to end with, too."""


@dataclass(frozen=True)
class MetricDifference:
    """A value that is not what the journal has; None where it was not reported."""

    step: Step
    metric: str
    journal: float | None
    again: float | None


@dataclass(frozen=True)
class Reproduction:
    """A trial beside its repetition.

    Attributes:
        environment: what is different from when the trial ran, a line each.
        steps: how many were compared.
        values: how many were compared.
        ignored: metrics that were reported and not compared.
        differences: values that are not equal, bit for bit.
        ended: "" where it ended as the trial did; else how both ended.
        folder: where the repetition has left its output and its checkpoint.
    """

    trial: TrialId
    environment: tuple[str, ...]
    steps: int
    values: int
    ignored: tuple[str, ...]
    differences: tuple[MetricDifference, ...]
    ended: str
    folder: str

    @property
    def same(self) -> bool:
        """Every compared value is equal, and it ended in the same way."""
        return not self.differences and not self.ended

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **asdict(self)}


def reproduce(
    run: Run,
    trial: TrialId,
    *,
    ignore: Sequence[str] = (),
    folder: Path | None = None,
    say: Say = lambda message: None,
) -> Reproduction:
    """Repeat a trial and compare every metric at every step.

    A trial that was paused and promoted is repeated as one uninterrupted training to the same step; one from the
    evaluation cache is trained; one that failed is expected to fail again. Where the checkpoint that it inherited from
    is gone, that is trained again first.

    Args:
        run: with its payload, which is what `search` has left for its workers.
        trial: its number.
        ignore: patterns of metrics that are not compared, such as "latency*", beside those of the clock.
        folder: where to; `reproduced/` and the trial's number in the run's folder where None. What is there is replaced.
        say: is told what differs in the environment before anything is trained, and what happens.

    Raises:
        RunError: there is no such trial, it has nothing to compare, or it cannot be repeated.
    """
    state = run.state
    if trial not in state.trials:
        there = f"there are 0 to {len(state.trials) - 1}" if state.trials else "it has none yet"
        raise RunError(f"{run.folder} has no trial {trial}; {there}")
    journal = Journal(run.folder / "journal.db", writable=False)
    try:
        lived = trial_history(journal.read(), trial)
    finally:
        journal.close()
    _check_repeatable(run, lived)
    target = (folder or run.folder / "reproduced" / f"{trial:06d}").absolute()
    environment = tuple(_environment(run, lived))
    for line in environment:
        say(line)
    with _Repetition(run, lived.threads or cores(), target, say) as repetition:
        found = [repetition.leg(lived.trial, leg, target / f"leg-{number}") for number, leg in enumerate(lived.legs)]
    return _compare(run, lived, found, (*CLOCKS, *ignore), environment, target)


def _check_repeatable(run: Run, lived: TrialHistory) -> None:
    trial = run.state.trials[lived.trial]
    fails = trial.status in REPEATABLE and lived.started
    if not any(leg.reports for leg in lived.legs) and not fails:
        why = f"{trial.status.value}: {trial.reason}" if trial.reason else trial.status.value
        raise RunError(f"trial {trial.id} has reported nothing ({why}), so there is nothing to compare with")


# -- what is different now ---------------------------------------------------------------------------------------


def _environment(run: Run, lived: TrialHistory) -> Iterator[str]:
    """What is not as it was when the trial ran, a line each."""
    space, estimator = run.space, run.estimator
    created, session = run.state.created, lived.session
    now = manifest(1)
    yield from _unlike("host", session.get("host"), now["host"])
    yield from _unlike("machine", session.get("machine"), now["machine"])
    yield from _unlike("Python", session.get("python"), now["python"])
    then = session.get("versions", {})
    for package in sorted({*then, *now["versions"]}):
        yield from _unlike(package, then.get(package), now["versions"].get(package))
    yield from SearchCode.of(space, estimator).sentences(session)
    yield from (f"space: {line}" for line in Space.from_json(created["space"]).differences(space))
    stored, found = created["fingerprints"], estimator.fingerprints()
    for part in sorted({*stored, *found}):
        yield from _unlike(f"fingerprint of the {part}", stored.get(part), found.get(part))
    if len(lived.all_threads) > 1:
        yield f"threads: its attempts had {', '.join(map(str, lived.all_threads))}; it is repeated with {lived.threads}"
    if lived.threads is None:
        yield f"threads: not recorded; it is repeated with {cores()}"
    elif lived.inline:
        yield (
            "threads: it ran inline, in the search's own process, whose number of threads is not recorded; it is repeated "
            f"with {lived.threads}"
        )
    device = (created.get("recipe") or {}).get("device", "cpu")
    if device != "cpu":
        yield f"device: {device}, which does not promise equal numbers"


def _unlike(what: str, then: Any, now: Any) -> Iterator[str]:
    if then != now:
        yield f"{what}: {_shown(then)} then, {_shown(now)} now"


def _shown(value: Any) -> str:
    return "unknown" if value in (None, "") else str(value)


# -- again -------------------------------------------------------------------------------------------------------


class _Listener:
    """Takes the reports of one leg, and ends it where the journal's end."""

    def __init__(self, last: Step, say: Say) -> None:
        self.reports: dict[Step, Metrics] = {}
        self.outcome: Outcome | None = None
        self._last = last
        self._say = say

    def on_report(self, trial: TrialId, step: Step, metrics: Metrics, seconds: float) -> Action:
        former = self.reports[max(self.reports)] if self.reports else {}
        self.reports[step] = {**former, **metrics}
        return Action.STOP if step >= self._last else Action.CONTINUE

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        self.outcome = outcome

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        self._say(f"warning: {message}")


class _Repetition:
    """A fresh worker that trains what is asked for."""

    def __init__(self, run: Run, threads: int, folder: Path, say: Say) -> None:
        self._run = run
        self._say = say
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} cannot be made: {error}; name another folder") from error
        self._folder = folder
        settings = Settings.from_json(run.state.settings)
        self._executor = Processes(
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

    def leg(self, number: TrialId, leg: Segment, folder: Path, last: Step | None = None) -> _Listener:
        """Train a trial from the beginning of a leg up to the step `last` of it; by default where the journal's ends.

        A leg that ended by a failure that comes again goes on until it fails.
        """
        run = self._run
        trial = run.state.trials[number]
        fails = leg.final and trial.status in REPEATABLE and last is None
        listener = _Listener(last or (leg.until if fails else max(leg.reports)), self._say)
        assignment = Assignment(
            trial=number,
            attempt=1,
            choices=trial.architecture.to_json(),
            id=trial.architecture.id,
            fidelity=dict(leg.fidelity),
            seed=trial.seed,
            folder=str(folder),
            settings=dict(trial.proposal.settings),
            inherit=self._inherited(trial.proposal.inherit),
            began=leg.began,
        )
        while not self._executor.idle:
            self._executor.poll(listener, 0.5)
        self._executor.submit(assignment)
        while listener.outcome is None:
            self._executor.poll(listener, 0.5)
        return listener

    def _inherited(self, source: tuple[TrialId, Step] | None) -> tuple[str, Step] | None:
        """The folder and the step to inherit from, as that trial's leg counts it: the run's own, or trained again."""
        if source is None:
            return None
        number, step = source
        parent = self._run.state.trials[number]
        kept = trial_folder(self._run.folder, parent)
        saved = newest(kept) if kept.is_dir() else None
        if saved is not None and saved.step == step - parent.began:
            return str(kept), saved.step
        self._say(
            f"trial {number} is trained again first, up to step {step}: its checkpoint, which is inherited, is gone"
        )
        journal = Journal(self._run.folder / "journal.db", writable=False)
        try:
            legs = trial_history(journal.read(), number).legs
        finally:
            journal.close()
        leg = [leg for leg in legs if leg.began < step][-1]
        folder = self._folder / f"inherited-{number:06d}-{step}"
        listener = self.leg(number, leg, folder, step - leg.began)
        if max(listener.reports, default=0) != step - leg.began or newest(folder) is None:
            why = listener.outcome.reason if listener.outcome else ""
            raise RunError(f"trial {number}, which is inherited from, could not be trained again to step {step}: {why}")
        return str(folder), step - leg.began


# -- and compared ------------------------------------------------------------------------------------------------


def _compare(
    run: Run,
    lived: TrialHistory,
    found: Sequence[_Listener],
    ignore: Sequence[str],
    environment: tuple[str, ...],
    folder: Path,
) -> Reproduction:
    trial = run.state.trials[lived.trial]
    differences: list[MetricDifference] = []
    ignored: dict[str, None] = {}
    steps = values = 0
    for leg, listener in zip(lived.legs, found, strict=True):
        for step in sorted({*leg.reports, *listener.reports}):
            then, again = leg.reports.get(step, {}), listener.reports.get(step, {})
            steps += 1
            for metric in dict.fromkeys([*then, *again]):
                if any(fnmatchcase(metric, pattern) for pattern in ignore):
                    ignored[metric] = None
                    continue
                values += 1
                if not _equal(then.get(metric), again.get(metric)):
                    differences.append(MetricDifference(leg.began + step, metric, then.get(metric), again.get(metric)))
    outcome = found[-1].outcome
    assert outcome is not None
    ended = _ended(trial.status, trial.reason, outcome)
    return Reproduction(
        trial.id, environment, steps, values, tuple(ignored), tuple(differences), ended, str(folder)
    )  # fmt: skip


def _equal(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))


def _ended(then: Status, reason: str, outcome: Outcome) -> str:
    """How both ended, where that is not the same; "" where it is."""
    expected = then if then in REPEATABLE else Status.FINISHED
    if outcome.status is expected:
        return ""
    was = f"{then.value}: {reason}" if reason else then.value
    return f"the trial: {was}; again: {outcome.status.value}{f': {outcome.reason}' if outcome.reason else ''}"
