"""The trained model of a run: loading it in Python, and exporting it as a program that runs without Ogive."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.errors import JobError, OgiveError, RunError
from ogive.estimate import Classifier, load_checkpoint
from ogive.export.export_folder import ABOUT, read_export_form
from ogive.files import replace_text
from ogive.session.search_code import LAYERS_PART, SearchCode
from ogive.stages.delivery import FULL_TRAINING, Delivery
from ogive.stages.trial_json import describe_delivery
from ogive.stages.weights_file import DESCRIPTION_KEY, WEIGHTS, describe_weights

if TYPE_CHECKING:
    import torch

    from ogive.export import TaskData
    from ogive.session.stored_run import StoredRun

EXPORT_FORMS = ("json", "torch")
"""The allowed values of `to`."""
MessageFunction = Callable[[str], object]


def load_weights(delivery: Delivery) -> Mapping[str, torch.Tensor]:
    """Return the state dict of a delivered network, with tensors on the CPU.

    Raises:
        RunError: there are no weights. The message gives the reason and what to do.
    """
    if delivery.weights is None or delivery.checkpoint is None:
        raise RunError(f"{delivery.title}: there are no weights: {delivery.missing_weights_reason}")
    state = load_checkpoint(delivery.weights)
    # Checkpoints of earlier versions do not record their keys, so `delivery.weights` may have no model.
    if "model" not in state:
        raise RunError(
            f"{delivery.title}: {delivery.weights} has {', '.join(state)}, but no weights under 'model'; let the train "
            "function call trial.checkpoint(model=model.state_dict(), ...) and run `ogive finalize` again"
        )
    # The file of the first winner identifies the training of its weights. If it does not match, the file was replaced.
    if delivery.weights.name == WEIGHTS and state.get(DESCRIPTION_KEY) != describe_weights(
        delivery.training, delivery.checkpoint.step
    ):
        raise RunError(
            f"{delivery.title}: {delivery.weights} is not the file that `ogive finalize` wrote; put that file back, or "
            "remove this one and let `ogive finalize --retrain` (retrain=True) train the network again"
        )
    weights: Mapping[str, torch.Tensor] = state["model"]
    return weights


def list_code_changes(run: StoredRun, delivery: Delivery) -> list[str]:
    """Return a sentence for each change in the code of the layers since a network was trained.

    The model is built from the present code, although its metrics were measured with the previous code. This is not an
    error: most changes do not affect the result, and some models can only be exported after a change.
    """
    return SearchCode.of(run.space, run.estimator).describe_changes(delivery.session, (LAYERS_PART,))


def _format_code_warnings(delivery: Delivery, changes: Sequence[str]) -> Iterator[str]:
    for change in changes:
        yield (
            f"{delivery.title}: {change} since the training: the metrics were measured with the previous code, and the "
            "model is built from the present code"
        )


def load_model(run: StoredRun, delivery: Delivery) -> torch.nn.Module:
    """Return the model of a network with its weights, on the CPU and in eval mode.

    A `UserWarning` is issued for each change in the code of the layers since the training.

    Raises:
        RunError: there are no weights, or they do not fit the network.
    """
    weights = load_weights(delivery)
    for message in _format_code_warnings(delivery, list_code_changes(run, delivery)):
        # With this stack level, the warning names the line that calls run.model().
        warnings.warn(message, stacklevel=3)
    architecture = run.space.architecture(delivery.trial.architecture.to_json())
    model: torch.nn.Module = architecture.build(delivery.seed)
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise RunError(f"{delivery.title}: {_explain_mismatch(run, delivery)}: {str(error).splitlines()[0]}") from error
    return model.eval()


def _explain_mismatch(run: StoredRun, delivery: Delivery) -> str:
    """Return why weights do not fit the network that the space builds now, and what to do."""
    estimator = run.estimator
    architecture = run.space.architecture(delivery.trial.architecture.to_json())
    if delivery.stage != FULL_TRAINING and isinstance(estimator, Classifier):
        shares = estimator.find_incompatible_shares(architecture, delivery.training.fidelity)
        if shares:
            proxy = " and ".join(f"{name} {share:g}" for name, share in shares.items())
            return (
                f"the search trained the network as a proxy ({proxy}); run.finalize (`ogive finalize`) trains the full "
                "network"
            )
    return (
        f"the weights in {delivery.weights} do not fit the network; a factory of the space has changed, or the train "
        "function saved another model under 'model'"
    )


def export(
    run: StoredRun,
    delivery: Delivery,
    to: str = "torch",
    output: Path | None = None,
    *,
    inputs: Any = None,
    say: MessageFunction = lambda message: None,
) -> Path:
    """Export a network as JSON, or with its weights as a program that needs only PyTorch.

    Args:
        run: the run that trained the network. It must be opened with `trust` for "torch".
        delivery: the network.
        to: "json" or "torch".
        output: a folder; for "json" also a file that ends in `.json`. None for `exports/TRIAL` in the run's folder.
        inputs: example inputs, as for `ogive.export.export_torch`; None for the example inputs of the task or the space.
        say: receives messages: that the program contains the source of the layers if they cannot be traced, the largest
            difference between the outputs of export and model, and warnings.

    Returns:
        The path of the folder or the JSON file.

    Raises:
        JobError: `to` has another value.
        RunError: there are no weights, the weights do not fit the network, the export and the model have different outputs,
            or a file cannot be written.
    """
    if to not in EXPORT_FORMS:
        raise JobError(f"to={to!r}: expected {' or '.join(map(repr, EXPORT_FORMS))}")
    folder = output or run.folder / "exports" / f"{delivery.trial.id:06d}"
    description = describe_delivery(delivery)
    if to == "json":
        return _write_json(folder, description)
    from ogive.export import export_torch

    weights, changes = load_weights(delivery), list_code_changes(run, delivery)
    for message in _format_code_warnings(delivery, changes):
        say(f"warning: {message}")
    export_torch(
        run.space.architecture(delivery.trial.architecture.to_json()),
        weights,
        folder,
        inputs=inputs,
        description={**description, "code": changes},
        task=_find_task(run, say),
        seed=delivery.seed,
        say=say,
    )
    return folder


def _contains(path: Path, description: Mapping[str, Any]) -> bool:
    """Return whether the JSON file `path` has all values of `description`."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    # Converted to JSON and back, so that tuples are compared as lists.
    return bool({name: stored.get(name) for name in description} == json.loads(json.dumps(description)))


def _write_json(output: Path, description: Mapping[str, Any]) -> Path:
    """Write `description` to the file `output`, or into the folder `output`, and return the file's path.

    Raises:
        RunError: the file belongs to another export or program, or it cannot be written.
    """
    path = output if output.suffix == ".json" and not output.is_dir() else output / ABOUT
    # The form of the export whose description `path` is; "" if it is a JSON export; None if it is not from an export.
    form = read_export_form(path)
    if form and _contains(path, description):
        # An export of the same network with its weights has written the description already.
        return path
    # `path.parent` is `output` only if `output` is a folder. A `.json` file that the caller named is replaced.
    if form or (form is None and path.parent == output and path.exists()):
        owner = "belongs to an exported model, which needs it" if form else "was not written by an export"
        raise RunError(f"{path} {owner}; choose another file with -o (output=), such as one that ends in .json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; choose another file") from error
    return path


def _find_task(run: StoredRun, say: MessageFunction) -> TaskData | None:
    """Return the description of the training data; None if only the user's train function knows it."""
    from ogive.export import read_task_data

    try:
        return read_task_data(run.estimator)
    except (OgiveError, OSError) as error:
        say(f"warning: the export does not describe how its inputs were prepared: {error}")
        return None
