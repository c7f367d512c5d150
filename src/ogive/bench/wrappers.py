"""Difficulties that can be put around any problem, one at a time; what was best stays best, so regret stays exact."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ogive.bench.problem import Bounds, Observation, Problem
from ogive.errors import JobError
from ogive.hashing import hash_text
from ogive.registry import positive, whole
from ogive.seeds import generator
from ogive.space import Architecture, Decision, Space
from ogive.trial import Fidelity


class Wrapper(Problem):
    """`problem` with something changed; a subclass changes what it names and passes on all else."""

    def __init__(self, problem: Problem, what: str, space: Space | None = None) -> None:
        self.problem = problem
        self.space = space or problem.space
        self.name = f"{problem.name} {what}"
        self.objectives, self.constraints = problem.objectives, problem.constraints
        self.epochs, self.continuable = problem.epochs, problem.continuable
        self.split, self.source = problem.split, problem.source
        self._what = what

    def inner(self, architecture: Architecture) -> Architecture:
        """The wrapped problem's architecture."""
        return architecture

    def _stand_in(self, besides: Sequence[str] = ()) -> None:
        """Let the space allow, and take for the same, what the wrapped one does; decisions `besides` tell apart."""
        inner, space = self.problem.space, self.space
        if inner.constraint is not None:
            space.constraint = lambda architecture: inner.violation(self.inner(architecture))
        if inner.canonical is not None:
            space.canonical = lambda architecture: [
                self.inner(architecture).id,
                *(architecture[name] for name in besides),
            ]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        yield from self.problem.evaluate(self.inner(architecture), fidelity, seed)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        return self.problem.truth(self.inner(architecture))

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return self.problem.screen(self.inner(architecture))

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return self.problem.bounds

    @property
    def front(self) -> list[Mapping[str, float]]:
        return self.problem.front

    @property
    def reference(self) -> tuple[float, ...]:
        return self.problem.reference

    @property
    def full_seconds(self) -> float:
        return self.problem.full_seconds

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "wrapped": self.problem.describe(), "by": self._what}


def _other(space: Space, rows: Sequence[Mapping[str, Any]], what: str) -> Space:
    """A space of these decisions that stands for `space`."""
    code = hash_text(json.dumps([space.fingerprint, rows, what]))
    return Space.from_json({"decisions": rows, "fingerprint": code})


class Noisy(Wrapper):
    """Normal noise on what a search sees: the same for the same architecture, seed and step.

    Args:
        deviation: standard deviation, in the objectives' own unit.
    """

    def __init__(self, problem: Problem, deviation: float) -> None:
        self.deviation = positive("noise", "deviation", deviation)
        super().__init__(problem, f"with noise {self.deviation:g}")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        rng = generator(seed, "noise", architecture.id)
        noise = rng.standard_normal(((self.epochs or 1) + 1, len(self.objectives)))
        for seen in super().evaluate(architecture, fidelity, seed):
            shifts = self.deviation * noise[seen.step % len(noise)]
            shifted = {
                o.metric: seen.metrics[o.metric] + float(s) for o, s in zip(self.objectives, shifts, strict=True)
            }
            yield replace(seen, metrics={**seen.metrics, **shifted})


class EvaluationFailed(RuntimeError):
    """A failure that a benchmark has planted."""


class Failing(Wrapper):
    """A share of the evaluations raises, before anything is reported; which ones depends on architecture and seed.

    Args:
        share: between 0 and 1, both excluded.
    """

    def __init__(self, problem: Problem, share: float) -> None:
        self.share = positive("failures", "share", share)
        if self.share >= 1:
            raise JobError(f"failures: share is {share!r}, but must be below 1")
        super().__init__(problem, f"with {self.share:.0%} failures")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[Observation]:
        if generator(seed, "failure", architecture.id).random() < self.share:
            raise EvaluationFailed("planted by the benchmark")
        yield from super().evaluate(architecture, fidelity, seed)


class Permuted(Wrapper):
    """The labels of each decision exchanged at random: what order they had tells nothing any more.

    Decisions that activate others keep their labels, and so do real numbers and subsets. What is allowed, and which
    architectures are the same, is what the wrapped space says of those that they stand for.
    """

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        seed = whole("permuted", "seed", seed, at_least=0)
        rows = [d.describe() for d in problem.space.decisions]
        super().__init__(problem, "with permuted alternatives", _other(problem.space, rows, f"permuted {seed}"))
        self._stand_in()
        conditions = {name for d in problem.space.decisions for conjunction in d.when for name, _ in conjunction}
        self._exchanged: dict[str, dict[Any, Any]] = {}
        for decision in problem.space.decisions:
            kind = decision.domain.describe()["kind"]
            if decision.name not in conditions and kind in ("one_of", "integer"):
                labels = list(decision.domain.all(0))
                order = generator(seed, "permuted", decision.name).permutation(len(labels))
                self._exchanged[decision.name] = {label: labels[i] for label, i in zip(labels, order, strict=True)}

    def inner(self, architecture: Architecture) -> Architecture:
        choices = {name: self._exchanged.get(name, {}).get(label, label) for name, label in architecture.items()}
        return self.problem.space.architecture(choices)

    def describe(self) -> dict[str, Any]:
        exchanged = {name: list(map(str, labels.values())) for name, labels in self._exchanged.items()}
        return {**super().describe(), "exchanged": exchanged}


class Padded(Wrapper):
    """Further decisions that change nothing.

    Args:
        decisions: how many.
        alternatives: of each.
    """

    def __init__(self, problem: Problem, decisions: int = 4, alternatives: int = 3) -> None:
        count = whole("irrelevant", "decisions", decisions, 1)
        labels = list(range(whole("irrelevant", "alternatives", alternatives, 2)))
        names = [f"irrelevant{i}" for i in range(count)]
        rows = [d.describe() for d in problem.space.decisions]
        rows += [{"name": name, "kind": "one_of", "labels": labels} for name in names]
        super().__init__(problem, f"with {count} irrelevant decisions", _other(problem.space, rows, "padded"))
        self._stand_in(names)

    def inner(self, architecture: Architecture) -> Architecture:
        known = {decision.name for decision in self._decisions}
        return self.problem.space.architecture({name: architecture[name] for name in architecture if name in known})

    @cached_property
    def _decisions(self) -> tuple[Decision, ...]:
        return self.problem.space.decisions


WRAPPERS = {"noise": Noisy, "failures": Failing, "permuted": Permuted, "irrelevant": Padded}
"""By the option of a benchmark's name: `nk:noise=0.05`."""
