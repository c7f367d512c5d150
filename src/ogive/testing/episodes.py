"""Short searches in memory, with all kinds of trials, for the conformance suite of strategies.

An episode proceeds like a run: proposals are requested while other trials are pending, notes are converted to JSON and
back, and trials report at rungs, are paused, continue, and fail in every possible way. The records of a trial depend only on
its number and its architecture, so two episodes differ only if their strategies do.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ogive.errors import SpaceExhausted
from ogive.objective import Constraint, Objective
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.strategy.base import Strategy
from ogive.trial import Fidelity, Pending, Proposal, Report, Status, Trial, TrialId

MakeStrategy = Callable[[Space, tuple[Objective, ...], tuple[Constraint, ...]], Strategy]
Outcome = Callable[[TrialId, Proposal], Iterator[Trial]]
"""A function that yields the successive records of a trial for the strategy, given the number and proposal of the trial."""

FAILURES = tuple(status for status in Status if status.failed)
RUNGS = (1, 3, 9)


@dataclass(frozen=True)
class EpisodeProblem:
    """The objectives and constraints of an episode."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()


PROBLEMS = {
    "one objective": EpisodeProblem((Objective("accuracy"),)),
    "one objective, constrained": EpisodeProblem(
        (Objective("loss"),), (Constraint("latency", at_most=0.5, hard=True),)
    ),
    "several objectives, hard and soft constraints": EpisodeProblem(
        (Objective("accuracy"), Objective("parameters")),
        (Constraint("latency", at_most=0.5, hard=True), Constraint("memory", at_least=0.2)),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call of `Strategy.ask` and its result.

    Attributes:
        number: the number of the trial.
        tell_count: the number of calls of `tell` before this call.
        pending: the proposals of pending trials.
        fidelity: the requested fidelity.
        answer: the proposal.
    """

    number: int
    tell_count: int
    pending: Mapping[TrialId, Proposal]
    fidelity: Fidelity
    answer: Proposal


@dataclass
class Episode:
    """All calls of `ask` and `tell`, in order."""

    asks: list[Ask] = field(default_factory=list)
    tells: list[Trial] = field(default_factory=list)

    def answers(self) -> list[str]:
        """Return the proposals as texts."""
        return [describe(ask.answer) for ask in self.asks]


def describe(proposal: Proposal) -> str:
    """Return a proposal as text. Equal proposals have equal texts."""
    return json.dumps(
        [proposal.architecture.to_json(), proposal.inherit, dict(proposal.settings), dict(proposal.note)],
        sort_keys=True,
    )


def journalled(proposal: Proposal) -> Proposal:
    """Return a proposal as it would be read from a journal: with its settings and note converted to JSON and back."""
    settings, note = json.loads(json.dumps([dict(proposal.settings), dict(proposal.note)], allow_nan=False))
    return replace(proposal, settings=settings, note=note)


def run_episode(
    strategy: Strategy,
    outcome: Outcome,
    trials: int,
    workers: int = 3,
    seed: int = 0,
    before_ask: Callable[[Strategy, Pending], None] = lambda strategy, pending: None,
) -> Episode:
    """Run an episode.

    Args:
        strategy: the strategy. It receives the records of all trials, in random order.
        outcome: a function that yields the records of a trial.
        trials: the number of proposals to request. The episode ends earlier if the strategy raises SpaceExhausted.
        workers: the largest number of pending trials.
        seed: the seed of the order in which records arrive, and of the random numbers of the strategy.
        before_ask: a function that is called before every `ask`.
    """
    episode, pending_proposals = Episode(), dict[TrialId, Proposal]()
    open_trials: dict[TrialId, Iterator[Trial]] = {}
    rng = generator(seed, "world")  # decides which trial sends its next record
    while len(episode.asks) < trials or open_trials:
        if len(pending_proposals) < workers and len(episode.asks) < trials:
            number = len(episode.asks)
            fidelity = {"epochs": float(RUNGS[number % len(RUNGS)])}
            pending = Pending(MappingProxyType(pending_proposals))
            before_ask(strategy, pending)
            try:
                answer = journalled(strategy.ask(ask_generator(seed, number), pending, fidelity))
            except SpaceExhausted:  # request no more proposals, but send the remaining records
                trials = number
                continue
            ask = Ask(
                number=number,
                tell_count=len(episode.tells),
                pending=dict(pending_proposals),
                fidelity=fidelity,
                answer=answer,
            )
            episode.asks.append(ask)
            pending_proposals[number] = answer
            open_trials[number] = outcome(number, answer)
            continue
        number = list(open_trials)[int(rng.integers(len(open_trials)))]
        trial = next(open_trials[number], None)
        if trial is None:
            del open_trials[number]
        else:
            pending_proposals.pop(number, None)
            episode.tells.append(trial)
            strategy.tell(trial)
    return episode


def ask_generator(seed: int, number: int) -> np.random.Generator:
    """Return the random number generator that `run_episode` passes to `ask` for the trial `number`."""
    return generator(seed, "ask", number)


def compute_metrics(architecture: Architecture, step: int) -> dict[str, float]:
    """Return metrics in [0, 1], with many ties, that depend on the architecture; accuracy and loss improve with the step."""
    digest = hashlib.sha256(f"{sorted(architecture.items())}".encode()).digest()
    names = ("accuracy", "loss", "parameters", "latency", "memory")
    values = {name: byte % 8 / 8 for name, byte in zip(names, digest, strict=False)}
    return {**values, "accuracy": values["accuracy"] * (1 - 0.5**step), "loss": values["loss"] * (1 + 0.5**step)}


# -- outcomes ----------------------------------------------------------------------------------------------------


def finished(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Every trial reports once and finishes."""
    reports = (Report(1, compute_metrics(proposal.architecture, 1)),)
    yield Trial(number, proposal, status=Status.FINISHED, reports=reports)


def diverse(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Trials report at several rungs, are paused and continue, fail early or late, and report NaN or no value."""
    reports: tuple[Report, ...] = ()
    failure = FAILURES[number % len(FAILURES)] if number % 4 == 3 else None
    fails_late = number % 8 == 7
    for index, step in enumerate(RUNGS[: 1 + number % len(RUNGS)]):
        # A trial that fails late has a report first; if it has a single rung, it finishes instead.
        if failure and (index or not fails_late):
            yield Trial(number, proposal, status=failure, reports=reports, reason="as planned")
            return
        values = compute_metrics(proposal.architecture, step)
        if number % 10 == 6:
            values = {**values, "accuracy": math.nan, "latency": math.inf}
        if number % 10 == 9:
            del values["accuracy"], values["loss"], values["memory"]
        reports = (*reports, Report(step, values))
        yield Trial(number, proposal, {"epochs": step}, status=Status.PAUSED, reports=reports)
    yield Trial(number, proposal, {"epochs": reports[-1].step}, status=Status.FINISHED, reports=reports)


def failed(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Every trial fails without a report."""
    yield Trial(number, proposal, status=FAILURES[number % len(FAILURES)], reason="as planned")


def equal(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """All trials have equal metrics."""
    values = dict.fromkeys(compute_metrics(proposal.architecture, 1), 0.25)
    yield Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, values),))


def noisy(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """The noise of metrics is as large as the differences, so that trials of one architecture differ widely."""
    values = compute_metrics(proposal.architecture, 1)
    noise = generator(number, "noise").standard_normal(len(values))
    reports = (Report(1, {name: value + z for (name, value), z in zip(values.items(), noise.tolist(), strict=True)}),)
    yield Trial(number, proposal, status=Status.FINISHED, reports=reports)


def extreme(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Metrics are finite but so large or small that sums and squares overflow."""
    size = (1.0, 1.7e308, -1.7e308, 1e12, 1e-300, 5e-324, 0.0)[number % 7]
    values = {name: size * (value or 1.0) for name, value in compute_metrics(proposal.architecture, 1).items()}
    yield Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, values),))


OUTCOMES: Mapping[str, Outcome] = {
    "finished": finished,
    "diverse": diverse,
    "failed": failed,
    "equal": equal,
    "noisy": noisy,
    "extreme": extreme,
}
