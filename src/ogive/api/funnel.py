"""A funnel: a sequence of searches, each started only if the previous one passed its test.

Each phase is a separate run in the folder FUNNEL/<phase>/. It starts with the best architectures of the previous phase. The
last phase may be full training instead of a search.

The verdicts on the phases are stored in FUNNEL/funnel.json. A verdict depends only on the phase's journal, so a verdict that
was lost in a crash is computed again. A phase that has passed is not evaluated a second time.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.api.phase_checks import (
    Check,
    check_failures,
    check_full_training,
    check_learning,
    check_thresholds,
    check_values,
)
from ogive.api.run import Run, open_run
from ogive.errors import JobError, RunError
from ogive.files import replace_text
from ogive.objective import Constraint
from ogive.run.journal import JOURNAL
from ogive.run.results import explain_no_best, find_best_trials
from ogive.run.state import State

if TYPE_CHECKING:
    from ogive.task import Task

FUNNEL_FILE = "funnel.json"
"""The file in the folder of a funnel that holds the verdicts."""
FORMAT = 1
"""The version of the file format."""
DEFAULT_START_FROM = 5
"""The default number of the previous phase's best architectures that a phase starts with."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Go:
    """The conditions under which the next phase starts.

    Two conditions always apply to a search: at least one trial has a value and satisfies the constraints, and the number of
    failed trials is below the run's limit. Full training must have a winner.

    Attributes:
        best: Thresholds; one trial must satisfy all of them. Default: none.
        failed: The largest share of trials that may fail, in [0, 1], or None if only the run's limit applies. Default: None.
        learns: A task, or None. The best accuracy on the validation split of the task must be significantly better than
            guessing. Default: None, no such condition.
    """

    best: tuple[Constraint, ...] = ()
    failed: float | None = None
    learns: Task | None = None

    def __post_init__(self) -> None:
        if self.failed is not None and not 0 <= self.failed <= 1:
            raise JobError(f"failed={self.failed!r}: expected a share of the trials, from 0 to 1, or None")


@dataclass(frozen=True)
class Phase:
    """One phase of a funnel.

    Attributes:
        name: The name of the phase and its folder: letters, digits, _ and -, starting with a letter.
        search: A function that is called with `run` (a folder) and, for a new run, `initial`, such as
            `functools.partial(og.search, space, estimator, epochs=3, max_trials=20)`. None for the full training of the
            previous phase's best architectures, which must be the last phase.
        finalize: The arguments of `Run.finalize` if `search` is None.
        start_from: The phase starts with this number of the previous phase's best architectures, at least 0. Default: 5.
        go: The conditions for the next phase.
    """

    name: str
    search: Callable[..., Run] | None = None
    finalize: Mapping[str, Any] = field(default_factory=dict)
    start_from: int = DEFAULT_START_FROM
    go: Go = Go()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise JobError(f"phase {self.name!r}: expected a name of letters, digits, _ and -, starting with a letter")
        if self.start_from < 0:
            raise JobError(f"phase {self.name!r}: start_from={self.start_from}: expected a whole number, at least 0")


@dataclass(frozen=True, kw_only=True)
class PhaseVerdict:
    """The verdict on a phase.

    Attributes:
        phase: the name of the phase.
        go: whether the next phase may start.
        reasons: a sentence for each check; if `go` is False, only for the checks that failed.
        numbers: the number of `trials`, the number of trials that `failed`, the compute time of all trials in `seconds`, and
            the numbers of the checks.
        end_reason: the reason why the phase's run ended.
    """

    phase: str
    go: bool
    reasons: tuple[str, ...]
    numbers: Mapping[str, float]
    end_reason: str | None

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["ended"] = data.pop("end_reason")  # the key of earlier versions
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> PhaseVerdict:
        """Return the verdict that `to_json` wrote."""
        values = {**data, "reasons": tuple(data["reasons"])}
        values["end_reason"] = values.pop("ended")
        return PhaseVerdict(**values)


PhaseCallback = Callable[[str, PhaseVerdict | None], object]
"""A function of a phase's name and its verdict, which is called when the phase starts (with None) and when it ends."""


@dataclass(frozen=True)
class Funnel:
    """The state of a funnel, read from its folder.

    Attributes:
        folder: the folder of the funnel, with a folder for each phase.
        phases: the names of all phases, in order.
        verdicts: the verdicts on the phases that were evaluated, by the name of the phase.
        full_training_phase: the name of the phase that is full training; None if all phases are searches.
    """

    folder: Path
    phases: tuple[str, ...]
    verdicts: Mapping[str, PhaseVerdict]
    full_training_phase: str | None = None

    @property
    def runs(self) -> dict[str, Path]:
        """The folders of the searches that were started, by the name of the phase."""
        folders = {name: self.folder / name for name in self.phases if name != self.full_training_phase}
        return {name: folder for name, folder in folders.items() if (folder / JOURNAL).is_file()}

    @property
    def run(self) -> Run:
        """The run of the last search that was started.

        Raises:
            RunError: no phase was started.
        """
        if not self.runs:
            raise RunError(f"no phase of the funnel in {self.folder} was started yet; start it: ogive search JOB")
        return open_run(list(self.runs.values())[-1])

    @property
    def failed_verdict(self) -> PhaseVerdict | None:
        """The verdict that ended the funnel; None if no phase failed its checks."""
        return next((verdict for verdict in self.verdicts.values() if not verdict.go), None)

    @property
    def ended(self) -> bool:
        """Whether all phases passed, or one failed its checks."""
        return self.failed_verdict is not None or len(self.verdicts) == len(self.phases)


def funnel(
    phases: Sequence[Phase], run: str | os.PathLike[str], watch: PhaseCallback = lambda name, verdict: None
) -> Funnel:
    """Run the phases, or continue the funnel in the folder `run`.

    A phase that failed its checks is continued with the arguments of this call, such as more trials or a larger budget. Then
    it is evaluated again.

    Args:
        phases: The phases in their order; the last one may be full training.
        run: The folder of the funnel.
        watch: A function that is called when a phase starts and when it ends; see `PhaseCallback`. Default: none.

    Raises:
        KeyboardInterrupt: A phase was interrupted; the same call continues it.
        JobError: The phases are not in a valid order, or two of them have the same name.
        RunError: The folder holds something else, or its funnel has other phases.
    """
    _check_phases(phases)
    folder = Path(run).absolute()
    full_training_phase = None if phases[-1].search else phases[-1].name
    names = tuple(phase.name for phase in phases)
    progress = _open_or_create(Funnel(folder, names, {}, full_training_phase))
    previous: Run | None = None
    for phase in phases:
        verdict = progress.verdicts.get(phase.name)
        if verdict is None or not verdict.go:
            watch(phase.name, None)
            previous, verdict = _run_phase(phase, previous, folder)
            progress = Funnel(folder, names, {**progress.verdicts, phase.name: verdict}, full_training_phase)
            _write_funnel(progress)
        elif phase.search is not None:
            # `trust` is safe here: the folder names no other code than that of the caller's phases.
            previous = open_run(folder / phase.name, trust=True)
        watch(phase.name, verdict)
        if not verdict.go:
            break
    return progress


def open_funnel(folder: str | os.PathLike[str]) -> Funnel | None:
    """Return the funnel in a folder; None if there is none.

    Raises:
        RunError: the funnel's file is damaged, or has the format of another version.
    """
    path = Path(folder).absolute() / FUNNEL_FILE
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT:
            raise RunError(f"{path} has the format {data['format']!r}, but this version of Ogive reads {FORMAT}")
        verdicts = {item["phase"]: PhaseVerdict.from_json(item) for item in data["verdicts"]}
        return Funnel(path.parent, tuple(data["phases"]), verdicts, data["last"] or None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} cannot be read: {error!r}; remove it, and the phases are evaluated again from their journals"
        ) from error


def evaluate_phase(name: str, state: State, go: Go) -> PhaseVerdict:
    """Return the verdict on a search that has ended.

    Args:
        name: the name of the phase.
        state: the state of the phase's run.
        go: the conditions for the next phase.
    """
    trials = list(state.trials.values())
    valid = [trial for trial in trials if trial.reports and not trial.status.failed]
    numbers = {"trials": float(len(trials)), "failed": float(state.failed_count), "seconds": state.compute_seconds}
    checks = [check_values(len(valid), len(trials)), check_failures(state, go.failed)]
    if valid and not find_best_trials(state, 1):
        checks.append(Check(False, explain_no_best(state)))
    if go.best:
        checks.append(check_thresholds(go.best, [trial.metrics for trial in valid]))
    if go.learns is not None:
        accuracies = [trial.metrics["accuracy"] for trial in valid if "accuracy" in trial.metrics]
        check, p = check_learning(accuracies, go.learns)
        checks.append(check)
        numbers["chance_p"] = p
    return _make_verdict(name, checks, numbers, state.end_reason)


def _make_verdict(
    name: str, checks: Sequence[Check], numbers: Mapping[str, float], end_reason: str | None
) -> PhaseVerdict:
    go = all(check.passed for check in checks)
    reasons = tuple(check.reason for check in checks if go or not check.passed)
    return PhaseVerdict(phase=name, go=go, reasons=reasons, numbers=numbers, end_reason=end_reason)


def _check_phases(phases: Sequence[Phase]) -> None:
    """Raise JobError if the phases are not in a valid order, or if two of them have the same name."""
    names = [phase.name for phase in phases]
    if not phases or phases[0].search is None:
        raise JobError(
            "phases: the first one is a search; give it search=functools.partial(og.search, space, estimator)"
        )
    for name in names:
        if names.count(name) > 1:
            raise JobError(f"phases: {name!r} appears twice; give each phase another name, which names its folder too")
    if phases[-1].search is None and phases[-1].go.learns is not None:
        raise JobError(f"phase {names[-1]!r}: `learns` is for phases that search; give go=Go(best=...) instead")
    for phase in phases[:-1]:
        if phase.search is None:
            raise JobError(f"phase {phase.name!r} has no search; only the last phase may be full training")


def _open_or_create(new: Funnel) -> Funnel:
    """Return a funnel with the stored verdicts and the phases of `new`. Without a stored funnel, write and return `new`.

    Raises:
        RunError: the folder holds something else, or phases that were evaluated are not in `new`.
    """
    stored = open_funnel(new.folder)
    if stored is None:
        if (new.folder / JOURNAL).exists():
            raise RunError(f"{new.folder} holds a search without phases; choose another folder for the funnel")
        try:
            new.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"the funnel's folder {new.folder} cannot be created: {error}; choose another folder"
            ) from error
        _write_funnel(new)
        return new
    evaluated = list(stored.verdicts)
    if list(new.phases)[: len(evaluated)] != evaluated:
        raise RunError(
            f"the funnel in {new.folder} went through {', '.join(evaluated)}, and its phases are now "
            f"{', '.join(new.phases)}; restore the earlier phases, or start a new funnel in another folder"
        )
    return Funnel(new.folder, new.phases, stored.verdicts, new.full_training_phase)


def _run_phase(phase: Phase, previous: Run | None, folder: Path) -> tuple[Run, PhaseVerdict]:
    """Run a phase, and return the run whose best architectures the next phase uses, and the verdict.

    Args:
        phase: the phase.
        previous: the run of the previous phase; None for the first phase.
        folder: the folder of the funnel.
    """
    if phase.search is None:
        assert previous is not None  # by `_check_phases`: the first phase is a search
        result = previous.finalize(**phase.finalize)
        checks, numbers = check_full_training(result, phase.go.best, phase.go.failed)
        return previous, _make_verdict(phase.name, checks, numbers, "every finalist was trained")
    # A continued run has its initial architectures in its journal.
    target = folder / phase.name
    arguments: dict[str, Any] = {}
    if previous is not None and not (target / JOURNAL).exists() and phase.start_from:
        arguments["initial"] = [trial.architecture.to_json() for trial in previous.top(phase.start_from)]
    run = phase.search(run=target, **arguments)
    return run, evaluate_phase(phase.name, run.state, phase.go)


def _write_funnel(progress: Funnel) -> None:
    """Write the file of a funnel atomically: after a crash, it is either the previous or the new file."""
    data = {
        "format": FORMAT,
        "phases": list(progress.phases),
        "last": progress.full_training_phase or "",
        "verdicts": [progress.verdicts[name].to_json() for name in progress.phases if name in progress.verdicts],
    }
    path = progress.folder / FUNNEL_FILE
    try:
        replace_text(path, json.dumps(data, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
