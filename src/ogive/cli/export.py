"""`ogive export`: an architecture, or a trained model that runs without Ogive."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import RunPath, open_run, print_json, shown
from ogive.errors import OgiveError, RunError

if TYPE_CHECKING:
    from ogive.api import Run
    from ogive.export import TaskData
    from ogive.space import Architecture
    from ogive.trial import Trial


OUTPUT = (
    "Where to. json: a folder, or a file that ends in .json; printed where left out. "
    "torch: a folder; exports/TRIAL in the run where left out."
)
INPUT = (
    "torch: an input of the model, [NAME=]SHAPE[:DTYPE], the shape of one example without the batch: 1,28,28 or "
    "tokens=16:int64. Once for each input. Default: the space's example_input."
)


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
    output: Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT)] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", metavar="SHAPE", help=INPUT)] = None,
) -> None:
    """Export a trial: its architecture as JSON, or its trained model as a PyTorch program."""
    from ogive import report

    opened = open_run(run)
    found = _trial(opened, trial)
    description = report.export_json(opened.state, found)
    if to is Form.JSON and output is None:
        print_json(description)
    elif to is Form.JSON and output is not None:
        print(shown(_write_json(output, description)))
    else:
        state = _weights(opened, found)
        from ogive.export import export_torch

        paths = export_torch(
            _with_layers(opened, found),
            state,
            output or opened.folder / "exports" / f"{found.id:06d}",
            inputs=inputs or None,
            description=description,
            task=_task(opened),
            seed=found.seed,
            say=print,
        )
        for path in paths:
            print(shown(path))


def _trial(run: Run, wanted: str) -> Trial:
    objectives = run.state.objectives
    if wanted == "best" and len(objectives) > 1:
        names = ", ".join(objective.metric for objective in objectives)
        folder = shlex.quote(str(shown(run.folder)))
        raise RunError(
            f"with several objectives ({names}) there is no single best trial: give --trial N, see `ogive front {folder}`"
        )
    if wanted == "best":
        return run.best
    trials = run.state.trials
    if not wanted.isdigit() or int(wanted) not in trials:
        raise RunError(
            f"--trial: found {wanted!r}; allowed: best, or a number from 0 to {len(trials) - 1} (`ogive top`)"
        )
    return trials[int(wanted)]


def _write_json(output: Path, description: Any) -> Path:
    """Write to the file `output`, or into the folder of that name; the file's path."""
    import json

    path = output if output.suffix == ".json" and not output.is_dir() else output / "architecture.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; choose another place with -o") from error
    return path


def _weights(run: Run, trial: Trial) -> dict[str, Any]:
    """The state dict of the trial's full training where there was one, else that in its newest checkpoint.

    Raises:
        RunError: there is none; the message says why, and what helps.
    """
    from ogive.api.deliver import full_weights
    from ogive.estimate import load_checkpoint
    from ogive.estimate.checkpoint import newest

    trained = full_weights(run.folder, trial.id)
    if trained is not None:
        print(f"weights of full training: {shown(trained)}", file=sys.stderr)
        full: dict[str, Any] = load_checkpoint(trained)["model"]
        return full
    from ogive.run.folders import trial_folder

    folder = trial_folder(run.folder, trial)
    saved = newest(folder) if folder.is_dir() else None
    if saved is None:
        if trial.cached:
            why = "its result comes from the evaluation cache; search with --no-cache in a fresh folder (--run DIR)"
        elif not trial.reports:
            why = f"it has not reported anything ({trial.status.value}); choose one of `ogive top`"
        else:
            why = (
                f"there is none in {shown(folder)}: either the train function never called "
                "trial.checkpoint(model=model.state_dict()), or the files were deleted; search again in a fresh folder "
                "(--run DIR --no-cache)"
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


def _with_layers(run: Run, trial: Trial) -> Architecture:
    """The trial's architecture in the space with its layers."""
    import torch  # noqa: F401 - the space's example input is made with it

    from ogive.job import add_code_of

    add_code_of(run.folder)
    return run.space.architecture(trial.architecture.to_json())


def _task(run: Run) -> TaskData | None:
    """What the model was trained on, as the task tells it; None where only the user's train function knows."""
    from ogive.export import task_data

    try:
        return task_data(run.estimator)
    except (OgiveError, OSError) as error:
        print(f"warning: the export cannot tell how its inputs were prepared: {error}", file=sys.stderr)
        return None
