"""Decisions about training rather than about the network, recognized by their names."""

from __future__ import annotations

import re

from ogive.space.space import Space

_TRAINING_SETTINGS = frozenset(
    "lr learning_rate wd weight_decay momentum optimizer optimiser scheduler lr_schedule batch_size epochs warmup "
    "label_smoothing gradient_clip grad_clip augment augmentation augmentations mixup cutmix cutout flip crop rand_augment "
    "auto_augment".split()
)
"""Names of training settings. Dropout and drop path are not among them, since they are layers of the network."""


def training_decisions(space: Space) -> tuple[str, ...]:
    """Return the names of the decisions that are about training, such as `lr` or `head.weight_decay`.

    If a search also chooses the learning rate, an architecture is evaluated only with its own learning rate. Its rank then
    depends on both, and the ranks may differ in full training with another recipe.
    """
    return tuple(decision.name for decision in space.decisions if _last_word(decision.name) in _TRAINING_SETTINGS)


def _last_word(name: str) -> str:
    """Return the last word of a decision's path without indices: `lr` for `stage[1].lr0`."""
    return re.sub(r"(\[\d+\]|\d+)+$", "", name.rpartition(".")[2]).lower().replace("-", "_").rstrip("_")
