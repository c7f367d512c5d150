"""A small search in memory, with all that can befall a strategy: the material of `check_strategy`.

An episode goes like a run: proposals are asked for while others are in flight, notes come back as JSON, trials are told
at a rung, paused, told again further on, and fail in every way that there is. What happens to a trial is a function of
its number and its architecture, so two episodes differ only where their strategies do.
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
Judge = Callable[[TrialId, Proposal], Iterator[Trial]]
"""What is told of a trial, one record after another."""

FAILURES = tuple(status for status in Status if status.failed)
RUNGS = (1, 3, 9)


@dataclass(frozen=True)
class EpisodeProblem:
    """What is sought in an episode."""

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


@dataclass(frozen=True)
class Ask:
    """One question and its answer; `told` records had been told before."""

    number: int
    told: int
    in_flight: Mapping[TrialId, Proposal]
    fidelity: Fidelity
    answer: Proposal


@dataclass
class Episode:
    """What was asked and told, in order."""

    asks: list[Ask] = field(default_factory=list)
    tells: list[Trial] = field(default_factory=list)

    def answers(self) -> list[str]:
        return [describe(ask.answer) for ask in self.asks]


def describe(proposal: Proposal) -> str:
    """A proposal as text, equal for equal proposals."""
    return json.dumps(
        [proposal.architecture.to_json(), proposal.inherit, dict(proposal.settings), dict(proposal.note)],
        sort_keys=True,
    )


def journalled(proposal: Proposal) -> Proposal:
    """The proposal as it comes back from a journal."""
    settings, note = json.loads(json.dumps([dict(proposal.settings), dict(proposal.note)], allow_nan=False))
    return replace(proposal, settings=settings, note=note)


def play(
    strategy: Strategy,
    judge: Judge,
    trials: int,
    workers: int = 3,
    seed: int = 0,
    before_ask: Callable[[Strategy, Pending], None] = lambda strategy, pending: None,
) -> Episode:
    """Ask for `trials` proposals, with up to `workers` in flight, and tell what the judge says, in a shuffled order.

    Fewer where the strategy says that the space is exhausted.
    """
    episode, in_flight = Episode(), dict[TrialId, Proposal]()
    open_trials: dict[TrialId, Iterator[Trial]] = {}
    world = generator(seed, "world")
    while len(episode.asks) < trials or open_trials:
        if len(in_flight) < workers and len(episode.asks) < trials:
            number = len(episode.asks)
            fidelity = {"epochs": float(RUNGS[number % len(RUNGS)])}
            pending = Pending(MappingProxyType(in_flight))
            before_ask(strategy, pending)
            try:
                answer = journalled(strategy.ask(random_numbers(seed, number), pending, fidelity))
            except SpaceExhausted:
                trials = number
                continue
            episode.asks.append(Ask(number, len(episode.tells), dict(in_flight), fidelity, answer))
            in_flight[number] = answer
            open_trials[number] = judge(number, answer)
            continue
        number = list(open_trials)[int(world.integers(len(open_trials)))]
        trial = next(open_trials[number], None)
        if trial is None:
            del open_trials[number]
        else:
            in_flight.pop(number, None)
            episode.tells.append(trial)
            strategy.tell(trial)
    return episode


def metrics(architecture: Architecture, step: int) -> dict[str, float]:
    """Numbers in [0, 1] that are a function of the architecture, with many ties; higher steps bring them further."""
    digest = hashlib.sha256(f"{sorted(architecture.items())}".encode()).digest()
    names = ("accuracy", "loss", "parameters", "latency", "memory")
    values = {name: byte % 8 / 8 for name, byte in zip(names, digest, strict=False)}
    return {**values, "accuracy": values["accuracy"] * (1 - 0.5**step), "loss": values["loss"] * (1 + 0.5**step)}


def plain(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Every trial is told once, at its end."""
    reports = (Report(1, metrics(proposal.architecture, 1)),)
    yield Trial(number, proposal, status=Status.FINISHED, reports=reports)


def stormy(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Rungs, pauses, trials that go on, and every failure, at once and late; NaN and missing metrics."""
    reports: tuple[Report, ...] = ()
    fails = FAILURES[number % len(FAILURES)] if number % 4 == 3 else None
    late = number % 8 == 7
    for place, step in enumerate(RUNGS[: 1 + number % len(RUNGS)]):
        if fails and (place or not late):
            yield Trial(number, proposal, status=fails, reports=reports, reason="as planned")
            return
        values = metrics(proposal.architecture, step)
        if number % 10 == 6:
            values = {**values, "accuracy": math.nan, "latency": math.inf}
        if number % 10 == 9:
            del values["accuracy"], values["loss"], values["memory"]
        reports = (*reports, Report(step, values))
        yield Trial(number, proposal, {"epochs": step}, status=Status.PAUSED, reports=reports)
    yield Trial(number, proposal, {"epochs": reports[-1].step}, status=Status.FINISHED, reports=reports)


def hopeless(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Every trial fails."""
    yield Trial(number, proposal, status=FAILURES[number % len(FAILURES)], reason="as planned")


def level(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """All trials are equally good."""
    values = dict.fromkeys(metrics(proposal.architecture, 1), 0.25)
    yield Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, values),))


def noisy(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """What is measured has noise as large as the differences: the same architecture is good at one time and bad at
    another.
    """
    values = metrics(proposal.architecture, 1)
    noise = generator(number, "noise").standard_normal(len(values))
    reports = (Report(1, {name: value + z for (name, value), z in zip(values.items(), noise.tolist(), strict=True)}),)
    yield Trial(number, proposal, status=Status.FINISHED, reports=reports)


def extreme(number: TrialId, proposal: Proposal) -> Iterator[Trial]:
    """Finite numbers of all sizes, which overflow where they are added or squared."""
    size = (1.0, 1.7e308, -1.7e308, 1e12, 1e-300, 5e-324, 0.0)[number % 7]
    values = {name: size * (value or 1.0) for name, value in metrics(proposal.architecture, 1).items()}
    yield Trial(number, proposal, status=Status.FINISHED, reports=(Report(1, values),))


JUDGES: Mapping[str, Judge] = {
    "plain": plain,
    "stormy": stormy,
    "hopeless": hopeless,
    "level": level,
    "noisy": noisy,
    "extreme": extreme,
}


def random_numbers(seed: int, number: int) -> np.random.Generator:
    """The generator that `play` hands to ask number `number`."""
    return generator(seed, "ask", number)
