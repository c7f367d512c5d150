"""Data-parallel training: several ranks train one model, each on a share of every batch.

The optimizer steps equal those of a single process, up to rounding. Gradients are averaged by PyTorch's
`DistributedDataParallel`. Batch normalization uses the statistics of the whole batch, as in a single process. PyTorch's
`SyncBatchNorm` works on GPUs only, so this module implements synchronized batch normalization for any device. Dropout
differs from a single process: each rank draws its own masks.

If a model chooses at random which layers a batch passes through, those layers must not contain batch normalization. All
ranks have to take part in its computation; if one rank skips it, the others wait forever.
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
    """One rank of the data-parallel training of `model`. The process group of the team must be initialized.

    Attributes:
        model: the model, which averages its gradients over the ranks in each backward pass.
    """

    def __init__(self, model: nn.Module, team: Team) -> None:
        self.team = team
        self._synchronization = _Synchronization()
        # Layers that compute their output in another way, such as SyncBatchNorm, are left as they are.
        for module in model.modules():
            if isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward:
                module.forward = functools.partial(  # type: ignore[method-assign]
                    _synchronized_forward, module, self._synchronization
                )
        # With find_unused_parameters, parameters that a batch does not use have no gradient, as in a single process.
        # Buffers are broadcast once per epoch instead of at every step: see `end_epoch`.
        self.model = DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True)
        # The random state in which the model of this rank runs; `begin_epoch` replaces it.
        self._random_state = torch.get_rng_state()

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Seed the random state in which this rank's model runs.

        The order of the examples and their augmentation use PyTorch's global random state, which is the same on all ranks.
        """
        rank_seed = derive(seed, "epoch", epoch, "rank", self.team.rank)
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

    def assign_share(self, batch_size: int) -> tuple[slice, float]:
        """Begin a batch: return the slice of it that this rank processes, and a factor for the mean loss of the slice.

        If each rank multiplies the mean loss of its slice by its factor, the mean of the products over the ranks is the mean
        loss of the whole batch. (DistributedDataParallel averages the gradients over the ranks.) If a batch has fewer
        examples than there are ranks, each rank processes all of it, without synchronized batch normalization.

        Args:
            batch_size: the number of examples in the batch.
        """
        rank, size = self.team.rank, self.team.size
        self._synchronization.is_on = batch_size >= size
        if batch_size < size:
            return slice(None), 1.0
        start, stop = rank * batch_size // size, (rank + 1) * batch_size // size
        return slice(start, stop), (stop - start) * size / batch_size

    def forward(self, x: Tensor) -> Any:
        """Return the output of the model for this rank's slice, computed with the random state of this rank."""
        shared_state = torch.get_rng_state()
        torch.set_rng_state(self._random_state)
        try:
            return self.model(x)
        finally:
            self._random_state = torch.get_rng_state()
            torch.set_rng_state(shared_state)

    def average(self, value: Tensor) -> Tensor:
        """Return the mean of a scalar over the ranks. `value` itself is overwritten with the sum."""
        distributed.all_reduce(value)
        return value / self.team.size


def get_rank_slice(team: Team, example_count: int) -> slice:
    """Return the slice of `example_count` examples that this rank evaluates."""
    return slice(team.rank * example_count // team.size, (team.rank + 1) * example_count // team.size)


def gather_values(team: Team, example_count: int, rank_values: Tensor) -> Tensor:
    """Return the values of all examples, [example_count]; `rank_values` are those of the examples of this rank."""
    values = rank_values.new_zeros(example_count)
    values[get_rank_slice(team, example_count)] = rank_values
    distributed.all_reduce(values)  # the sum over the ranks: each value is zero on all ranks but one
    return values


class _Synchronization:
    """A flag that all batch normalization layers share: whether to use the statistics of all ranks for this batch."""

    is_on = True


def _synchronized_forward(module: _BatchNorm, synchronization: _Synchronization, x: Tensor) -> Tensor:
    """Normalize a batch with the statistics of all ranks in training; call the original `forward` in eval mode."""
    if not (module.training and synchronization.is_on):
        return type(module).forward(module, x)
    module._check_input_dim(x)  # type: ignore[no-untyped-call]
    outputs, mean, variance, count = _SynchronizedNormalization.apply(x, module.weight, module.bias, module.eps)  # type: ignore[no-untyped-call]
    if module.track_running_stats and module.running_mean is not None and module.running_var is not None:
        assert module.num_batches_tracked is not None
        module.num_batches_tracked.add_(1)
        momentum = 1.0 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        with torch.no_grad():
            module.running_mean.lerp_(mean, momentum)
            # As in PyTorch, the running variance is unbiased.
            module.running_var.lerp_(variance * count / (count - 1), momentum)
    return outputs  # type: ignore[no-any-return]


class _SynchronizedNormalization(torch.autograd.Function):
    """Batch normalization of x [b, channels, ...] with the statistics of all ranks (Ioffe and Szegedy 2015, algorithm 1).

    The means and variances of the ranks are merged by the formula of Chan et al. (1979), which avoids cancellation.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, ...]:
        reduced_dims, broadcast_shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        channels = x.shape[1]
        # Each rank computes the mean and the sum of squared deviations of its own examples.
        mean = x.mean(reduced_dims)
        squares = (x - mean.view(broadcast_shape)).square().sum(reduced_dims)
        # Each rank fills its own row, so that the sum over the ranks contains the statistics of all.
        rank_rows = x.new_zeros(distributed.get_world_size(), 2 * channels + 1)
        rank_rows[distributed.get_rank()] = torch.cat([mean, squares, x.new_tensor([x.numel() / channels])])
        distributed.all_reduce(rank_rows)
        means, squares, counts = rank_rows[:, :channels], rank_rows[:, channels:-1], rank_rows[:, -1:]
        # Chan et al.: the variance consists of the deviations within the ranks and of those between the means of the ranks.
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (squares + counts * (means - mean).square()).sum(0) / count
        # Ioffe and Szegedy, algorithm 1: normalize, then scale and shift.
        scale = (variance + eps).rsqrt()
        normalized = (x - mean.view(broadcast_shape)) * scale.view(broadcast_shape)
        ctx.save_for_backward(normalized, scale, count, *(() if weight is None else (weight,)))
        ctx.has_bias = bias is not None
        # Without weight, the saved tensor is copied, because the next layer may change the output in place.
        outputs = normalized.clone() if weight is None else normalized * weight.view(broadcast_shape)
        outputs = outputs if bias is None else outputs + bias.view(broadcast_shape)
        ctx.mark_non_differentiable(mean, variance, count)
        return outputs, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # `weights` is a list of one tensor, or empty for a layer without weight.
        normalized, scale, count, *weights = ctx.saved_tensors
        reduced_dims, broadcast_shape = [0, *range(2, normalized.ndim)], [1, -1] + [1] * (normalized.ndim - 2)
        # The gradients of weight and bias are returned for this rank only: DistributedDataParallel averages them over the
        # ranks.
        bias_gradient, weight_gradient = gradient.sum(reduced_dims), (gradient * normalized).sum(reduced_dims)
        sums = torch.cat([bias_gradient, weight_gradient])
        distributed.all_reduce(sums)
        # The gradient of x (Ioffe and Szegedy, section 3): mean and variance depend on x, so the parts of the gradient that
        # would change them are subtracted. These parts are means over the examples of all ranks.
        mean_bias_gradient, mean_weight_gradient = sums.view(2, -1) / count
        centred_gradient = gradient - mean_bias_gradient.view(broadcast_shape)
        centred_gradient = centred_gradient - normalized * mean_weight_gradient.view(broadcast_shape)
        factor = scale * weights[0] if weights else scale
        return (
            centred_gradient * factor.view(broadcast_shape),
            weight_gradient if weights else None,
            bias_gradient if ctx.has_bias else None,
            None,
        )
