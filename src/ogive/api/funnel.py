"""A funnel: phases of a search, each dearer than the former, each begun only if the former showed what it should.

Every phase is a run of its own, in FUNNEL/<phase>/, and begins with the best of the former; the last may be the full
training of the best. What was decided about a phase is kept in FUNNEL/funnel.json. A verdict is a function of the
phase's journal, so one that was lost with its process is given again; a phase that was left for the next is never
judged again.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.api.run import Run, open_run
from ogive.errors import JobError, RunError
from ogive.files import replace_text
from ogive.formatting import number
from ogive.objective import Constraint, violation
from ogive.run.journal import JOURNAL
from ogive.run.results import top, why_none
from ogive.run.settings import Settings
from ogive.run.state import State

if TYPE_CHECKING:
    from ogive.task import Task

FUNNEL = "funnel.json"
FORMAT = 1
START_FROM = 5
"""How many of the former phase's best a phase begins with, unless told otherwise."""

CHANCE = 1e-3
"""The largest probability of a guesser's doing as well, over all trials of a phase, at which something has learnt."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Go:
    """When the next phase begins: all of these hold, and a trial has a value, and not too many have failed.

    Attributes:
        best: thresholds that one trial satisfies, all together.
        failed: the largest share of trials that may fail, in [0, 1]; None for as many as the run allows.
        learns: a task; the best accuracy on its validation part is then seen to be better than guessing.
    """

    best: tuple[Constraint, ...] = ()
    failed: float | None = None
    learns: Task | None = None

    def __post_init__(self) -> None:
        if self.failed is not None and not 0 <= self.failed <= 1:
            raise JobError(f"failed={self.failed!r}: a share of the trials, from 0 to 1, or None")


@dataclass(frozen=True)
class Phase:
    """One phase.

    Attributes:
        name: of its folder: letters, digits, _ and -.
        search: called with `run` (a folder) and, where the run is new, `initial`; `functools.partial(og.search, space,
            estimator, epochs=3, max_trials=20)` is one. None for the full training of the former phase's best.
        finalize: arguments of `Run.finalize`, where `search` is None.
        start_from: how many of the former phase's best it begins with, at least 0.
        go: when the next phase begins.
    """

    name: str
    search: Callable[..., Run] | None = None
    finalize: Mapping[str, Any] = field(default_factory=dict)
    start_from: int = START_FROM
    go: Go = Go()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise JobError(f"phase {self.name!r}: a name of letters, digits, _ and -, that begins with a letter")
        if self.start_from < 0:
            raise JobError(f"phase {self.name!r}: start_from={self.start_from}: a whole number, at least 0")


@dataclass(frozen=True)
class PhaseVerdict:
    """What was decided about a phase, and why.

    Attributes:
        phase: its name.
        go: whether the next one may begin.
        reasons: what was found, one sentence each; of a no, only what was not as it should be.
        numbers: `trials`, `failed`, `seconds` of trials, and those that the rules looked at.
        ended: why the phase's run ended.
    """

    phase: str
    go: bool
    reasons: tuple[str, ...]
    numbers: Mapping[str, float]
    ended: str


Watch = Callable[[str, PhaseVerdict | None], object]
"""Told the name of each phase when it begins (with None), and its verdict when it ends."""


@dataclass(frozen=True)
class Funnel:
    """A funnel as it stands, read from its folder.

    Attributes:
        folder: with a folder for each phase.
        phases: all names, in order.
        verdicts: of the phases that were judged, by name.
        last: the name of the phase that is the full training of the best; "" where none is.
    """

    folder: Path
    phases: tuple[str, ...]
    verdicts: Mapping[str, PhaseVerdict]
    last: str = ""

    @property
    def runs(self) -> dict[str, Path]:
        """The folders of the searches that were begun, by phase."""
        found = {name: self.folder / name for name in self.phases if name != self.last}
        return {name: folder for name, folder in found.items() if (folder / JOURNAL).is_file()}

    @property
    def run(self) -> Run:
        """The run of the furthest phase that was begun.

        Raises:
            RunError: none was.
        """
        if not self.runs:
            raise RunError(f"no phase of the funnel in {self.folder} was begun yet; start it: ogive search JOB")
        return open_run(list(self.runs.values())[-1])

    @property
    def stopped(self) -> PhaseVerdict | None:
        """The verdict that ended the funnel before its last phase, or on it; None where it went or goes on."""
        return next((verdict for verdict in self.verdicts.values() if not verdict.go), None)

    @property
    def ended(self) -> bool:
        """Whether every phase was judged, or one said no."""
        return self.stopped is not None or len(self.verdicts) == len(self.phases)


def funnel(phases: Sequence[Phase], run: str | os.PathLike[str], watch: Watch = lambda name, verdict: None) -> Funnel:
    """Go through the phases, or go on where the funnel in the folder `run` stands.

    A phase that said no is searched on with what the call now gives (more trials, a longer budget) and judged anew.

    Raises:
        KeyboardInterrupt: as `ogive.search`; the same call goes on.
        JobError: the phases are not what they should be.
        RunError: the folder is another thing's, or was begun with other phases.
    """
    _check(phases)
    folder = Path(run).absolute()
    last = "" if phases[-1].search else phases[-1].name
    names = tuple(phase.name for phase in phases)
    state = _begun(Funnel(folder, names, {}, last))
    former: Run | None = None
    for phase in phases:
        verdict = state.verdicts.get(phase.name)
        if verdict is None or not verdict.go:
            watch(phase.name, None)
            former, verdict = _carry_out(phase, former, folder)
            state = Funnel(folder, names, {**state.verdicts, phase.name: verdict}, last)
            _write(state)
        elif phase.search is not None:
            former = open_run(folder / phase.name, trust=True)  # the phases are the user's own code anyway
        watch(phase.name, verdict)
        if not verdict.go:
            break
    return state


def open_funnel(folder: str | os.PathLike[str]) -> Funnel | None:
    """The funnel in a folder; None where there is none.

    Raises:
        RunError: its file is damaged, or of another version.
    """
    path = Path(folder).absolute() / FUNNEL
    try:
        data = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} cannot be read: {error}; remove it to judge the phases anew from their journals"
        ) from error
    if data.get("format") != FORMAT:
        raise RunError(f"{path} has the format {data.get('format')!r}, and this version of Ogive reads {FORMAT}")
    verdicts = {
        item["phase"]: PhaseVerdict(item["phase"], item["go"], tuple(item["reasons"]), item["numbers"], item["ended"])
        for item in data["verdicts"]
    }
    return Funnel(path.parent, tuple(data["phases"]), verdicts, data["last"])


def evaluate_phase(name: str, state: State, go: Go) -> PhaseVerdict:
    """The verdict on a phase that has ended; a function of its journal alone."""
    trials = list(state.trials.values())
    valued = [trial for trial in trials if trial.reports and not trial.status.failed]
    numbers = {"trials": float(len(trials)), "failed": float(state.failed), "seconds": state.seconds}
    checks = [_valued(len(valued), len(trials)), _failures(state, go)]
    if valued and not top(state, 1):
        checks.append((False, why_none(state)))
    if go.best:
        checks.append(_reached(go.best, [trial.metrics for trial in valued]))
    if go.learns is not None:
        accuracies = [trial.metrics["accuracy"] for trial in valued if "accuracy" in trial.metrics]
        check, p = _learns(accuracies, go.learns)
        checks.append(check)
        numbers["chance_p"] = p
    return _verdict(name, checks, numbers, state.ended)


Check = tuple[bool, str]


def _verdict(name: str, checks: Sequence[Check], numbers: Mapping[str, float], ended: str) -> PhaseVerdict:
    """Yes where every check is fine, with what was found; else no, with what is not."""
    yes = all(fine for fine, _ in checks)
    reasons = tuple(reason for fine, reason in checks if yes or not fine)
    return PhaseVerdict(name, yes, reasons, numbers, ended)


def _valued(valued: int, trials: int) -> Check:
    return valued > 0, f"{valued} of {trials} trials have a value"


def _failures(state: State, go: Go) -> Check:
    failed, trials = state.failed, max(1, len(state.trials))
    if go.failed is not None and failed > go.failed * trials:
        return False, f"{failed} of {trials} trials failed, {go.failed:.0%} may"
    allowed = Settings.from_json(state.settings).failures_allowed
    if failed >= allowed:
        return False, f"{failed} trials failed, and the search ends at {allowed}"
    return True, f"{failed} of {trials} trials failed"


def _reached(best: Sequence[Constraint], found: Sequence[Mapping[str, float]]) -> Check:
    wanted = " and ".join(map(str, best))
    if not found:
        return False, f"no trial reached {wanted}"
    nearest = min(found, key=lambda metrics: (violation(metrics, best), _cost(metrics, best[0])))
    has = ", ".join(f"{c.metric} {number(nearest[c.metric])}" for c in best if c.metric in nearest)
    reached = violation(nearest, best) == 0
    return reached, f"{'a' if reached else 'no'} trial reached {wanted}{f' (best: {has})' if has else ''}"


def _cost(metrics: Mapping[str, float], wanted: Constraint) -> float:
    """The metric of a threshold, less is better."""
    value = metrics.get(wanted.metric, math.nan)
    return math.inf if math.isnan(value) else value if wanted.at_most is not None else -value


def _learns(accuracies: Sequence[float], task: Task) -> tuple[Check, float]:
    """An exact binomial test of the best accuracy against always naming the largest class, over all trials (Bonferroni)."""
    from scipy.stats import binom

    labels = task.data.y[task.split.validation]
    n, guess = len(labels), float(np.bincount(labels).max() / len(labels))
    if not accuracies:
        return (False, "nothing learns: no trial reported accuracy"), 1.0
    best = max(accuracies)
    p = float(min(1.0, len(accuracies) * binom.sf(round(best * n) - 1, n, guess)))
    told = f"best accuracy {best:.3f} on {n} examples, guessing gives {guess:.3f} (p = {p:.1g})"
    return (p < CHANCE, f"it learns: {told}" if p < CHANCE else f"nothing learns: {told}"), p


def _check(phases: Sequence[Phase]) -> None:
    names = [phase.name for phase in phases]
    if not phases or phases[0].search is None:
        raise JobError(
            "phases: the first one is a search; give it search=functools.partial(og.search, space, estimator)"
        )
    for name in names:
        if names.count(name) > 1:
            raise JobError(f"phases: {name!r} stands there twice; each has a folder of its own name")
    if phases[-1].search is None and phases[-1].go.learns is not None:
        raise JobError(f"phase {names[-1]!r}: `learns` is for phases that search; give go=Go(best=...) instead")
    for phase in phases[:-1]:
        if phase.search is None:
            raise JobError(f"phase {phase.name!r} has no search; full training of the best comes last")


def _begun(new: Funnel) -> Funnel:
    """The funnel that is in the folder already, or `new`, written there."""
    there = open_funnel(new.folder)
    if there is None:
        if (new.folder / JOURNAL).exists():
            raise RunError(f"{new.folder} holds a search without phases; choose another folder for the funnel")
        try:
            new.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"the funnel's folder {new.folder} cannot be made: {error}; choose another one") from error
        _write(new)
        return new
    judged = list(there.verdicts)
    if list(new.phases)[: len(judged)] != judged:
        raise RunError(
            f"the funnel in {new.folder} went through {', '.join(judged)}, and its phases are now {', '.join(new.phases)}; "
            "put them back, or start a new one in another folder"
        )
    return Funnel(new.folder, new.phases, there.verdicts, new.last)


def _carry_out(phase: Phase, former: Run | None, folder: Path) -> tuple[Run, PhaseVerdict]:
    if phase.search is None:
        assert former is not None  # the first phase searches
        return former, _finalized(phase, former)
    target = folder / phase.name
    given: dict[str, Any] = {}
    if former is not None and not (target / JOURNAL).exists() and phase.start_from:
        given["initial"] = [trial.architecture.to_json() for trial in former.top(phase.start_from)]
    run = phase.search(run=target, **given)
    return run, evaluate_phase(phase.name, run.state, phase.go)


def _finalized(phase: Phase, former: Run) -> PhaseVerdict:
    stage = former.finalize(**phase.finalize)
    finalists = [network for network in stage.networks if network.trial is not None]
    means = {
        network.name: {name: float(np.mean(values)) for name, values in network.values.items() if len(values)}
        for network in finalists
    }
    failures = sum(len(network.failures) for network in finalists)
    trainings = failures + sum(len(network.seeds) for network in finalists)
    checks: list[Check] = [(bool(stage.winners), f"winner of full training: {', '.join(stage.winners) or 'none'}")]
    share = phase.go.failed
    if share is not None or failures:
        fine = share is None or failures <= share * trainings
        checks.append((fine, f"{failures} of {trainings} full trainings failed{'' if fine else f', {share:.0%} may'}"))
    if phase.go.best:
        checks.append(_reached(phase.go.best, [means[name] for name in stage.winners if name in means]))
    if stage.cost_ratio is not None:
        checks.append((True, f"one full training took {stage.cost_ratio:.3g} times the compute of one in the search"))
    seconds = sum(network.seconds for network in stage.networks)
    numbers = {"trials": float(trainings), "failed": float(failures), "seconds": seconds}
    return _verdict(phase.name, checks, numbers, "every finalist was trained")


def _write(state: Funnel) -> None:
    """Keep the verdicts, in one step: a process that dies leaves the former file or this one."""
    data = {
        "format": FORMAT,
        "phases": list(state.phases),
        "last": state.last,
        "verdicts": [asdict(state.verdicts[name]) for name in state.phases if name in state.verdicts],
    }
    path = state.folder / FUNNEL
    try:
        replace_text(path, json.dumps(data, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
