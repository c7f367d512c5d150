"""The recipe of the built-in trainer: everything about training that is not data, architecture or seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ogive.errors import JobError
from ogive.registry import whole

OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained.

    Attributes:
        epochs: the horizon of the learning rate's schedule, at least 1: the epochs of the *full* recipe. A trial that
            is paused earlier has trained the first part of it, so that going on changes nothing.
        optimizer: "adamw" (Loshchilov and Hutter 2019) or "sgd" with Nesterov's momentum.
        learning_rate: at its peak, above 0.
        weight_decay: of every parameter, at least 0; decoupled in AdamW.
        momentum: of SGD, in [0, 1); AdamW does not use it.
        batch_size: examples a step, at least 2, as batch normalisation needs.
        label_smoothing: in [0, 1) (Szegedy et al. 2016, section 7).
        gradient_clip: largest norm of the whole gradient, above 0; None for no limit.
        warmup: epochs of linear growth before the cosine decay to 0 (Loshchilov and Hutter 2017), at least 0 and below
            `epochs`; may be a fraction.
        shift: images are moved by up to so many pixels at random, at least 0; for images, as the next two.
        flip: mirror half of the images, left to right.
        cutout: side in pixels of the square that is blanked at a random place (DeVries and Taylor 2017); 0 for none.

    Raises:
        JobError: a value is outside its range.
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
        object.__setattr__(self, "epochs", whole("recipe", "epochs", self.epochs, at_least=1))
        object.__setattr__(self, "batch_size", whole("recipe", "batch_size", self.batch_size, at_least=2))
        for name in ("shift", "cutout"):
            object.__setattr__(self, name, whole("recipe", name, getattr(self, name), at_least=0))
        if not isinstance(self.flip, bool):
            raise JobError(f"recipe: flip is {self.flip!r}, but must be true or false")
        if self.optimizer not in OPTIMIZERS:
            raise JobError(f"recipe: optimizer is {self.optimizer!r}, but must be one of {', '.join(OPTIMIZERS)}")
        _check("learning_rate", self.learning_rate, lambda v: v > 0, "above 0")
        _check("weight_decay", self.weight_decay, lambda v: v >= 0, "at least 0")
        _check("momentum", self.momentum, lambda v: 0 <= v < 1, "at least 0 and below 1")
        _check("label_smoothing", self.label_smoothing, lambda v: 0 <= v < 1, "at least 0 and below 1")
        _check("warmup", self.warmup, lambda v: 0 <= v < self.epochs, f"at least 0 and below epochs={self.epochs}")
        if self.gradient_clip is not None:
            _check("gradient_clip", self.gradient_clip, lambda v: v > 0, "above 0, or None")


def override(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced.

    Raises:
        JobError: a name is not in the recipe, or a value is outside its range.
    """
    names = tuple(field.name for field in fields(Recipe))
    unknown = sorted(set(settings) - set(names))
    if unknown:
        raise JobError(f"recipe: there is no {unknown[0]!r}; there are {', '.join(names)}")
    return replace(recipe, **settings)


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate at optimizer step `step`, counted from 0 over all epochs: linear warm-up, then cosine decay.

    Loshchilov and Hutter (2017), "SGDR", equation 5 with one period and a lowest rate of 0.
    """
    warmup = round(recipe.warmup * steps_per_epoch)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / (recipe.epochs * steps_per_epoch - warmup)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def _check(name: str, value: Any, allowed: Callable[[float], bool], words: str) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not allowed(value):
        raise JobError(f"recipe: {name} is {value!r}, but must be a number {words}")
