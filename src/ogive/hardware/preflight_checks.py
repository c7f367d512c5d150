"""The preflight: build and run sampled architectures, without training, before a search starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ogive.errors import SpaceError
from ogive.formatting import plural
from ogive.hardware.dry_run import DryRunResult, dry_run
from ogive.hardware.example_inputs import make_example_inputs
from ogive.hardware.model_cost import FLOP_CONVENTION, ModelCost
from ogive.hardware.preflight_result import Failure, Preflight
from ogive.seeds import derive, generator
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, IntegerRange
from ogive.space.moves import complete

MAX_NEIGHBOURS = 200
"""At most this many neighbours are tried in the search for a smaller architecture with the same failure."""
MAX_DRAWS_PER_SAMPLE = 100
"""At most this many random draws are made for each requested sample. Many draws may violate the constraint of the space."""


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
        raise SpaceError(f"preflight(samples={samples}): samples must be at least 1")
    if space.tree is None:
        raise SpaceError("this space was read from a journal and has no layers; load it from where it is declared")
    # The inputs are not used here. A space without an example input raises an error before anything is sampled.
    make_example_inputs(space, "meta")
    architectures, infeasible_reasons = _sample_architectures(space, samples, seed)
    distinct_results: dict[Architecture, DryRunResult] = {}
    for architecture in architectures:
        if architecture not in distinct_results:
            distinct_results[architecture] = dry_run(architecture, derive(seed, "build"))
    results = [distinct_results[architecture] for architecture in architectures]
    # Draws that violate the constraint are counted in `infeasible_reasons`, but are not in `architectures`. Architectures
    # whose code raises `Infeasible` are in both.
    draws = len(architectures) + infeasible_reasons.total()
    infeasible_reasons.update(result.infeasible_reason for result in results if result.infeasible_reason is not None)
    failures = [result.failure for result in results if result.failure]
    costs = [result.cost for result in results if result.cost]
    return Preflight(
        samples=len(architectures),
        draws=draws,
        infeasible=infeasible_reasons.total() / draws,
        reasons=tuple(infeasible_reasons.most_common()),
        duplicates=1 - len({architecture.id for architecture in architectures}) / len(architectures),
        failed=len(failures) / len(architectures),
        failures=_find_smallest_failures(failures, seed),
        costs=tuple(costs),
        notes=_collect_notes(samples, architectures, results, costs),
    )


def _sample_architectures(space: Space, samples: int, seed: int) -> tuple[list[Architecture], Counter[str]]:
    """Sample architectures until `samples` of them satisfy the constraint, or the maximum number of draws is reached.

    Returns:
        The architectures that satisfy the constraint, and the number of draws that violate it, by reason.

    Raises:
        SpaceError: no draw satisfies the constraint.
    """
    rng = generator(seed, "preflight")
    architectures: list[Architecture] = []
    violations: Counter[str] = Counter()
    for _ in range(MAX_DRAWS_PER_SAMPLE * samples):
        if len(architectures) == samples:
            break
        uniform_numbers = rng.random(len(space.decisions)).tolist()
        architecture = Architecture(space, complete(space.decisions, {}, uniform_numbers))
        reason = space.violation(architecture)
        if reason is None:
            architectures.append(architecture)
        else:
            violations[reason] += 1
    if not architectures:
        reason, count = violations.most_common(1)[0]
        raise SpaceError(
            f"all {violations.total()} sampled architectures violate the constraint, {count} of them because: {reason}. "
            "Relax the constraint, or declare the space so that its architectures satisfy it"
        )
    return architectures, violations


def _find_smallest_failures(failures: list[Failure], seed: int) -> tuple[Failure, ...]:
    """Return one failure of each kind, with an architecture that is as small as possible; the most frequent kind first."""
    failures_by_kind: dict[tuple[str, ...], list[Failure]] = {}
    for failure in failures:
        failures_by_kind.setdefault(_get_kind(failure), []).append(failure)
    groups = sorted(failures_by_kind.values(), key=len, reverse=True)
    return tuple(
        replace(_find_smaller_failure(min(group, key=_make_size_key), seed), count=len(group)) for group in groups
    )


def _get_kind(failure: Failure) -> tuple[str, ...]:
    """Return the kind of a failure: its phase, the class of the exception, and the class of the layer."""
    return failure.phase, failure.error, failure.layer_class


def _make_size_key(failure: Failure) -> tuple[int, int, int]:
    """Return a sort key: the number of active decisions, then of parameters, then the sum of the label indices."""
    return len(failure.architecture), failure.parameters, _sum_label_indices(failure.architecture)


def _sum_label_indices(architecture: Architecture) -> int:
    """Return the sum of the indices of the labels in their decisions; real numbers and subsets count as 0."""
    index_sum = 0
    for decision in architecture.space.decisions:
        label = architecture.get(decision.name)
        match decision.domain:
            case Categorical(labels) if label is not None:
                index_sum += labels.index(label)
            case IntegerRange(low, _, step) if label is not None:
                index_sum += (label - low) // step
    return index_sum


def _find_smaller_failure(failure: Failure, seed: int) -> Failure:
    """Move greedily to smaller neighbours that fail in the same way, and return the failure of the last one.

    Args:
        failure: the failure to start from.
        seed: the seed of the random numbers in the user's code.
    """
    remaining_runs, tested = MAX_NEIGHBOURS, {failure.architecture}
    while True:
        neighbours = sorted(
            failure.architecture.space.neighbors(failure.architecture), key=lambda a: (len(a), _sum_label_indices(a))
        )
        for neighbour in neighbours:
            if neighbour in tested or len(neighbour) > len(failure.architecture):
                continue
            if not remaining_runs:
                return failure
            remaining_runs -= 1
            tested.add(neighbour)
            neighbour_failure = dry_run(neighbour, derive(seed, "build")).failure
            if (
                neighbour_failure
                and _get_kind(neighbour_failure) == _get_kind(failure)
                and _make_size_key(neighbour_failure) < _make_size_key(failure)
            ):
                failure = neighbour_failure
                break
        else:
            return failure


def _collect_notes(
    samples: int, architectures: list[Architecture], results: list[DryRunResult], costs: list[ModelCost]
) -> tuple[str, ...]:
    """Return the notes of the result.

    Args:
        samples: the number of architectures that were requested.
        architectures: the sampled architectures.
        results: the result of each sampled architecture.
        costs: the costs of the architectures that could be run.
    """
    notes = []
    if costs:
        notes.append(
            f"for batch size 1; FLOPs are counted by {FLOP_CONVENTION}; activation memory is the size of the outputs of the "
            "innermost modules"
        )
    if len(architectures) < samples:
        notes.append(
            f"{samples} samples were requested, but only {len(architectures)} of {MAX_DRAWS_PER_SAMPLE * samples:,} draws "
            "satisfy the constraint"
        )
    meta_errors = [result.meta_error for result in results if result.meta_error is not None]
    if meta_errors:
        notes.append(
            f"{plural(len(meta_errors), 'sample')} failed on the meta device and ran on the CPU with zeros; the first "
            f"error: {meta_errors[0]}"
        )
    return tuple(notes)
