"""Numbers, durations and counts as a reader wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ogive.estimate.full_training import STAGE
from ogive.run.words import duration as duration
from ogive.run.words import number as number
from ogive.run.words import plural as plural
from ogive.trial import Status, Trial


def counts(count: Mapping[Status, int]) -> str:
    """`3 error, 1 time limit`, the most frequent first; "" where there is none."""
    some = sorted(((n, status.value) for status, n in count.items() if n), key=lambda item: (-item[0], item[1]))
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for n, name in some)


def trial_name(trial: Trial) -> str:
    """`trial 3`; of the second stage by the search's number, `trial 12, seed 0`."""
    order = trial.proposal.settings.get(STAGE)
    return f"trial {trial.id}" if order is None else f"{order['network']}, seed {order['seed']}"


def shown_metrics(metrics: Mapping[str, float], first: Sequence[str]) -> dict[str, float]:
    """The metrics `first`, then the number of parameters where it is known."""
    return {name: metrics[name] for name in dict.fromkeys([*first, "parameters"]) if name in metrics}


def capitalized(text: str) -> str:
    """A clause as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
