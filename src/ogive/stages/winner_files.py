"""What a second stage leaves to its user: the winner's weights, and its model card."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import OgiveError, RunError
from ogive.files import replace_text, write_flushed
from ogive.formatting import number
from ogive.stages.delivery import Delivery, Stages
from ogive.stages.evaluation import TrainingPlan
from ogive.stages.full_training_result import FOLDER, FullTrainingResult, TrainedNetwork
from ogive.stages.model_card import write_card
from ogive.stages.trained_model import load_weights
from ogive.stages.weights_file import BESIDE, OF, WEIGHTS, identity

if TYPE_CHECKING:
    from ogive.session.stored_run import StoredRun


def write_winner(run: StoredRun, stage: TrainingPlan, result: FullTrainingResult, say: Callable[[str], object]) -> None:
    """Write `final/weights.pt` and `final/MODEL_CARD.md` for the first winner. `say` gets what won and what is missing."""
    stages = Stages(run.state, run.folder)
    winner = stages.winners[0]
    if winner.weights is None:
        say(f"warning: {winner.title}: no weights: {winner.missing}")
        for name in (BESIDE, WEIGHTS):  # those of a former winner
            (run.folder / FOLDER / name).unlink(missing_ok=True)
    else:
        _save(run.folder / FOLDER, winner)
    facts = {**_facts(run, stage, result.winner), "weights": winner.missing or ""}
    write_card(run.state, result, result.winner, result.best_seed(result.winner), facts, run.folder)
    for note in stages.notes:
        say(f"warning: {note}")
    for winner in stages.winners:
        values = ", ".join(
            f"{name} {number(winner.mean[name])}" for name, _ in result.objectives if name in winner.mean
        )
        say(f"winner: {winner.title}: {values}")


def _save(folder: Path, winner: Delivery) -> None:
    """Write the weights, and beside them of which training they are: there never is the one of other weights."""
    import torch

    assert winner.saved is not None  # else it has no weights
    of = identity(winner.training, winner.saved.step)
    content = {"model": dict(load_weights(winner)), "metrics": dict(winner.metrics), OF: of}
    draft = folder / f"{WEIGHTS}.draft"
    try:
        write_flushed(draft, lambda file: torch.save(content, file))
        (folder / BESIDE).unlink(missing_ok=True)
        os.replace(draft, folder / WEIGHTS)
        replace_text(folder / BESIDE, of)
    except OSError as error:
        raise RunError(f"{folder / WEIGHTS} cannot be written: {error}; check space and permissions") from error


def _facts(run: StoredRun, stage: TrainingPlan, winner: TrainedNetwork) -> dict[str, Any]:
    """What a model card tells beyond the record: data, device, and the cost of one example."""
    facts: dict[str, Any] = {"trained": stage.epochs}
    if stage.full is not None:
        facts["task"] = stage.full.task.describe()
    if winner.trial is not None:
        facts["cost"] = _cost(run, winner.trial)
    return facts


def _cost(run: StoredRun, trial: int) -> dict[str, Any]:
    """Parameters, FLOPs and activation memory of one forward pass; empty where the space tells no example input."""
    from ogive.hardware import FLOP_CONVENTION, measure
    from ogive.space.build import example_inputs

    architecture = run.state.trials[trial].architecture
    if architecture.space.example_input is None:
        return {}
    inputs = example_inputs(architecture.space.example_input)
    try:
        found = measure(architecture.build(0), inputs)
    except (OgiveError, RuntimeError) as error:  # a model that cannot be counted can be trained all the same
        return {"not counted": str(error).splitlines()[0]}
    return {**asdict(found), "convention": FLOP_CONVENTION}
