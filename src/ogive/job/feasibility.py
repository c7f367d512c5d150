"""Check of a job with a few sampled architectures: at least one can be built and satisfies the hard constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ogive import strategy as strategies
from ogive.errors import Infeasible, JobError
from ogive.job import estimator_parts
from ogive.job.user_modules import format_user_error
from ogive.job.yaml_source import Source, locate_errors
from ogive.seeds import generator
from ogive.session.search_checks import check_hard_constraints
from ogive.space import Architecture
from ogive.trial import Pending
from ogive.user_code import USER_EXCEPTIONS

if TYPE_CHECKING:
    from ogive.job.job import Job

CHECKED_SAMPLES = 5
"""The number of architectures that are sampled for a check."""


def check_feasible(source: Source, job: Job) -> None:
    """Sample architectures, and check that the job can evaluate some of them.

    Raises:
        JobError: none of the sampled architectures can be built, none can be screened, or none of the architectures that
            random search proposes satisfies the hard constraints.
    """
    with locate_errors(source, "space"):
        rng = generator(job.keys.seed, "check")
        samples = [job.space.sample(rng) for _ in range(CHECKED_SAMPLES)]
        # If the space has an example input, the preflight of `ogive check` builds architectures, so nothing is built here.
        if job.space.example_input is None and estimator_parts.builds_models(job.estimator):
            _check_any(samples, lambda architecture: architecture.build(seed=0), "built", job.folders)
    if any(constraint.hard for constraint in job.constraints):
        strategy = strategies.create("random", job.space, job.objectives, job.constraints)
        constrained_strategy = strategies.Constrained(strategies.Deduplicated(strategy), job.estimator.screen)
        with locate_errors(source, "constraints"):
            _check_any(samples, job.estimator.screen, "screened", job.folders)
            check_hard_constraints(job.space, job.estimator, job.constraints, job.keys.seed)
            # The proposal is not needed: this call raises JobError if no proposal satisfies the hard constraints.
            constrained_strategy.ask(generator(job.keys.seed, "check"), Pending(), {})


def _check_any(
    samples: Sequence[Architecture], check: Callable[[Architecture], object], action: str, folders: Sequence[str]
) -> None:
    """Check that at least one of the architectures can be built or screened.

    A search continues after the failure of some architectures. An architecture that raises Infeasible is not a failure.

    Args:
        samples: the architectures.
        check: a function that builds or screens an architecture; it may raise an exception.
        action: "built" or "screened", for the message.
        folders: the folders of the user's code, for the message.

    Raises:
        JobError: no architecture can be built or screened, and at least one raises another exception than Infeasible. The
            message contains the first such error.
    """
    errors: list[BaseException] = []
    for architecture in samples:
        try:
            check(architecture)
            return
        except Infeasible:
            continue
        except USER_EXCEPTIONS as error:
            errors.append(error)
    if errors:
        raise JobError(
            f"no sampled architecture can be {action}; the first error: {format_user_error(errors[0], folders)}"
        ) from errors[0]
