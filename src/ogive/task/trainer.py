"""The built-in trainer for classification: one epoch at a time, each a function of (state before it, seed, epoch).

No random state is carried from epoch to epoch, so training that was paused and restored goes on bit for bit as if it
had run straight (on a CPU with an unchanged number of threads; on a GPU, kernels may add up in another order). Several
processes may train one model together; see `ogive.task.data_parallel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ogive.errors import JobError
from ogive.run.estimator import ALONE, Team
from ogive.seeds import derive
from ogive.task.augment import augment
from ogive.task.data_parallel import DataParallel, joined, part_of
from ogive.task.recipe import Recipe, learning_rate

Examples = tuple[Tensor, Tensor]
"""Features float32 [n, *shape] and classes int64 [n]."""

EVALUATION_BATCH = 512


class Training:
    """One model being trained on examples in memory.

    Args:
        model: maps features [b, *shape] to logits [b, k]; moved to the examples' device.
        examples: all training examples, at least 2, on the device to train on.
        classes: k.
        seed: of all randomness of this training.
        team: the processes that train it, of which each is given the same arguments and this one's rank.
    """

    def __init__(
        self, model: nn.Module, examples: Examples, classes: int, recipe: Recipe, seed: int, team: Team = ALONE
    ) -> None:
        self.x, self.y = examples
        self.model = model.to(self.x.device)
        self.classes = classes
        self.recipe = recipe
        self.seed = seed
        self.optimizer = make_optimizer(self.model, recipe)
        self._together = DataParallel(self.model, team) if team.size > 1 else None

    def epoch(self, number: int) -> float:
        """Train epoch `number`, counted from 1, and return the mean training loss per example, smoothing included.

        Sets PyTorch's random state from (seed, number).

        Raises:
            JobError: the epoch is beyond the recipe's horizon, or the model does not return one logit a class.
        """
        if number > self.recipe.epochs:
            raise JobError(
                f"epoch {number} is asked for, but the recipe's learning rate ends with epoch {self.recipe.epochs}; "
                f"give the recipe epochs={number} or more, or search with fewer epochs"
            )
        torch.manual_seed(derive(self.seed, "epoch", number))
        batches = split_batches(torch.randperm(len(self.y)), self.recipe.batch_size)
        if self._together is not None:
            self._together.begin_epoch(self.seed, number)
        total = torch.zeros((), dtype=torch.float64, device=self.x.device)
        self.model.train()
        for index, batch in enumerate(batches):
            rate = learning_rate(self.recipe, (number - 1) * len(batches) + index, len(batches))
            total += self._step(batch.to(self.x.device), rate).double() * len(batch)
        if self._together is not None:
            self._together.end_epoch()
            total = self._together.mean(total)
        return total.item() / len(self.y)

    def _step(self, batch: Tensor, rate: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss(augment(self.x[batch], self.recipe), self.y[batch])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        return loss.detach()

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch; among several ranks, a number whose mean over them is that."""
        forward: Callable[[Tensor], Any] = self.model
        weight = 1.0
        if self._together is not None:
            own, weight = self._together.share(len(y))
            forward, x, y = self._together.forward, x[own], y[own]
        logits = check_logits(forward(x), len(y), self.classes)
        loss = F.cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
        return loss if weight == 1.0 else loss * weight

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on: the state dicts of `model` and `optimizer`."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state()`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of `model`.

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
            nesterov=recipe.momentum > 0,
        )
    return torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def split_batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """`order` [n] cut into batches; a last batch of one joins the one before it, since batch normalisation needs two."""
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def evaluate(model: nn.Module, examples: Examples, classes: int, team: Team = ALONE) -> dict[str, float]:
    """`accuracy` in [0, 1] and `log_loss` in nats per example, in eval mode without gradients; each rank does its share.

    Raises:
        JobError: the model does not return one logit a class.
    """
    if team.size == 1:
        return {name: values.mean().item() for name, values in score(model, examples, classes).items()}
    (x, y), n = examples, len(examples[1])
    own = score(model, (x[part_of(team, n)], y[part_of(team, n)]), classes)
    return {name: joined(team, n, values).mean().item() for name, values in own.items()}


def score(model: nn.Module, examples: Examples, classes: int) -> dict[str, Tensor]:
    """What each example adds to the means that `evaluate` returns, float64 [n]: whether its class was found, its log-loss.

    Raises:
        JobError: the model does not return one logit a class.
    """
    x, y = examples
    found, losses = [], []
    model.eval()
    with torch.no_grad():
        for inputs, labels in zip(torch.split(x, EVALUATION_BATCH), torch.split(y, EVALUATION_BATCH), strict=True):
            logits = check_logits(model(inputs), len(labels), classes).double()
            found.append(logits.argmax(dim=1) == labels)
            losses.append(F.cross_entropy(logits, labels, reduction="none"))
    return {"accuracy": torch.cat(found).double(), "log_loss": torch.cat(losses)}


def check_logits(logits: Any, batch: int, classes: int) -> Tensor:
    """`logits`, seen to be a tensor [batch, classes].

    Raises:
        JobError: it is not.
    """
    if not isinstance(logits, Tensor) or logits.shape != (batch, classes):
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise JobError(
            f"the model returned {found} for a batch of {batch}, but must return logits [{batch}, {classes}]: "
            "one for each class of the task"
        )
    return logits


def choose_device(name: str, team: Team = ALONE) -> torch.device:
    """The device called `name`; "auto" is the first CUDA device where there is one, else the CPU.

    Of a team on GPUs each process has one of its own, of those after the device's.

    Raises:
        JobError: the name is unknown, or that device is not there.
    """
    device = _device(name)
    if team.size == 1 or device.type == "cpu":
        return device
    there = torch.cuda.device_count()
    if there < team.size:
        raise JobError(
            f"device is {name!r} and workers_per_trial is {team.size}, but PyTorch sees {there} CUDA "
            f"device{'s' if there > 1 else ''} here, and each process needs its own; give at most {there}, or device 'cpu'"
        )
    return torch.device("cuda", ((device.index or 0) + team.place) % there)


def _device(name: str) -> torch.device:
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
            f"device is {name!r}, but PyTorch sees {torch.cuda.device_count()} CUDA devices here; use 'auto'"
        )
    return device
