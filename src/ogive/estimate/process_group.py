"""The process group of the ranks that train one model together: `torch.distributed` around one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ogive.run.estimator import Team

AnyRank = Callable[[bool], bool]
"""Returns whether its argument is true on any of the ranks. Each rank has to call it, and waits for all others."""

AGREEMENT_TIMEOUT = timedelta(days=365)
"""The time limit of an `AnyRank` call: rank 0 may wait for a controller that was suspended for any length of time."""


@contextmanager
def process_group(team: Team) -> Iterator[AnyRank]:
    """Initialize `torch.distributed` for the ranks of a team, with gloo for CPU tensors and nccl for GPU tensors.

    If the team has a single rank, nothing is initialized. After an error the groups are not destroyed, because that would
    wait for the other ranks, which may wait for this one.

    Yields:
        A function by which the ranks agree on a condition.
    """
    if team.size == 1:
        yield lambda value: value
        return
    import torch
    from torch import distributed

    assert team.rendezvous is not None
    on_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= team.size
    if on_gpus:
        torch.cuda.set_device(team.process_index % torch.cuda.device_count())
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
        store=_make_file_store(str(team.rendezvous), team.size),
        rank=team.rank,
        world_size=team.size,
    )
    # Agreements have their own group with a long timeout. The default timeout (30 minutes with gloo, 10 with nccl) then
    # applies to the training itself, where a rank that does not answer is an error.
    agreement_group = distributed.new_group(backend="gloo", timeout=AGREEMENT_TIMEOUT)

    def any_rank(value: bool) -> bool:
        flag = torch.tensor(int(value))
        distributed.all_reduce(flag, distributed.ReduceOp.MAX, group=agreement_group)
        return bool(flag.item())

    yield any_rank
    distributed.destroy_process_group()
    if team.rank == 0:
        team.rendezvous.unlink(missing_ok=True)


def _make_file_store(path: str, size: int) -> Any:
    """Return the store by which the ranks find each other. PyTorch's `file://` URLs do not work with spaces in the path."""
    from torch import distributed

    return distributed.FileStore(path, size)  # type: ignore[attr-defined]  # public, but missing in the stubs
