"""How tables and lines name a trial, and which of its metrics they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ogive.trial import Trial

STAGE = "second_stage"
"""The setting of a proposal of full training: which network is trained, and with which seed."""


def trial_name(trial: Trial) -> str:
    """`trial 3`; of the second stage by the search's number, `trial 12, seed 0`."""
    order = trial.proposal.settings.get(STAGE)
    return f"trial {trial.id}" if order is None else f"{order['network']}, seed {order['seed']}"


def shown_metrics(metrics: Mapping[str, float], first: Sequence[str]) -> dict[str, float]:
    """The metrics `first`, then the number of parameters where it is known."""
    return {name: metrics[name] for name in dict.fromkeys([*first, "parameters"]) if name in metrics}
