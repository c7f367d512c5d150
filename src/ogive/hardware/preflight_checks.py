"""Preflight: sampled architectures are built and run, on shapes alone, before anything trains."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ogive.errors import SpaceError
from ogive.hardware.dry_run import Outcome, attempt
from ogive.hardware.example_inputs import example_inputs
from ogive.hardware.model_cost import FLOP_CONVENTION, Cost
from ogive.hardware.preflight_result import Failure, Preflight, Spread
from ogive.seeds import derive, generator
from ogive.space import Architecture, Space
from ogive.space.domain import Categorical, IntegerRange
from ogive.space.moves import complete

SHRINK_ATTEMPTS = 200
"""Neighbours tried at most while looking for a smaller architecture that fails in the same way."""
DRAWS_PER_SAMPLE = 100
"""Random draws made at most for each sample asked for, where a constraint refuses most of them."""


def preflight(space: Space, samples: int = 200, seed: int = 0) -> Preflight:
    """Sample architectures, build each and run it in eval mode on the meta device, and say what was found.

    The meta device computes shapes and no values. What fails there is judged on the CPU with zeros, so that factories
    which need values or name a device are not taken for wrong; a note says so. For each kind of failure (same
    exception, same class of layer) a smaller architecture that fails in the same way is looked for among the
    neighbours, greedily.

    Args:
        space: with an example input.
        samples: architectures to sample, from 1.
        seed: of the sampling, and of whatever the factories draw.

    Raises:
        SpaceError: no example input, a space without layers, or a constraint that allowed nothing in 100 draws a sample.
    """
    if samples < 1:
        raise SpaceError(f"preflight(samples={samples}): at least 1")
    if space.tree is None:
        raise SpaceError("this space was read from a journal and holds no layers; load it from where it is declared")
    example_inputs(space, "meta")
    drawn, refused = _draw(space, samples, seed)
    tried: dict[Architecture, Outcome] = {}
    for architecture in drawn:
        if architecture not in tried:
            tried[architecture] = attempt(architecture, derive(seed, "build"))
    outcomes = [tried[architecture] for architecture in drawn]
    refused.update(outcome.infeasible for outcome in outcomes if outcome.infeasible)
    draws = len(drawn) + refused.total() - sum(bool(outcome.infeasible) for outcome in outcomes)
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    costs = [outcome.cost for outcome in outcomes if outcome.cost]
    return Preflight(
        samples=len(drawn),
        draws=draws,
        infeasible=refused.total() / draws,
        reasons=tuple(refused.most_common()),
        duplicates=1 - len({architecture.id for architecture in drawn}) / len(drawn),
        failed=len(failures) / len(drawn),
        failures=_smallest_of_each_kind(failures, seed),
        parameters=Spread.of([cost.parameters for cost in costs]),
        flops=Spread.of([cost.flops for cost in costs]),
        activation_memory=Spread.of([cost.activation_memory for cost in costs]),
        notes=_notes(samples, drawn, outcomes, costs),
    )


def _draw(space: Space, samples: int, seed: int) -> tuple[list[Architecture], Counter[str]]:
    """Up to `samples` architectures that the constraint allows, and the reasons of the draws that it refused."""
    rng = generator(seed, "preflight")
    drawn: list[Architecture] = []
    refused: Counter[str] = Counter()
    for _ in range(DRAWS_PER_SAMPLE * samples):
        if len(drawn) == samples:
            break
        uniform = rng.random(len(space.decisions)).tolist()
        architecture = Architecture(space, complete(space.decisions, {}, uniform))
        reason = space.violation(architecture)
        if reason is None:
            drawn.append(architecture)
        else:
            refused[reason] += 1
    if not drawn:
        reason, times = refused.most_common(1)[0]
        raise SpaceError(
            f"the constraint refused all of {refused.total()} samples; {times} times because: {reason}. Loosen it, or "
            "declare the space so that it is met by construction"
        )
    return drawn, refused


def _smallest_of_each_kind(failures: list[Failure], seed: int) -> tuple[Failure, ...]:
    kinds: dict[tuple[str, ...], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault(_kind(failure), []).append(failure)
    ordered = sorted(kinds.values(), key=len, reverse=True)
    return tuple(replace(_shrink(min(group, key=_size), seed), count=len(group)) for group in ordered)


def _kind(failure: Failure) -> tuple[str, ...]:
    return failure.phase, failure.error, failure.layer_class


def _size(failure: Failure) -> tuple[int, int, int]:
    """Fewer decisions first, then fewer parameters, then earlier labels."""
    return len(failure.architecture), failure.parameters, _rank(failure.architecture)


def _rank(architecture: Architecture) -> int:
    """Sum of the labels' positions in their decisions; real numbers and subsets count nothing."""
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
    """The end of a greedy walk over neighbours that are smaller and fail in the same way."""
    left, seen = SHRINK_ATTEMPTS, {failure.architecture}
    while True:
        near = sorted(failure.architecture.space.neighbors(failure.architecture), key=lambda a: (len(a), _rank(a)))
        for neighbor in near:
            if neighbor in seen or len(neighbor) > len(failure.architecture):
                continue
            if not left:
                return failure
            left -= 1
            seen.add(neighbor)
            other = attempt(neighbor, derive(seed, "build")).failure
            if other and _kind(other) == _kind(failure) and _size(other) < _size(failure):
                failure = other
                break
        else:
            return failure


def _notes(samples: int, drawn: list[Architecture], outcomes: list[Outcome], costs: list[Cost]) -> tuple[str, ...]:
    notes = []
    if costs:
        notes.append(f"FLOPs by {FLOP_CONVENTION}; activation memory is what the innermost modules put out at batch 1")
    if len(drawn) < samples:
        notes.append(f"gave up sampling after {DRAWS_PER_SAMPLE} draws for each of the {samples} samples asked for")
    on_cpu = [outcome.meta for outcome in outcomes if outcome.meta]
    if on_cpu:
        notes.append(
            f"{len(on_cpu)} cannot run on the meta device and ran on the CPU with zeros; the first: {on_cpu[0]}"
        )
    return tuple(notes)
