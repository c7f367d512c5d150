"""The preflight: build and run sampled architectures, without training, before a search starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ogive.errors import SpaceError
from ogive.formatting import plural
from ogive.hardware.dry_run import DryRunResult, dry_run
from ogive.hardware.example_inputs import example_inputs
from ogive.hardware.model_cost import FLOP_CONVENTION, Cost
from ogive.hardware.preflight_result import Failure, Preflight, Spread
from ogive.seeds import derive, generator
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, IntegerRange
from ogive.space.moves import complete

MAX_NEIGHBOURS = 200
"""The maximum number of neighbours that are tried in the search for a smaller architecture with the same failure."""
DRAWS_PER_SAMPLE = 100
"""The maximum number of random draws per sample, for constraints that most draws violate."""


def preflight(space: Space, samples: int = 200, seed: int = 0) -> Preflight:
    """Sample architectures, and build and run each in eval mode on the meta device.

    The meta device computes shapes, but no values. Models that fail there are run on the CPU with zeros, because a correct
    model may need values or use a device by name; a note in the result says so. For each kind of failure (same exception,
    same class of layer), a greedy search over neighbours finds a smaller architecture that fails in the same way.

    Args:
        space: a space with an example input.
        samples: the number of architectures, at least 1.
        seed: the seed of the sampling, and of random numbers in the user's code.

    Raises:
        SpaceError: the space has no example input or no layers, or no draw satisfies its constraint.
    """
    if samples < 1:
        raise SpaceError(f"preflight(samples={samples}): at least 1")
    if space.tree is None:
        raise SpaceError("this space was read from a journal and has no layers; load it from where it is declared")
    example_inputs(space, "meta")
    sample, infeasible = _draw_sample(space, samples, seed)
    by_architecture: dict[Architecture, DryRunResult] = {}
    for architecture in sample:
        if architecture not in by_architecture:
            by_architecture[architecture] = dry_run(architecture, derive(seed, "build"))
    results = [by_architecture[architecture] for architecture in sample]
    # An architecture is infeasible if it violates the constraint, and then is not in the sample, or if it raises Infeasible.
    draws = len(sample) + infeasible.total()
    infeasible.update(result.infeasible_reason for result in results if result.infeasible_reason is not None)
    failures = [result.failure for result in results if result.failure]
    costs = [result.cost for result in results if result.cost]
    return Preflight(
        samples=len(sample),
        draws=draws,
        infeasible=infeasible.total() / draws,
        reasons=tuple(infeasible.most_common()),
        duplicates=1 - len({architecture.id for architecture in sample}) / len(sample),
        failed=len(failures) / len(sample),
        failures=_smallest_of_each_kind(failures, seed),
        parameters=Spread.of([cost.parameters for cost in costs]),
        flops=Spread.of([cost.flops for cost in costs]),
        activation_memory=Spread.of([cost.activation_memory for cost in costs]),
        notes=_collect_notes(samples, sample, results, costs),
    )


def _draw_sample(space: Space, samples: int, seed: int) -> tuple[list[Architecture], Counter[str]]:
    """Return up to `samples` architectures that satisfy the constraint, and how often draws violated it, by reason."""
    rng = generator(seed, "preflight")
    sample: list[Architecture] = []
    violations: Counter[str] = Counter()
    for _ in range(DRAWS_PER_SAMPLE * samples):
        if len(sample) == samples:
            break
        uniform = rng.random(len(space.decisions)).tolist()
        architecture = Architecture(space, complete(space.decisions, {}, uniform))
        reason = space.violation(architecture)
        if reason is None:
            sample.append(architecture)
        else:
            violations[reason] += 1
    if not sample:
        reason, count = violations.most_common(1)[0]
        raise SpaceError(
            f"all of {violations.total()} random architectures violate the constraint; {count} of them because: {reason}. "
            "Relax the constraint, or declare the space so that its architectures satisfy it"
        )
    return sample, violations


def _smallest_of_each_kind(failures: list[Failure], seed: int) -> tuple[Failure, ...]:
    """Return the smallest architecture found for each kind of failure, the most frequent kind first."""
    kinds: dict[tuple[str, ...], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault(_kind(failure), []).append(failure)
    ordered = sorted(kinds.values(), key=len, reverse=True)
    return tuple(replace(_shrink(min(group, key=_size), seed), count=len(group)) for group in ordered)


def _kind(failure: Failure) -> tuple[str, ...]:
    return failure.phase, failure.error, failure.layer_class


def _size(failure: Failure) -> tuple[int, int, int]:
    """Return the sort key of a failure: the number of decisions, then of parameters, then the rank of the labels."""
    return len(failure.architecture), failure.parameters, _rank(failure.architecture)


def _rank(architecture: Architecture) -> int:
    """Return the sum of the indices of the labels in their decisions; real numbers and subsets count as 0."""
    rank = 0
    for decision in architecture.space.decisions:
        label = architecture.get(decision.name)
        match decision.domain:
            case Categorical(labels) if label is not None:
                rank += labels.index(label)
            case IntegerRange(low, _, step) if label is not None:
                rank += (label - low) // step
    return rank


def _shrink(failure: Failure, seed: int) -> Failure:
    """Move greedily to smaller neighbours that fail in the same way, and return the failure of the last one."""
    remaining, tried = MAX_NEIGHBOURS, {failure.architecture}
    while True:
        neighbours = sorted(
            failure.architecture.space.neighbors(failure.architecture), key=lambda a: (len(a), _rank(a))
        )
        for neighbour in neighbours:
            if neighbour in tried or len(neighbour) > len(failure.architecture):
                continue
            if not remaining:
                return failure
            remaining -= 1
            tried.add(neighbour)
            other = dry_run(neighbour, derive(seed, "build")).failure
            if other and _kind(other) == _kind(failure) and _size(other) < _size(failure):
                failure = other
                break
        else:
            return failure


def _collect_notes(
    samples: int, sample: list[Architecture], results: list[DryRunResult], costs: list[Cost]
) -> tuple[str, ...]:
    notes = []
    if costs:
        notes.append(
            f"FLOPs by {FLOP_CONVENTION}; activation memory of the outputs of the innermost modules at batch 1"
        )
    if len(sample) < samples:
        notes.append(
            f"{samples} samples were requested, but only {len(sample)} of {DRAWS_PER_SAMPLE * samples:,} draws satisfy the "
            "constraint"
        )
    meta_errors = [result.meta_error for result in results if result.meta_error is not None]
    if meta_errors:
        notes.append(
            f"{plural(len(meta_errors), 'sample')} failed on the meta device and ran on the CPU with zeros; the first "
            f"error: {meta_errors[0]}"
        )
    return tuple(notes)
