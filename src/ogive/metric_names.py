"""Inference of two properties from the name of a metric.

The properties are the goal (whether more or less is better) and whether the metric is measured on the training data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ogive.errors import JobError

MORE_IS_BETTER = frozenset(
    "accuracy acc auc auroc f1 precision recall top1 top5 r2 iou miou bleu throughput reward".split()
)
RESOURCES = frozenset("parameters params flops macs latency memory energy power seconds duration cost bytes".split())
"""Words for the resources that a network needs."""
TRAINING_RESOURCES = RESOURCES | frozenset("time hours minutes throughput samples examples speed".split())
"""Words for the resources that a network or its training needs. A metric with such a word may be an objective although its
name contains "train".
"""
LESS_IS_BETTER = RESOURCES | frozenset("loss error mse mae rmse nll perplexity regret".split())
NEUTRAL = frozenset(
    "val valid validation test dev holdout eval train training mean average avg macro micro weighted balanced total overall "
    "final last best epoch top at log cross entropy bce ce squared absolute peak inference cpu gpu".split()
)
"""Words that do not change the direction of the other words of a name."""

_DURATIONS, _SIZES = frozenset(("latency", "duration")), frozenset(("parameters", "params", "flops", "macs"))
NEUTRAL_BESIDE = {
    "rate": frozenset(("error",)),
    "score": MORE_IS_BETTER,
    **dict.fromkeys(("s", "ms", "us", "ns"), _DURATIONS),
    **dict.fromkeys(("kb", "mb", "gb", "kib", "mib", "gib"), frozenset(("memory",))),
    **dict.fromkeys(("j", "mj", "w", "mw"), frozenset(("energy", "power"))),
    **dict.fromkeys(("k", "m", "g"), _SIZES),
}
"""Each key is a word that is neutral only in a name that also contains a word of its set: `rate` is neutral in `error_rate`,
but not in `flops_rate`, of which more may be better.
"""

_SELECTION_SPLITS = frozenset("val valid validation dev holdout test".split())
_WORDS_BEFORE_NUMBERS = frozenset("top at acc accuracy precision recall epoch".split())
"""Words that a number may follow, as in `acc@1`."""


def infer_goal(metric: str) -> str:
    """Return "maximize" or "minimize" for a metric whose name consists of known words.

    Raises:
        JobError: a word is unknown, or the words imply no goal, or both goals.
    """
    # A leading minus sign reverses the direction. It counts as an unknown word, so that the user has to give the goal.
    words = [*(["-"] if metric.startswith("-") else []), *_split_words(metric)]
    is_more_better, is_less_better = (
        any(word in vocabulary for word in words) for vocabulary in (MORE_IS_BETTER, LESS_IS_BETTER)
    )
    unknown = [word for index, word in enumerate(words) if not _is_unambiguous(index, words)]
    if is_more_better != is_less_better and not unknown:
        return "maximize" if is_more_better else "minimize"
    if unknown:
        template = (
            "the words {} in its name do not imply one"
            if len(unknown) > 1
            else "the word {} in its name does not imply one"
        )
        reason = template.format(", ".join(map(repr, unknown)))
    else:
        reason = "its name implies both goals" if is_more_better else "its name does not imply one"
    raise JobError(
        f"objective {metric!r} needs a goal, because {reason}: in Python Objective({metric!r}, 'maximize') or "
        f"Objective({metric!r}, 'minimize'), in a job {{metric: {metric}, goal: maximize}} or goal: minimize"
    )


def _is_unambiguous(index: int, words: Sequence[str]) -> bool:
    """Return whether `words[index]` leaves no doubt about the direction of the metric."""
    word = words[index]
    if word in MORE_IS_BETTER or word in LESS_IS_BETTER or word in NEUTRAL:
        return True
    if word.isdecimal():
        return index > 0 and words[index - 1] in _WORDS_BEFORE_NUMBERS
    return any(other in NEUTRAL_BESIDE.get(word, ()) for other in words)


def _split_words(metric: str) -> list[str]:
    """Return the words of a metric's name in lower case: "val", "top1" and "accuracy" for `valTop1Accuracy`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric.replace("@", " at "))
    return [word.lower() for word in re.split(r"[\s_/.:-]+", parts) if word]


def check_not_trained_on(metric: str) -> None:
    """Raise JobError if the name of an objective says that it is measured on the training data.

    Metrics of the resources that training needs, such as `train_seconds`, are allowed.

    Raises:
        JobError: the name says that the metric is measured on the training data.
    """
    words = _split_words(metric)
    # A name such as `train_val_gap` is about the training part and the validation part, so it is allowed.
    if _is_resource(words) or _SELECTION_SPLITS & set(words):
        return
    if any(_means_training(index, words) for index in range(len(words))):
        raise JobError(
            f"the name of objective {metric!r} says that it is measured on the training part; such an objective prefers "
            "networks that overfit. Use a metric of the validation part (accuracy, val_loss); if this metric is measured on "
            "the validation part, rename it"
        )


def _is_resource(words: Sequence[str]) -> bool:
    """Return whether a metric with these words measures the resources of training, not the quality of the network."""
    quantities = {word for word in words if word in MORE_IS_BETTER | LESS_IS_BETTER | TRAINING_RESOURCES}
    return bool(quantities) and quantities <= TRAINING_RESOURCES


def _means_training(index: int, words: Sequence[str]) -> bool:
    """Return whether `words[index]` means the training data.

    These words are `train` and its variants, also with a number (`train2`) or joined to a known word (`trainloss`). `tr`
    means the training data only if all other words of the name are known: in `bleu_en_tr` it means Turkish.
    """
    match = re.fullmatch(r"(.*?)(training|train|trn|tr)\d*(.*)", words[index])
    if match is None:
        return False
    affixes = {match[1], match[3]} - {""}
    if match[2] == "tr":
        return not affixes and all(_is_unambiguous(other, words) for other in range(len(words)) if other != index)
    return affixes <= MORE_IS_BETTER | LESS_IS_BETTER | NEUTRAL
