"""The built-in trainer for classification. An epoch depends only on the state before it, the seed, and its number.

No random state passes from one epoch to the next. Therefore a training that is paused and restored continues exactly as
it would without the pause (on a CPU with an unchanged number of threads; on a GPU, sums may be computed in another order).
Several ranks can train one model together; see `ogive.task.data_parallel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ogive.errors import JobError
from ogive.formatting import plural
from ogive.run.estimator import SINGLE_PROCESS, Team
from ogive.seeds import derive
from ogive.task.augment import augment
from ogive.task.data_parallel import DataParallel, gather_values, get_rank_slice
from ogive.task.recipe import Recipe, compute_learning_rate

Examples = tuple[Tensor, Tensor]
"""Features float32 [n, *shape] and classes int64 [n]."""

EVALUATION_BATCH_SIZE = 512
"""The number of examples in one forward pass of an evaluation."""


class Training:
    """The training of one model on examples in memory.

    Args:
        model: a module that maps features [b, *shape] to logits [b, k]; it is moved to the device of the examples.
        examples: all training examples, at least 2, on the device to train on.
        classes: the number of classes, k.
        recipe: the training settings.
        seed: the seed of all randomness of this training.
        team: the ranks that train the model together. Each rank creates a `Training`; only `team` differs between the ranks.
    """

    def __init__(
        self, model: nn.Module, examples: Examples, classes: int, recipe: Recipe, seed: int, team: Team = SINGLE_PROCESS
    ) -> None:
        self.x, self.y = examples
        self.model = model.to(self.x.device)
        self.classes = classes
        self.recipe = recipe
        self.seed = seed
        self.optimizer = make_optimizer(self.model, recipe)
        self._data_parallel = DataParallel(self.model, team) if team.size > 1 else None

    def train_epoch(self, number: int) -> float:
        """Train epoch `number`, counted from 1, and return the mean training loss per example, with label smoothing.

        PyTorch's random state is set from (seed, number).

        Raises:
            JobError: the recipe has fewer epochs, or the model does not return one logit per class.
        """
        if number > self.recipe.epochs:
            raise JobError(
                f"epoch {number} was requested, but the learning rate of the recipe ends with epoch {self.recipe.epochs}; "
                f"set epochs={number} or more in the recipe, or search with fewer epochs"
            )
        torch.manual_seed(derive(self.seed, "epoch", number))
        batches = split_batches(torch.randperm(len(self.y)), self.recipe.batch_size)
        if self._data_parallel is not None:
            self._data_parallel.begin_epoch(self.seed, number)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.x.device)
        self.model.train()
        for index, batch in enumerate(batches):
            learning_rate = compute_learning_rate(self.recipe, (number - 1) * len(batches) + index, len(batches))
            loss_sum += self._train_step(batch.to(self.x.device), learning_rate).double() * len(batch)
        if self._data_parallel is not None:
            self._data_parallel.end_epoch()
            loss_sum = self._data_parallel.average(loss_sum)
        return loss_sum.item() / len(self.y)

    def _train_step(self, batch: Tensor, learning_rate: float) -> Tensor:
        """Update the weights with one batch, given by indices [b], and return its mean loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self._compute_loss(augment(self.x[batch], self.recipe), self.y[batch])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        return loss.detach()

    def _compute_loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of a batch; with several ranks, a value whose mean over the ranks is this loss."""
        forward: Callable[[Tensor], Any] = self.model
        loss_factor = 1.0
        if self._data_parallel is not None:
            rank_part, loss_factor = self._data_parallel.assign_share(len(y))
            forward, x, y = self._data_parallel.forward, x[rank_part], y[rank_part]
        logits = check_logits(forward(x), len(y), self.classes)
        loss = F.cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
        return loss if loss_factor == 1.0 else loss * loss_factor

    def state(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on: the state dicts of `model` and `optimizer`."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state()` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of the recipe for all parameters of `model`.

    Raises:
        JobError: the model has no parameters.
    """
    parameters = list(model.parameters())
    if not parameters:
        raise JobError(f"the model {type(model).__name__} has no parameters; there is nothing to train")
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,  # PyTorch rejects Nesterov momentum with a momentum of 0
        )
    return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def split_batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split a permutation `order` [n] of examples into batches.

    A last batch of one example is merged into the previous batch, because batch norm needs two examples.
    """
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def evaluate(model: nn.Module, examples: Examples, classes: int, team: Team = SINGLE_PROCESS) -> dict[str, float]:
    """Return `accuracy` in [0, 1] and `log_loss` in nats per example, in eval mode.

    With several ranks, each rank evaluates its share of the examples, and all ranks return the same values.

    Raises:
        JobError: the model does not return one logit per class.
    """
    if team.size == 1:
        return {name: values.mean().item() for name, values in score(model, examples, classes).items()}
    (x, y), n = examples, len(examples[1])
    rank_part = get_rank_slice(team, n)
    scores = score(model, (x[rank_part], y[rank_part]), classes)
    return {name: gather_values(team, n, values).mean().item() for name, values in scores.items()}


def score(model: nn.Module, examples: Examples, classes: int) -> dict[str, Tensor]:
    """Return `accuracy` (0 or 1) and `log_loss` (in nats) of each example, float64 [n] each, in eval mode.

    Raises:
        JobError: the model does not return one logit per class.
    """
    x, y = examples
    correct, losses = [], []
    model.eval()
    with torch.no_grad():
        for inputs, labels in zip(
            torch.split(x, EVALUATION_BATCH_SIZE), torch.split(y, EVALUATION_BATCH_SIZE), strict=True
        ):
            logits = check_logits(model(inputs), len(labels), classes).double()
            correct.append(logits.argmax(dim=1) == labels)
            losses.append(F.cross_entropy(logits, labels, reduction="none"))
    return {"accuracy": torch.cat(correct).double(), "log_loss": torch.cat(losses)}


def check_logits(logits: Any, batch: int, classes: int) -> Tensor:
    """Return `logits` if it is a tensor [batch, classes].

    Raises:
        JobError: it is something else.
    """
    if not isinstance(logits, Tensor) or logits.shape != (batch, classes):
        returned = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise JobError(
            f"the model returned {returned} for a batch of {batch}, but must return logits [{batch}, {classes}]: "
            "one for each class of the task"
        )
    return logits


def choose_device(name: str, team: Team = SINGLE_PROCESS) -> torch.device:
    """Return the device with this name; "auto" is the first CUDA device if there is one, otherwise the CPU.

    If several ranks train on GPUs, each rank gets a different device; the first rank gets the named one.

    Raises:
        JobError: the name is not valid, or there are too few CUDA devices.
    """
    device = _parse_device(name)
    if team.size == 1 or device.type == "cpu":
        return device
    count = torch.cuda.device_count()
    if count < team.size:
        raise JobError(
            f"device is {name!r} and workers_per_trial is {team.size}, but PyTorch finds {plural(count, 'CUDA device')} on "
            f"this machine, and each rank needs one; use at most {count} workers per trial, or device 'cpu'"
        )
    return torch.device("cuda", ((device.index or 0) + team.process_index) % count)


def _parse_device(name: str) -> torch.device:
    """Return the device with this name.

    Raises:
        JobError: the name is not valid, or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise JobError(f"device is {name!r}, but must be 'cpu', 'cuda', 'cuda:N' or 'auto'") from error
    if device.type not in ("cpu", "cuda"):
        raise JobError(f"device is {name!r}, but must be 'cpu', 'cuda', 'cuda:N' or 'auto'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise JobError(
            f"device is {name!r}, but PyTorch finds {plural(torch.cuda.device_count(), 'CUDA device')} on this machine; "
            "use 'auto'"
        )
    return device
