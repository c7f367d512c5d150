"""The processes that train one model together, and what they agree on: `torch.distributed` around one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ogive.run.estimator import Team

AnyOf = Callable[[bool], bool]
"""Whether it is so in any of the processes; each waits for all."""

PATIENCE = timedelta(days=365)
"""How long ranks wait for one another where rank 0 may wait for the controller, who may be stopped as long as one likes."""


@contextmanager
def process_group(team: Team) -> Iterator[AnyOf]:
    """Let the processes of a team find each other: inside, `torch.distributed` has its default process group, with gloo for
    tensors on the CPU and nccl for those on GPUs. Nothing is done for a process alone.

    What they agree on goes through a group of its own, so that PyTorch's time limit (half an hour with gloo, ten minutes
    with nccl) is for what they train alone. After an error the groups are left as they are: ending them would wait for ranks
    that wait for this one.
    """
    if team.size == 1:
        yield lambda mine: mine
        return
    import torch
    from torch import distributed

    assert team.rendezvous is not None
    on_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= team.size
    if on_gpus:
        torch.cuda.set_device(team.place % torch.cuda.device_count())
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
        store=_store(str(team.rendezvous), team.size),
        rank=team.rank,
        world_size=team.size,
    )
    patient = distributed.new_group(backend="gloo", timeout=PATIENCE)

    def any_of(mine: bool) -> bool:
        flag = torch.tensor(int(mine))
        distributed.all_reduce(flag, distributed.ReduceOp.MAX, group=patient)
        return bool(flag.item())

    yield any_of
    distributed.destroy_process_group()
    if team.rank == 0:
        team.rendezvous.unlink(missing_ok=True)


def _store(path: str, size: int) -> Any:
    """Where they meet. PyTorch's own `file://` does not understand a path with spaces."""
    from torch import distributed

    return distributed.FileStore(path, size)  # type: ignore[attr-defined]  # public, but for its stubs
