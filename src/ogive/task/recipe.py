"""The recipe of the built-in trainer: all training settings other than data, architecture and seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ogive.errors import JobError
from ogive.registry import check_whole_number

OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True)
class Recipe:
    """The training settings of a classifier.

    Attributes:
        epochs: the number of epochs of full training, at least 1, over which the learning rate decays. A trial with fewer
            epochs uses the first part of this learning rate schedule, so that its training can be continued.
        optimizer: "adamw" (Loshchilov and Hutter 2019) or "sgd" with Nesterov momentum.
        learning_rate: the peak learning rate, above 0.
        weight_decay: the weight decay of all parameters, at least 0; decoupled in AdamW.
        momentum: the momentum of SGD, in [0, 1); not used by AdamW.
        batch_size: the number of examples per step of the optimizer, at least 2, because batch normalization needs two.
        label_smoothing: the label smoothing, in [0, 1) (Szegedy et al. 2016, section 7).
        gradient_clip: the maximum norm of the gradient of all parameters, above 0; None for no limit.
        warmup: the number of epochs, not necessarily whole, in which the learning rate grows linearly, before the cosine
            decay to 0 (Loshchilov and Hutter 2017); at least 0 and below `epochs`.
        shift: the maximum random shift of an image in pixels, at least 0. `shift`, `flip` and `cutout` apply to images only.
        flip: whether each image is flipped horizontally with probability 1/2.
        cutout: the side, in pixels, of a square at a random position that is set to zero (DeVries and Taylor 2017); 0 for
            none.

    Raises:
        JobError: a value is out of its range.
    """

    epochs: int = 12
    optimizer: str = "adamw"
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    momentum: float = 0.9
    batch_size: int = 64
    label_smoothing: float = 0.0
    gradient_clip: float | None = 5.0
    warmup: float = 0.0
    shift: int = 0
    flip: bool = False
    cutout: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", check_whole_number("recipe", "epochs", self.epochs, at_least=1))
        object.__setattr__(self, "batch_size", check_whole_number("recipe", "batch_size", self.batch_size, at_least=2))
        for name in ("shift", "cutout"):
            object.__setattr__(self, name, check_whole_number("recipe", name, getattr(self, name), at_least=0))
        if not isinstance(self.flip, bool):
            raise JobError(f"recipe: flip is {self.flip!r}, but must be true or false")
        if self.optimizer not in OPTIMIZERS:
            raise JobError(f"recipe: optimizer is {self.optimizer!r}, but must be one of {', '.join(OPTIMIZERS)}")
        _check_number("learning_rate", self.learning_rate, lambda v: v > 0, "above 0")
        _check_number("weight_decay", self.weight_decay, lambda v: v >= 0, "at least 0")
        _check_number("momentum", self.momentum, lambda v: 0 <= v < 1, "at least 0 and below 1")
        _check_number("label_smoothing", self.label_smoothing, lambda v: 0 <= v < 1, "at least 0 and below 1")
        _check_number(
            "warmup", self.warmup, lambda v: 0 <= v < self.epochs, f"at least 0 and below epochs={self.epochs}"
        )
        if self.gradient_clip is not None:
            _check_number("gradient_clip", self.gradient_clip, lambda v: v > 0, "above 0, or None")


def replace_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe with some values replaced.

    Raises:
        JobError: the recipe has no such setting, or a value is out of its range.
    """
    names = tuple(field.name for field in fields(Recipe))
    unknown = sorted(set(settings) - set(names))
    if unknown:
        raise JobError(f"recipe: there is no setting {unknown[0]!r}; the settings are {', '.join(names)}")
    return replace(recipe, **settings)


def compute_learning_rate(recipe: Recipe, optimizer_step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of an optimizer step, counted from 0 over all epochs: linear warm-up, then cosine decay.

    Loshchilov and Hutter (2017), "SGDR", equation 5 with one period and a minimum of 0.
    """
    warmup_steps = round(recipe.warmup * steps_per_epoch)
    if optimizer_step < warmup_steps:
        return recipe.learning_rate * (optimizer_step + 1) / warmup_steps
    progress = (optimizer_step - warmup_steps) / (recipe.epochs * steps_per_epoch - warmup_steps)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def _check_number(name: str, value: Any, is_allowed: Callable[[float], bool], allowed: str) -> None:
    """Raise JobError if a value is not a finite number that is allowed; `allowed` describes the range in the message."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not is_allowed(value):
        raise JobError(f"recipe: {name} is {value!r}, but must be a number {allowed}")
