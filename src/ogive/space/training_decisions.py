"""Decisions that are about training rather than about the network, told by their names."""

from __future__ import annotations

import re

from ogive.space.space import Space

_TRAINING = frozenset(
    "lr learning_rate wd weight_decay momentum optimizer optimiser scheduler lr_schedule batch_size epochs warmup "
    "label_smoothing gradient_clip grad_clip augment augmentation augmentations mixup cutmix cutout flip crop rand_augment "
    "auto_augment".split()
)
"""Names of the training recipe. Dropout and drop path are layers of the network, and not among them."""


def training_decisions(space: Space) -> tuple[str, ...]:
    """The decisions whose names say that they are about training, such as `lr` or `head.weight_decay`.

    An architecture that is found together with its learning rate is good with that one only: its rank tells nothing about
    the network alone, and full training with another recipe may turn it around.
    """
    return tuple(decision.name for decision in space.decisions if _last(decision.name) in _TRAINING)


def _last(name: str) -> str:
    """The last word of a decision's path, without position and number: `stage[1].lr0` is `lr`."""
    return re.sub(r"(\[\d+\]|\d+)+$", "", name.rpartition(".")[2]).lower().replace("-", "_").rstrip("_")
