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
    from ogive.trial import Trial


OUTPUT = (
    "Where to. json: a folder, or a file that ends in .json; printed where left out. "
    "torch: a folder; exports/TRIAL in the run where left out."
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
        architecture, inputs = _with_layers(opened, found)
        folder = output or opened.folder / "exports" / f"{found.id:06d}"
        data = _data(opened)
        for path in report.export_torch(architecture, state, inputs, folder, description, data):
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


def _with_layers(run: Run, trial: Trial) -> tuple[Any, tuple[Any, ...]]:
    """The trial's architecture in the space with its layers, and inputs for its model."""
    import torch  # noqa: F401 - the space's example input is made with it

    from ogive.job import add_code_of
    from ogive.space.build import example_inputs

    add_code_of(run.folder)
    space = run.space
    return space.architecture(trial.architecture.to_json()), example_inputs(space.example_input)


def _data(run: Run) -> dict[str, Any] | None:
    """What the model was trained on, as the task tells it; None where only the user's train function knows."""
    from ogive.estimate import Classifier

    judge = run.estimator
    if not isinstance(judge, Classifier):
        return None
    try:
        task = judge.task.describe()
    except (OgiveError, OSError) as error:
        print(f"warning: the export cannot tell how its inputs were prepared: {error}", file=sys.stderr)
        return None
    return {name: task[name] for name in ("data", "preparation", "shape", "classes")}
