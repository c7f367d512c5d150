"""The file with the first winner's weights, and a text that identifies their training and is read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

from ogive.estimate.checkpoint import SavedCheckpoint
from ogive.trial import Step, Trial

WEIGHTS, DESCRIPTION = "weights.pt", "weights.json"
OF = "of"
"""The key in `WEIGHTS` of the text of `describe_weights`."""


def describe_weights(training: Trial, step: Step) -> str:
    """Return a text that identifies the weights of a training at a step, by what the journal has."""
    reported = next((report for report in training.reports if report.step == training.began + step), None)
    facts = {
        "training": training.id,
        "seed": training.seed,
        "architecture": training.architecture.id,
        "step": step,
        "metrics": None if reported is None else dict(reported.metrics),
    }
    return json.dumps(facts, sort_keys=True)


def find_winner_weights(training: Trial, folder: Path) -> SavedCheckpoint | None:
    """Return `WEIGHTS` in the folder of full training if it holds the weights of `training`, or None."""
    try:
        text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        step = int(json.loads(text)["step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    path = folder / WEIGHTS
    reported = any(report.step == training.began + step for report in training.reports)
    if not reported or text != describe_weights(training, step) or not path.is_file():
        return None
    metrics = json.loads(text)["metrics"]
    return SavedCheckpoint(step=step, metrics=metrics, reported=True, path=path, keys=("model", "metrics", OF))
