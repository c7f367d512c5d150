"""The files of the winner of full training: its weights and its model card."""

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
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER, FullTrainingResult, TrainedNetwork
from ogive.stages.model_card import write_card
from ogive.stages.trained_model import load_weights
from ogive.stages.training_plan import TrainingPlan
from ogive.stages.weights_file import DESCRIPTION, DESCRIPTION_KEY, WEIGHTS, describe_weights

if TYPE_CHECKING:
    from ogive.session.stored_run import StoredRun


def write_winner(run: StoredRun, plan: TrainingPlan, result: FullTrainingResult, say: Callable[[str], object]) -> None:
    """Write `final/weights.pt` and `final/MODEL_CARD.md` for the first winner.

    Args:
        run: the search.
        plan: the plan of full training.
        result: the result of full training.
        say: receives messages: the reason if there are no weights, the warnings about the winners, and the winners.

    Raises:
        RunError: a file cannot be written.
    """
    stages = Stages(run.state, run.folder)
    winner = stages.winners[0]
    if winner.weights is None:
        say(f"warning: {winner.title}: no weights: {winner.missing_weights_reason}")
        # Delete the files of an earlier winner.
        for name in (DESCRIPTION, WEIGHTS):
            (run.folder / FULL_TRAINING_FOLDER / name).unlink(missing_ok=True)
    else:
        _save_weights(run.folder / FULL_TRAINING_FOLDER, winner)
    facts = {**_collect_facts(run, plan, result.winner), "missing_weights_reason": winner.missing_weights_reason or ""}
    write_card(run.state, result, result.winner, result.find_best_index(result.winner), facts=facts, run=run.folder)
    for warning in stages.warnings:
        say(f"warning: {warning}")
    for winner in stages.winners:
        values = ", ".join(
            f"{name} {number(winner.mean_metrics[name])}"
            for name, _ in result.objectives
            if name in winner.mean_metrics
        )
        say(f"winner: {winner.title}: {values}")


def _save_weights(folder: Path, winner: Delivery) -> None:
    """Write the weights and their description.

    The old description is removed before the new weights replace the old ones. So a crash can leave weights without a
    description, but never weights with a wrong one.
    """
    import torch

    # The caller has checked that there are weights.
    assert winner.checkpoint is not None
    description = describe_weights(winner.training, winner.checkpoint.step)
    content = {"model": dict(load_weights(winner)), "metrics": dict(winner.metrics), DESCRIPTION_KEY: description}
    draft = folder / f"{WEIGHTS}.draft"
    try:
        # Not `replace_file`: the old description is removed between the writing and the renaming of the draft.
        write_flushed(draft, lambda file: torch.save(content, file))
        (folder / DESCRIPTION).unlink(missing_ok=True)
        os.replace(draft, folder / WEIGHTS)
        replace_text(folder / DESCRIPTION, description)
    except OSError as error:
        raise RunError(f"{folder / WEIGHTS} cannot be written: {error}; check space and permissions") from error


def _collect_facts(run: StoredRun, plan: TrainingPlan, winner: TrainedNetwork) -> dict[str, Any]:
    """Return the facts for the model card that are not in the result: epochs, data, and parameters and FLOPs."""
    facts: dict[str, Any] = {"epochs": plan.epochs}
    if plan.classifier is not None:
        facts["task"] = plan.classifier.task.describe()
    if winner.trial is not None:
        facts["cost"] = _measure_model_cost(run, winner.trial)
    return facts


def _measure_model_cost(run: StoredRun, trial: int) -> dict[str, Any]:
    """Return parameters, FLOPs and activation memory of one forward pass, or the reason why they are unknown.

    The result is empty if the space has no example input.
    """
    from ogive.hardware import FLOP_CONVENTION, measure
    from ogive.space.build import build_example_inputs

    architecture = run.state.trials[trial].architecture
    if architecture.space.example_input is None:
        return {}
    inputs = build_example_inputs(architecture.space.example_input)
    try:
        cost = measure(architecture.build(0), inputs)
    except (OgiveError, RuntimeError) as error:
        # The model card then gives the reason instead of the FLOPs.
        return {"not_counted_reason": str(error).splitlines()[0]}
    return {**asdict(cost), "convention": FLOP_CONVENTION}
