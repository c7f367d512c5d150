"""Calls of the functions that a job refers to, which find errors in these functions before a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ogive.job.yaml_source import locate_errors
from ogive.space.build import build_example_inputs
from ogive.space.probe import probe_functions
from ogive.user_code import convert_user_errors

if TYPE_CHECKING:
    from ogive.job.job import Job


def check_space_functions(job: Job, samples: int) -> int:
    """Call the constraint, the canonical form and the graph function of the space for sampled architectures.

    Returns:
        The number of architectures that were tried; see `ogive.space.probe`.

    Raises:
        JobError: a function fails; the message names the function, the user's line and the architecture.
    """
    with locate_errors(job.source, "space"):
        return probe_functions(job.space, samples, job.keys.seed)


def check_baseline(job: Job) -> None:
    """Build the baseline, and run it on one example if the shape of the examples is known.

    Raises:
        JobError: the baseline cannot be built or run. The message names the function and the user's line.
    """
    if job.baseline is None:
        return
    import torch

    from ogive.estimate.full_training import BaselineNetwork

    example = job.space.example_input
    if example is None and job.task is not None:
        example = job.task.example_input
    with locate_errors(job.source, "baseline"):
        model = BaselineNetwork(job.baseline).build(0)
        if example is not None:
            inputs = build_example_inputs(example)
            with convert_user_errors("baseline", job.baseline), torch.no_grad():
                model.eval()(*inputs)
