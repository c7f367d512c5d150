"""The name of a trial in tables and messages, and the metrics that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ogive.trial import Trial

FULL_TRAINING_SETTING = "second_stage"
"""The setting of a proposal in full training that contains the name of the network and the seed of its training."""


def format_trial_name(trial: Trial) -> str:
    """Return the name of a trial, such as `trial 3`; in full training, the network and the seed: `trial 12, seed 0`."""
    training = trial.proposal.settings.get(FULL_TRAINING_SETTING)
    return f"trial {trial.id}" if training is None else f"{training['network']}, seed {training['seed']}"


def select_shown_metrics(metrics: Mapping[str, float], first: Sequence[str]) -> dict[str, float]:
    """Return the metrics named in `first`, and then the number of parameters, leaving out unknown ones."""
    return {name: metrics[name] for name in dict.fromkeys([*first, "parameters"]) if name in metrics}
