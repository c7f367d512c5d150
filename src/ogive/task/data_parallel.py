"""Several processes that train one model, each on its share of every batch: the steps of one process, up to rounding.

Gradients are averaged by PyTorch's `DistributedDataParallel`. Batch normalisation takes its statistics over the whole batch,
as one process would: PyTorch's own `SyncBatchNorm` does so on GPUs only, so this module has its arithmetic for any device.
Dropout draws other masks than one process would, and on every rank its own. A model that draws which of its layers a batch
goes through must not hold batch normalisation in those: the ranks wait for each other there.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from ogive.run.estimator import Team
from ogive.seeds import derive


class DataParallel:
    """This process's part in training `model`, inside a process group of its team.

    Attributes:
        model: averages its gradients over the ranks in each backward pass.
    """

    def __init__(self, model: nn.Module, team: Team) -> None:
        self.team = team
        self._synchronised = _Switch()
        for module in model.modules():
            if isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward:
                module.forward = functools.partial(_forward, module, self._synchronised)  # type: ignore[method-assign]
        # parameters that a batch does not use keep no gradient, as in one process; for buffers see `end_epoch`
        self.model = DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)
        self._random_state = torch.get_rng_state()

    def begin_epoch(self, seed: int, number: int) -> None:
        """Seed what this rank's model draws. Order and augmentation are drawn alike on every rank, for whole batches."""
        own = derive(seed, "epoch", number, "rank", self.team.rank)
        self._random_state = torch.Generator().manual_seed(own).get_state()
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed(own)

    def end_epoch(self) -> None:
        """Give every rank the buffers of rank 0, which are what a checkpoint holds: those of batch normalisation are equal,
        and other layers may have taken theirs from a share of each batch.
        """
        for buffer in self.model.module.buffers():
            value = buffer.contiguous()
            distributed.broadcast(value, src=0)
            if value is not buffer:
                buffer.copy_(value)

    def share(self, examples: int) -> tuple[slice, float]:
        """Which of a batch's examples are this rank's, and their weight, so that the mean over ranks is the batch's mean.

        A batch of fewer examples than ranks goes through every rank whole.
        """
        rank, size = self.team.rank, self.team.size
        self._synchronised.on = examples >= size
        if examples < size:
            return slice(None), 1.0
        first, last = rank * examples // size, (rank + 1) * examples // size
        return slice(first, last), (last - first) * size / examples

    def forward(self, x: Tensor) -> Any:
        """What the model returns for this rank's share, drawing from the rank's own random state."""
        shared = torch.get_rng_state()
        torch.set_rng_state(self._random_state)
        try:
            return self.model(x)
        finally:
            self._random_state = torch.get_rng_state()
            torch.set_rng_state(shared)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over the ranks."""
        distributed.all_reduce(value)
        return value / self.team.size


def part_of(team: Team, examples: int) -> slice:
    """Which of so many examples this rank evaluates."""
    return slice(team.rank * examples // team.size, (team.rank + 1) * examples // team.size)


def joined(team: Team, examples: int, own: Tensor) -> Tensor:
    """The values [examples] of all ranks, of which `own` are those of `part_of`."""
    values = own.new_zeros(examples)
    values[part_of(team, examples)] = own
    distributed.all_reduce(values)
    return values


class _Switch:
    """Whether batch statistics are taken over all ranks now."""

    on = True


def _forward(module: _BatchNorm, synchronised: _Switch, x: Tensor) -> Tensor:
    """`module.forward` over the batches of all ranks; as ever in eval mode."""
    if not (module.training and synchronised.on):
        return type(module).forward(module, x)
    module._check_input_dim(x)  # type: ignore[no-untyped-call]
    y, mean, variance, count = _Normalise.apply(x, module.weight, module.bias, module.eps)  # type: ignore[no-untyped-call]
    if module.track_running_stats and module.running_mean is not None and module.running_var is not None:
        assert module.num_batches_tracked is not None
        module.num_batches_tracked.add_(1)
        rate = 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        with torch.no_grad():
            module.running_mean.lerp_(mean, rate)
            module.running_var.lerp_(variance * count / (count - 1), rate)
    return y  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    """Batch normalisation of x [b, channels, ...] with statistics over all ranks (Ioffe and Szegedy 2015, algorithm 1).

    Means and variances of the ranks are merged by the rule of Chan et al. (1979), which does not cancel.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        dims, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        channels = x.shape[1]
        mean = x.mean(dims)
        squares = (x - mean.view(shape)).square().sum(dims)
        rows = x.new_zeros(distributed.get_world_size(), 2 * channels + 1)
        rows[distributed.get_rank()] = torch.cat([mean, squares, x.new_tensor([x.numel() / channels])])
        distributed.all_reduce(rows)
        means, squares, counts = rows[:, :channels], rows[:, channels:-1], rows[:, -1:]
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (squares + counts * (means - mean).square()).sum(0) / count
        scale = (variance + eps).rsqrt()
        normal = (x - mean.view(shape)) * scale.view(shape)
        ctx.save_for_backward(normal, scale, count, *(() if weight is None else (weight,)))
        ctx.has_bias = bias is not None
        y = normal.clone() if weight is None else normal * weight.view(shape)  # what follows may work in place
        y = y if bias is None else y + bias.view(shape)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        normal, scale, count, *weights = ctx.saved_tensors
        dims, shape = [0, *range(2, normal.ndim)], [1, -1] + [1] * (normal.ndim - 2)
        of_bias, of_weight = gradient.sum(dims), (gradient * normal).sum(dims)
        sums = torch.cat([of_bias, of_weight])  # of this rank: gradients of parameters are averaged with all others
        distributed.all_reduce(sums)
        whole_bias, whole_weight = sums.view(2, -1) / count
        inner = gradient - whole_bias.view(shape) - normal * whole_weight.view(shape)
        factor = scale * weights[0] if weights else scale
        return inner * factor.view(shape), of_weight if weights else None, of_bias if ctx.has_bias else None, None
