"""What a second stage leaves to its user: the winner's weights, and its model card."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.api.verdict import Stage, load_weights
from ogive.errors import OgiveError, RunError
from ogive.report.card import write_card
from ogive.report.two_stage import FOLDER, Network, TwoStage, read_two_stage

if TYPE_CHECKING:
    from ogive.api.result import Run

WEIGHTS = "weights.pt"


def deliver(run: Run, stage: Stage, result: TwoStage, say: Callable[[str], object]) -> None:
    """Write `final/weights.pt` and `final/MODEL_CARD.md` for the first winner; `say` is told where there are no weights."""
    winner = result.winner
    place = best_seed(result, winner)
    if winner.weights[place]:
        weights = load_weights(run.folder, winner, place)
        if weights is None:
            say(
                f"warning: the checkpoint of {winner.name} holds no weights under 'model', so there is no {WEIGHTS}; let "
                "the train function call trial.checkpoint(model=model.state_dict(), ...)"
            )
        else:
            _save(run.folder / FOLDER, weights, {name: values[place] for name, values in winner.values.items()})
    write_card(run.state, result, winner, place, _facts(run, stage, winner), run.folder)


def _save(folder: Path, weights: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    import torch

    draft = folder / f"{WEIGHTS}.draft"
    try:
        torch.save({"model": dict(weights), "metrics": dict(metrics)}, draft)
        os.replace(draft, folder / WEIGHTS)
    except OSError as error:
        raise RunError(f"{folder / WEIGHTS} cannot be written: {error}; check space and permissions") from error


def best_seed(result: TwoStage, network: Network) -> int:
    """The place in `network.seeds` of the training with the best value of the first objective, chosen by validation."""
    metric, goal = result.objectives[0]
    values = network.values.get(metric)
    if not values:
        return 0
    return values.index((max if goal == "maximize" else min)(values))


def full_weights(run: Path, trial: int) -> Path | None:
    """The weights of a trial's full training, of its best seed by validation; None where there was none."""
    result = read_two_stage(run)
    network = next((n for n in result.networks if n.trial == trial and n.seeds), None) if result else None
    if result is None or network is None:
        return None
    file = network.weights[best_seed(result, network)]
    return run / file if file and (run / file).is_file() else None


def _facts(run: Run, stage: Stage, winner: Network) -> dict[str, Any]:
    """What a model card tells beyond the record: data, device, and the cost of one example."""
    facts: dict[str, Any] = {"trained": stage.epochs}
    if stage.full is not None:
        facts["task"] = stage.full.task.describe()
    if winner.trial is not None:
        facts["cost"] = _cost(run, winner.trial)
    return facts


def _cost(run: Run, trial: int) -> dict[str, Any]:
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
