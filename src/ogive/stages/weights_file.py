"""The file with the first winner's weights, and a text file beside it that identifies the training of the weights.

The text can be read without PyTorch.
"""

from __future__ import annotations

import json
from pathlib import Path

from ogive.estimate.checkpoint import SavedCheckpoint
from ogive.trial import Step, Trial

WEIGHTS, DESCRIPTION = "weights.pt", "weights.json"
"""The names of both files in the folder of full training."""

DESCRIPTION_KEY = "of"
"""The key in the file `WEIGHTS` under which the description is stored too."""


def describe_weights(training: Trial, step: Step) -> str:
    """Return a text that identifies the weights of a training at a step. It contains only facts that are in the journal."""
    reported = next((report for report in training.reports if report.step == training.step_offset + step), None)
    facts = {
        "training": training.id,
        "seed": training.seed,
        "architecture": training.architecture.id,
        "step": step,
        "metrics": None if reported is None else dict(reported.metrics),
    }
    return json.dumps(facts, sort_keys=True)


def find_winner_weights(training: Trial, folder: Path) -> SavedCheckpoint | None:
    """Return the file `WEIGHTS` in `folder` if it has the weights of `training`; otherwise None.

    Args:
        training: a trial of full training.
        folder: the folder of full training.
    """
    try:
        text = (folder / DESCRIPTION).read_text(encoding="utf-8")
        step = int(json.loads(text)["step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    path = folder / WEIGHTS
    reported = any(report.step == training.step_offset + step for report in training.reports)
    if not reported or text != describe_weights(training, step) or not path.is_file():
        return None
    metrics = json.loads(text)["metrics"]
    return SavedCheckpoint(
        step=step, metrics=metrics, reported=True, path=path, keys=("model", "metrics", DESCRIPTION_KEY)
    )
