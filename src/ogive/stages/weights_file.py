"""The first winner's weights in the folder of full training, with the training that they are of, told without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

from ogive.estimate.checkpoint import SavedCheckpoint
from ogive.trial import Step, Trial

WEIGHTS, BESIDE = "weights.pt", "weights.json"
OF = "of"
"""The name in `WEIGHTS` under which the text of `identity` stands."""


def identity(training: Trial, step: Step) -> str:
    """What weights that a training left at a step of it are known by, as the journal tells: a text, to be compared."""
    reported = next((report for report in training.reports if report.step == training.began + step), None)
    facts = {
        "training": training.id,
        "seed": training.seed,
        "architecture": training.architecture.id,
        "step": step,
        "metrics": None if reported is None else dict(reported.metrics),
    }
    return json.dumps(facts, sort_keys=True)


def kept_weights(training: Trial, stage: Path) -> SavedCheckpoint | None:
    """`WEIGHTS` in the folder `stage`, if it is of `training`; None where it is not, or nothing tells of which it is."""
    try:
        text = (stage / BESIDE).read_text(encoding="utf-8")
        step = int(json.loads(text)["step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    path = stage / WEIGHTS
    reported = any(report.step == training.began + step for report in training.reports)
    if not reported or text != identity(training, step) or not path.is_file():
        return None
    return SavedCheckpoint(step, json.loads(text)["metrics"], True, path, ("model", "metrics", OF))
