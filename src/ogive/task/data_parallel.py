"""Data-parallel training: several ranks train one model, each on a share of every batch.

The optimizer steps equal those of a single process, up to rounding. Gradients are averaged by PyTorch's
`DistributedDataParallel`. Batch normalization uses the statistics of the whole batch, as a single process does. PyTorch's
`SyncBatchNorm` does so on GPUs only, so this module implements it for any device. Dropout differs from a single process:
each rank draws its own masks. If a model chooses at random which layers a batch passes through, those layers must not
contain batch normalization: all ranks have to take part in its computation, and would wait for each other forever.
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
    """The part of this rank in training `model`; the process group of its team must be initialized.

    Attributes:
        model: the model, which averages its gradients over the ranks in each backward pass.
    """

    def __init__(self, model: nn.Module, team: Team) -> None:
        self.team = team
        self._synchronize = _Switch()
        for module in model.modules():
            if isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward:
                module.forward = functools.partial(  # type: ignore[method-assign]
                    _synchronized_forward, module, self._synchronize
                )
        # With find_unused_parameters, parameters that a batch does not use have no gradient, as in a single process.
        # Buffers are broadcast once per epoch instead of at every step: see `end_epoch`.
        self.model = DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)
        self._random_state = torch.get_rng_state()

    def begin_epoch(self, seed: int, number: int) -> None:
        """Seed the random state in which this rank's model runs.

        Order and augmentation use PyTorch's own random state, which is the same on all ranks.
        """
        rank_seed = derive(seed, "epoch", number, "rank", self.team.rank)
        self._random_state = torch.Generator().manual_seed(rank_seed).get_state()
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed(rank_seed)

    def end_epoch(self) -> None:
        """Copy the buffers of rank 0, which writes the checkpoints, to all ranks.

        Buffers of batch normalization are equal on all ranks. Those of other layers may differ, because each rank computes
        them from its share of the batches.
        """
        for buffer in self.model.module.buffers():
            value = buffer.contiguous()
            distributed.broadcast(value, src=0)
            if value is not buffer:
                buffer.copy_(value)

    def share(self, examples: int) -> tuple[slice, float]:
        """Return the part of a batch for this rank, and its weight.

        The mean over the ranks of the weighted means is the mean of the batch. If a batch has fewer examples than there are
        ranks, each rank processes all of it.
        """
        rank, size = self.team.rank, self.team.size
        self._synchronize.on = examples >= size
        if examples < size:
            return slice(None), 1.0
        first, last = rank * examples // size, (rank + 1) * examples // size
        return slice(first, last), (last - first) * size / examples

    def forward(self, x: Tensor) -> Any:
        """Return the output of the model for this rank's share, computed with the random state of this rank."""
        shared_state = torch.get_rng_state()
        torch.set_rng_state(self._random_state)
        try:
            return self.model(x)
        finally:
            self._random_state = torch.get_rng_state()
            torch.set_rng_state(shared_state)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a scalar over the ranks."""
        distributed.all_reduce(value)
        return value / self.team.size


def rank_slice(team: Team, examples: int) -> slice:
    """Return the slice of `examples` examples that this rank evaluates."""
    return slice(team.rank * examples // team.size, (team.rank + 1) * examples // team.size)


def gather_values(team: Team, examples: int, rank_values: Tensor) -> Tensor:
    """Return the values [examples] of all ranks; `rank_values` are those of `rank_slice`."""
    values = rank_values.new_zeros(examples)
    values[rank_slice(team, examples)] = rank_values
    distributed.all_reduce(values)  # the sum over the ranks: each value is zero on all ranks but one
    return values


class _Switch:
    """Whether the statistics of the current batch are computed over all ranks."""

    on = True


def _synchronized_forward(module: _BatchNorm, synchronize: _Switch, x: Tensor) -> Tensor:
    """Replace `module.forward`: use the statistics of all ranks in training, and the original in eval mode."""
    if not (module.training and synchronize.on):
        return type(module).forward(module, x)
    module._check_input_dim(x)  # type: ignore[no-untyped-call]
    y, mean, variance, count = _Normalize.apply(x, module.weight, module.bias, module.eps)  # type: ignore[no-untyped-call]
    if module.track_running_stats and module.running_mean is not None and module.running_var is not None:
        assert module.num_batches_tracked is not None
        module.num_batches_tracked.add_(1)
        rate = 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        with torch.no_grad():
            module.running_mean.lerp_(mean, rate)
            module.running_var.lerp_(variance * count / (count - 1), rate)
    return y  # type: ignore[no-any-return]


class _Normalize(torch.autograd.Function):
    """Batch normalization of x [b, channels, ...] with the statistics of all ranks (Ioffe and Szegedy 2015, algorithm 1).

    Means and variances of the ranks are merged by the formula of Chan et al. (1979), which avoids cancellation.
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
        normalized = (x - mean.view(shape)) * scale.view(shape)
        ctx.save_for_backward(normalized, scale, count, *(() if weight is None else (weight,)))
        ctx.has_bias = bias is not None
        y = (
            normalized.clone() if weight is None else normalized * weight.view(shape)
        )  # cloned: the next layer may be in-place
        y = y if bias is None else y + bias.view(shape)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        normalized, scale, count, *weights = ctx.saved_tensors
        dims, shape = [0, *range(2, normalized.ndim)], [1, -1] + [1] * (normalized.ndim - 2)
        # The gradients of weight and bias are those of this rank: DistributedDataParallel averages them with all others.
        bias_gradient, weight_gradient = gradient.sum(dims), (gradient * normalized).sum(dims)
        sums = torch.cat([bias_gradient, weight_gradient])
        distributed.all_reduce(sums)
        mean_bias_gradient, mean_weight_gradient = sums.view(2, -1) / count
        centred = gradient - mean_bias_gradient.view(shape) - normalized * mean_weight_gradient.view(shape)
        factor = scale * weights[0] if weights else scale
        return (
            centred * factor.view(shape),
            weight_gradient if weights else None,
            bias_gradient if ctx.has_bias else None,
            None,
        )
