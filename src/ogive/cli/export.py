"""`ogive export`: an architecture, or a trained model that runs without Ogive."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import RunPath, open_run, print_json
from ogive.errors import RunError

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.trial import Trial


class Form(StrEnum):
    """What to write."""

    JSON = "json"
    TORCH = "torch"


def export(
    run: RunPath,
    trial: Annotated[str, typer.Option(help="A trial's number, or best.")] = "best",
    to: Annotated[
        Form, typer.Option(help="json: the architecture. torch: a program that runs without Ogive.")
    ] = Form.JSON,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to write to; exports/<trial> in the run.")
    ] = None,
) -> None:
    """Export a trial: its architecture as JSON, or its trained model as a PyTorch program."""
    from ogive import report

    opened = open_run(run)
    found = _trial(opened, trial)
    folder = output or opened.folder / "exports" / f"{found.id:06d}"
    if to is Form.JSON:
        description = report.export_json(opened.state, found)
        if output is None:
            print_json(description)
            return
        _write_json(folder, description)
        print(folder / "architecture.json")
        return
    state = _weights(opened, found)
    architecture, inputs = _with_layers(opened, found)
    for path in report.export_torch(architecture, state, inputs, folder):
        print(path)


def _trial(run: Run, wanted: str) -> Trial:
    if wanted == "best":
        return run.best
    trials = run.state.trials
    if not wanted.isdigit() or int(wanted) not in trials:
        raise RunError(
            f"--trial: found {wanted!r}; allowed: best, or a number from 0 to {len(trials) - 1} (`ogive top`)"
        )
    return trials[int(wanted)]


def _write_json(folder: Path, description: Any) -> None:
    import json

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "architecture.json").write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error}; choose another one with -o") from error


def _weights(run: Run, trial: Trial) -> dict[str, Any]:
    """The state dict of the trial's full training where there was one, else that in its newest checkpoint.

    Raises:
        RunError: there is none; the message says why, and what helps.
    """
    from ogive.api.final import full_weights
    from ogive.estimate import load_checkpoint
    from ogive.estimate.checkpoint import newest

    trained = full_weights(run.folder, trial.id)
    if trained is not None:
        print(f"weights of full training: {trained}", file=sys.stderr)
        full: dict[str, Any] = load_checkpoint(trained)["model"]
        return full
    folder = run.folder / "trials" / f"{trial.id:06d}"
    saved = newest(folder) if folder.is_dir() else None
    if saved is None:
        if trial.cached:
            why = "its result comes from the evaluation cache; search with --no-cache in a fresh folder (--run DIR)"
        elif not trial.reports:
            why = f"it has not reported anything ({trial.status.value}); choose one of `ogive top`"
        else:
            why = (
                "its train function never called trial.checkpoint(model=model.state_dict()); add that and search again"
            )
        raise RunError(f"trial {trial.id} has no checkpoint, so there are no weights to export: {why}")
    state = load_checkpoint(saved.path)
    if "model" not in state:
        raise RunError(
            f"trial {trial.id}: its checkpoint holds {', '.join(state)}, but no weights under 'model'; "
            "call trial.checkpoint(model=model.state_dict())"
        )
    weights: dict[str, Any] = state["model"]
    return weights


def _with_layers(run: Run, trial: Trial) -> tuple[Any, tuple[Any, ...]]:
    """The trial's architecture in the space with its layers, and inputs for its model."""
    import torch  # noqa: F401 - the space's example input is made with it

    from ogive.job import add_code_of
    from ogive.space.build import example_inputs

    add_code_of(run.folder)
    space = run.space
    return space.architecture(trial.architecture.to_json()), example_inputs(space.example_input)
