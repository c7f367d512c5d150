"""What leaves a run: a trained model in Python, and the export that runs without Ogive."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, OgiveError, RunError
from ogive.estimate import Classifier, load_checkpoint
from ogive.export.export_folder import ABOUT, form_of
from ogive.session.search_code import LAYERS, SearchCode
from ogive.stages.delivery import FULL, Delivery
from ogive.stages.trial_json import export_json
from ogive.stages.weights_file import OF, WEIGHTS, identity

if TYPE_CHECKING:
    import torch

    from ogive.export import TaskData
    from ogive.session.stored_run import StoredRun

FORMS = ("json", "torch")
Say = Callable[[str], object]


def load_weights(delivery: Delivery) -> Mapping[str, torch.Tensor]:
    """The state dict of a delivered network, tensors on the CPU.

    Raises:
        RunError: there is none; the message says why, and what to do.
    """
    if delivery.weights is None or delivery.saved is None:
        raise RunError(f"{delivery.title}: there are no weights: {delivery.missing}")
    state = load_checkpoint(delivery.weights)
    if "model" not in state:  # written by an earlier version, which did not record what is in it
        raise RunError(
            f"{delivery.title}: {delivery.weights} holds {', '.join(state)}, but no weights under 'model'; let the train "
            "function call trial.checkpoint(model=model.state_dict(), ...) and run `ogive finalize` again"
        )
    if delivery.weights.name == WEIGHTS and state.get(OF) != identity(delivery.training, delivery.saved.step):
        raise RunError(
            f"{delivery.title}: {delivery.weights} is not the file that `ogive finalize` has written; put that back, or "
            "remove it and let `ogive finalize --retrain` (retrain=True) train the network again"
        )
    weights: Mapping[str, torch.Tensor] = state["model"]
    return weights


def changed_code(run: StoredRun, delivery: Delivery) -> list[str]:
    """What of the layers' code has changed since a network was trained, a sentence each; empty where nothing is known.

    A model is then built from the present code, and its metrics are of the former. That is no error: most changes leave what
    is computed as it was, and a model that cannot be exported is repaired by such a change.
    """
    return SearchCode.of(run.space, run.estimator).sentences(delivery.session, (LAYERS,))


def _code_warnings(delivery: Delivery, changes: Sequence[str]) -> Iterator[str]:
    for change in changes:
        yield (
            f"{delivery.title}: {change} since it was trained: its metrics are of the former code, the model is built from "
            "the present"
        )


def load_model(run: StoredRun, delivery: Delivery) -> torch.nn.Module:
    """The network with its weights, on the CPU and in eval mode; a `UserWarning` says what code has changed since.

    A network that the search trained as a narrower or shallower proxy is built as it was trained.

    Raises:
        RunError: there are no weights, or they are not of this network.
    """
    weights = load_weights(delivery)
    for message in _code_warnings(delivery, changed_code(run, delivery)):
        warnings.warn(message, stacklevel=3)  # where run.model() is called
    architecture = run.space.architecture(delivery.trial.architecture.to_json())
    model: torch.nn.Module = architecture.build(delivery.seed)
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise RunError(f"{delivery.title}: {_why_unlike(run, delivery)}: {str(error).splitlines()[0]}") from error
    return model.eval()


def _why_unlike(run: StoredRun, delivery: Delivery) -> str:
    """Why weights do not fit the network that the space builds now, and what to do."""
    judge = run.estimator
    architecture = run.space.architecture(delivery.trial.architecture.to_json())
    if delivery.stage != FULL and isinstance(judge, Classifier):
        shares = judge.other_weights(architecture, delivery.training.fidelity)
        if shares:
            proxy = " and ".join(f"{name} {share:g}" for name, share in shares.items())
            return (
                f"the search trained it as a proxy of {proxy}; run.finalize (`ogive finalize`) trains the whole network"
            )
    return (
        f"the weights in {delivery.weights} do not fit the network; a factory of the space has changed since, or the train "
        "function saved another model under 'model'"
    )


def export(
    run: StoredRun,
    delivery: Delivery,
    to: str = "torch",
    output: Path | None = None,
    inputs: Any = None,
    say: Say = lambda message: None,
) -> Path:
    """Write a network as JSON, or with its weights as a program that runs with PyTorch alone.

    Args:
        run: with its layers for "torch".
        delivery: which network.
        to: "json" or "torch".
        output: a folder; for "json" also a file that ends in `.json`. `exports/TRIAL` in the run's folder where None.
        inputs: example inputs, as for `ogive.export.export_torch`; None for those of the task or the space.
        say: called with messages: the form of the export, how far its outputs differ, warnings.

    Returns:
        the folder, or the JSON file.

    Raises:
        JobError: `to` is neither.
        RunError: there are no weights, they do not fit, the export does not agree with the model, or the place cannot be
            written.
    """
    if to not in FORMS:
        raise JobError(f"to={to!r}: {' or '.join(FORMS)}")
    folder = output or run.folder / "exports" / f"{delivery.trial.id:06d}"
    description = export_json(delivery)
    if to == "json":
        return _write_json(folder, description)
    from ogive.export import export_torch

    weights, changes = load_weights(delivery), changed_code(run, delivery)
    for message in _code_warnings(delivery, changes):
        say(f"warning: {message}")
    export_torch(
        run.space.architecture(delivery.trial.architecture.to_json()),
        weights,
        folder,
        inputs=inputs,
        description={**description, "code": changes},
        task=_task(run, say),
        seed=delivery.seed,
        say=say,
    )
    return folder


def _says(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether the JSON file holds all of `description`."""
    written = json.loads(path.read_text(encoding="utf-8"))
    return bool({name: written.get(name) for name in description} == json.loads(json.dumps(description)))


def _write_json(output: Path, description: Mapping[str, Any]) -> Path:
    """Write to the file `output`, or into the folder of that name; the file's path."""
    path = output if output.suffix == ".json" and not output.is_dir() else output / ABOUT
    form = form_of(path)
    if form and _says(path, description):
        return path  # the exported model is of this network, and tells all of it
    if form or (form is None and path.parent == output and path.exists()):
        whose = "belongs to an exported model, which needs it" if form else "was not written by an export"
        raise RunError(
            f"{path} {whose}; choose another place with -o (output=), such as another file that ends in .json"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; choose another place") from error
    return path


def _task(run: StoredRun, say: Say) -> TaskData | None:
    """What the model was trained on, as the task tells it; None where only the user's train function knows."""
    from ogive.export import task_data

    try:
        return task_data(run.estimator)
    except (OgiveError, OSError) as error:
        say(f"warning: the export cannot tell how its inputs were prepared: {error}")
        return None
