"""Wrappers that add one difficulty to a problem: noise, failures, permuted labels, or irrelevant decisions.

The optimum and its value stay the same, so the regret is still exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ogive.bench.problem import Bounds, Problem, StepResult
from ogive.errors import JobError
from ogive.hashing import hash_text
from ogive.registry import check_positive, check_whole_number
from ogive.seeds import generator
from ogive.space import Architecture, Decision, Space
from ogive.trial import Fidelity


class Wrapper(Problem):
    """A problem with one change. A subclass overrides the changed methods; all others call the wrapped problem.

    Args:
        problem: the wrapped problem.
        change: a description such as "with noise 0.1"; it is added to the name, and is part of the fingerprint.
        space: the changed space; None for the space of the wrapped problem.
    """

    def __init__(self, problem: Problem, change: str, space: Space | None = None) -> None:
        self.problem = problem
        self.space = space or problem.space
        self.name = f"{problem.name} {change}"
        self.objectives, self.constraints = problem.objectives, problem.constraints
        self.epochs, self.continuable = problem.epochs, problem.continuable
        self.split, self.source = problem.split, problem.source
        self._change = change

    def unwrap(self, architecture: Architecture) -> Architecture:
        """Return the architecture of the wrapped problem that has the same metrics as `architecture`."""
        return architecture

    def _copy_rules(self, added_decisions: Sequence[str] = ()) -> None:
        """Give the changed space the constraint and the canonical form of the wrapped space.

        Args:
            added_decisions: the decisions that the wrapped space does not have. They are part of the canonical form, so
                architectures that differ in them are distinct.
        """
        wrapped_space, space = self.problem.space, self.space
        if wrapped_space.constraint is not None:
            space.constraint = lambda architecture: wrapped_space.violation(self.unwrap(architecture))
        if wrapped_space.canonical is not None:
            space.canonical = lambda architecture: [
                self.unwrap(architecture).id,
                *(architecture[name] for name in added_decisions),
            ]

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        yield from self.problem.evaluate(self.unwrap(architecture), fidelity, seed)

    def truth(self, architecture: Architecture) -> Mapping[str, float]:
        return self.problem.truth(self.unwrap(architecture))

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return self.problem.screen(self.unwrap(architecture))

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
        return {**super().describe(), "wrapped": self.problem.describe(), "by": self._change}


def _derive_space(space: Space, rows: Sequence[Mapping[str, Any]], change: str) -> Space:
    """Return a space with the decisions `rows`; its fingerprint is a hash of `rows`, `change` and that of `space`."""
    fingerprint = hash_text(json.dumps([space.fingerprint, rows, change]))
    return Space.from_json({"decisions": rows, "fingerprint": fingerprint})


class Noisy(Wrapper):
    """Adds normal noise to the objectives. The noise depends on architecture, seed and step only.

    Args:
        problem: the wrapped problem.
        deviation: the standard deviation, in the unit of the objectives.
    """

    def __init__(self, problem: Problem, deviation: float) -> None:
        self.deviation = check_positive("noise", "deviation", deviation)
        super().__init__(problem, f"with noise {self.deviation:g}")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        rng = generator(seed, "noise", architecture.id)
        noise = rng.standard_normal(((self.epochs or 1) + 1, len(self.objectives)))
        for result in super().evaluate(architecture, fidelity, seed):
            # Row 0 is not used, because steps start at 1. The modulo has an effect only on steps beyond `epochs`.
            offsets = self.deviation * noise[result.step % len(noise)]
            noisy_metrics = {
                objective.metric: result.metrics[objective.metric] + float(offset)
                for objective, offset in zip(self.objectives, offsets, strict=True)
            }
            yield replace(result, metrics={**result.metrics, **noisy_metrics})


class EvaluationFailed(RuntimeError):
    """A simulated failure of an evaluation."""


class Failing(Wrapper):
    """Raises `EvaluationFailed` before the first report, for a share of the pairs of architecture and seed.

    Args:
        problem: the wrapped problem.
        share: the probability of a failure, above 0 and below 1.
    """

    def __init__(self, problem: Problem, share: float) -> None:
        self.share = check_positive("failures", "share", share)
        if self.share >= 1:
            raise JobError(f"failures: share is {share!r}, but must be below 1")
        super().__init__(problem, f"with {self.share:.0%} failures")

    def evaluate(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> Iterator[StepResult]:
        if generator(seed, "failure", architecture.id).random() < self.share:
            raise EvaluationFailed("a failure simulated by the benchmark")
        yield from super().evaluate(architecture, fidelity, seed)


class Permuted(Wrapper):
    """Permutes the labels of each decision at random, so that their order has no meaning.

    Not permuted are decisions that activate other decisions, real numbers, and subsets. The constraint and the canonical
    form are those of the wrapped space.

    Args:
        problem: the wrapped problem.
        seed: the seed of the permutations.
    """

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        seed = check_whole_number("permuted", "seed", seed, at_least=0)
        rows = [d.describe() for d in problem.space.decisions]
        super().__init__(problem, "with permuted alternatives", _derive_space(problem.space, rows, f"permuted {seed}"))
        self._copy_rules()
        activating_decisions = {
            name for d in problem.space.decisions for conjunction in d.when for name, _ in conjunction
        }
        self._unpermuted_labels: dict[str, dict[Any, Any]] = {}
        for decision in problem.space.decisions:
            kind = decision.domain.describe()["kind"]
            if decision.name not in activating_decisions and kind in ("one_of", "integer"):
                labels = list(decision.domain.enumerate_labels(resolution=0))  # real numbers are excluded above
                order = generator(seed, "permuted", decision.name).permutation(len(labels))
                self._unpermuted_labels[decision.name] = {
                    label: labels[i] for label, i in zip(labels, order, strict=True)
                }

    def unwrap(self, architecture: Architecture) -> Architecture:
        labels = {name: self._unpermuted_labels.get(name, {}).get(label, label) for name, label in architecture.items()}
        return self.problem.space.architecture(labels)

    def describe(self) -> dict[str, Any]:
        permuted_labels = {name: list(map(str, labels.values())) for name, labels in self._unpermuted_labels.items()}
        return {**super().describe(), "exchanged": permuted_labels}


class Padded(Wrapper):
    """Adds decisions that have no effect.

    Args:
        problem: the wrapped problem.
        decisions: the number of additional decisions.
        alternatives: the number of alternatives of each additional decision.
    """

    def __init__(self, problem: Problem, decisions: int = 4, alternatives: int = 3) -> None:
        count = check_whole_number("irrelevant", "decisions", decisions, 1)
        labels = list(range(check_whole_number("irrelevant", "alternatives", alternatives, 2)))
        names = [f"irrelevant{i}" for i in range(count)]
        rows = [d.describe() for d in problem.space.decisions]
        rows += [{"name": name, "kind": "one_of", "labels": labels} for name in names]
        super().__init__(problem, f"with {count} irrelevant decisions", _derive_space(problem.space, rows, "padded"))
        self._copy_rules(names)

    def unwrap(self, architecture: Architecture) -> Architecture:
        names = {decision.name for decision in self._wrapped_decisions}
        return self.problem.space.architecture({name: architecture[name] for name in architecture if name in names})

    @cached_property
    def _wrapped_decisions(self) -> tuple[Decision, ...]:
        return self.problem.space.decisions


WRAPPERS = {"noise": Noisy, "failures": Failing, "permuted": Permuted, "irrelevant": Padded}
"""The wrapper of each option that every benchmark accepts, as in `nk:noise=0.05`."""
