"""What the name of a metric tells: whether more or less of it is better, and whether it is measured on the training part."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ogive.errors import JobError

MORE_IS_BETTER = frozenset(
    "accuracy acc auc auroc f1 precision recall top1 top5 r2 iou miou bleu throughput reward".split()
)
RESOURCES = frozenset("parameters params flops macs latency memory energy power seconds duration cost bytes".split())
COSTS = RESOURCES | frozenset("time hours minutes throughput samples examples speed".split())
"""Words of what training takes, which may be an objective though the metric is named after training."""
LESS_IS_BETTER = RESOURCES | frozenset("loss error mse mae rmse nll perplexity regret".split())
NEUTRAL = frozenset(
    "val valid validation test dev holdout eval train training mean average avg macro micro weighted balanced total overall "
    "final last best epoch top at log cross entropy bce ce squared absolute peak inference cpu gpu".split()
)
"""Words beside which a known word keeps its direction."""

_LENGTHS, _SIZES = frozenset(("latency", "duration")), frozenset(("parameters", "params", "flops", "macs"))
NEUTRAL_BESIDE = {
    "rate": frozenset(("error",)),
    "score": MORE_IS_BETTER,
    **dict.fromkeys(("s", "ms", "us", "ns"), _LENGTHS),
    **dict.fromkeys(("kb", "mb", "gb", "kib", "mib", "gib"), frozenset(("memory",))),
    **dict.fromkeys(("j", "mj", "w", "mw"), frozenset(("energy", "power"))),
    **dict.fromkeys(("k", "m", "g"), _SIZES),
}
"""Words that are neutral beside one of these only: `error_rate` is less, and `flops_rate` may be more."""

_SELECTING = frozenset("val valid validation dev holdout test".split())
_COUNTED = frozenset("top at acc accuracy precision recall epoch".split())
"""Words that a number may follow, as in `acc@1`."""


def goal_of(metric: str) -> str:
    """The goal of a metric, of whose name every word is known.

    Raises:
        JobError: a word is not known, or the words tell neither goal or both.
    """
    words = [*(["-"] if metric.startswith("-") else []), *_words(metric)]  # a sign turns the direction
    more, less = (any(word in known for word in words) for known in (MORE_IS_BETTER, LESS_IS_BETTER))
    unknown = [word for place, word in enumerate(words) if not _is_known(place, words)]
    if more != less and not unknown:
        return "maximize" if more else "minimize"
    if unknown:
        why = f"of its name the word{'s' * (len(unknown) > 1)} {', '.join(map(repr, unknown))} may mean either"
    else:
        why = "its name speaks for both" if more else "its name speaks for neither"
    raise JobError(
        f"objective {metric!r} needs a goal, for {why}: in Python Objective({metric!r}, 'maximize') or "
        f"Objective({metric!r}, 'minimize'), in a job {{metric: {metric}, goal: maximize}} or goal: minimize"
    )


def _is_known(place: int, words: Sequence[str]) -> bool:
    """Whether the meaning of one word of a metric's name leaves no doubt about the direction."""
    word = words[place]
    if word in MORE_IS_BETTER or word in LESS_IS_BETTER or word in NEUTRAL:
        return True
    if word.isdecimal():
        return place > 0 and words[place - 1] in _COUNTED
    return any(other in NEUTRAL_BESIDE.get(word, ()) for other in words)


def _words(metric: str) -> list[str]:
    """The words of a metric's name, in lower case: `val/Top1-accuracy` and `valTop1Accuracy` are three."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric.replace("@", " at "))
    return [word.lower() for word in re.split(r"[\s_/.:-]+", parts) if word]


def check_not_trained_on(metric: str) -> None:
    """Check that a metric that is to choose is not, by its name, measured on what is trained on; what training costs may be.

    Raises:
        JobError: it is.
    """
    words = _words(metric)
    if _tells_of_cost(words) or _SELECTING & set(words):  # `train_val_gap` is of both parts
        return
    if any(_means_training(place, words) for place in range(len(words))):
        raise JobError(
            f"objective {metric!r} is by its name measured on the training part, and would prefer what learns by heart; "
            "select on the validation part (accuracy, val_loss), or report it under another name if it is measured there"
        )


def _tells_of_cost(words: Sequence[str]) -> bool:
    """Whether a metric is what training takes, and not how well it goes."""
    directions = {word for word in words if word in (MORE_IS_BETTER | LESS_IS_BETTER | COSTS) - NEUTRAL}
    return bool(directions) and directions <= COSTS


def _means_training(place: int, words: Sequence[str]) -> bool:
    """Whether a word of a name is `train`, alone, numbered (`train2`), or written together with a known word (`trainloss`).

    A bare `tr` is it beside known words only: `bleu_en_tr` is of Turkish.
    """
    match = re.fullmatch(r"(.*?)(training|train|trn|tr)\d*(.*)", words[place])
    if match is None:
        return False
    rest = {match[1], match[3]} - {""}
    if match[2] == "tr":
        return not rest and all(_is_known(other, words) for other in range(len(words)) if other != place)
    return rest <= MORE_IS_BETTER | LESS_IS_BETTER | NEUTRAL
