"""Estimators made of the user's code: a train function `f(model, trial)`, or a plain function `f(architecture)`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from ogive.errors import JobError
from ogive.estimate.live_trial import LiveTrial, run_live, seed_everything
from ogive.estimate.metric_values import to_float
from ogive.hashing import hash_json
from ogive.run.estimator import Estimator, Evaluation
from ogive.space import Architecture
from ogive.trial import EMPTY


class TrainFunctionEstimator(Estimator):
    """The estimator of a train function; created by `train`."""

    # Several ranks may train, but the result can depend on their number: `f` may share each batch among the ranks, or draw a
    # batch for each rank.
    parallel = True
    trains_models = True
    display_name = "a train function"

    def __init__(
        self,
        f: Callable[[Any, LiveTrial], object],
        recipe: Mapping[str, Any] | None,
        count_parameters: bool,
        fidelities: tuple[str, ...] = (),
    ) -> None:
        self._f = f
        self.fidelities = fidelities
        self._recipe = recipe
        self._count_parameters = count_parameters

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A function of a script is pickled by value, so this can be the copy that the run has stored.
        self.__dict__ |= {**state, "uses_stored_code": not _is_imported(state["_f"])}

    @property
    def function(self) -> Callable[[Any, LiveTrial], object]:
        """The train function."""
        return self._f

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return compute_parameters(architecture) if self._count_parameters else EMPTY

    def sources(self) -> Sequence[tuple[str, Any]]:
        return [("train function", self._f)]

    def prepare(self) -> None:
        _import_torch()
        _copy_globals_to_main(self._f)

    def evaluate(self, evaluation: Evaluation) -> None:
        run_live(evaluation, self._train)

    def recipe(self) -> Mapping[str, Any] | None:
        return self._recipe

    def fingerprints(self) -> Mapping[str, str]:
        return EMPTY if self._recipe is None else {"recipe": hash_json(self._recipe)}

    def _train(self, trial: LiveTrial) -> None:
        # `seed_everything` sets PyTorch's random state only if PyTorch is imported. The user's code may import it later.
        _import_torch()
        model = trial.architecture.build(seed=trial.seed)
        trial._checkpoint_use.model = model
        seed_everything(trial.seed)
        self._f(model, trial)


class PlainFunctionEstimator(Estimator):
    """The estimator of a plain function of the architecture; created by `function`."""

    display_name = "an estimator made by og.estimate.function"

    def __init__(self, f: Callable[[Architecture], Mapping[str, Any]], recipe: Mapping[str, Any] | None) -> None:
        self._f = f
        self._recipe = recipe

    def sources(self) -> Sequence[tuple[str, Any]]:
        return [("function", self._f)]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "uses_stored_code": not _is_imported(state["_f"])}

    def prepare(self) -> None:
        _copy_globals_to_main(self._f)

    def evaluate(self, evaluation: Evaluation) -> None:
        if evaluation.last_reported_step >= 1:
            return
        seed_everything(evaluation.seed)
        metrics = self._f(evaluation.architecture)
        if not isinstance(metrics, Mapping) or not metrics:
            raise JobError(
                f"{_get_name(self._f)} returned {metrics!r}, but must return metrics by name, such as {{'accuracy': 0.9}}"
            )
        evaluation.report(1, {name: to_float(name, value) for name, value in metrics.items()})

    def recipe(self) -> Mapping[str, Any] | None:
        return self._recipe

    def fingerprints(self) -> Mapping[str, str]:
        return EMPTY if self._recipe is None else {"recipe": hash_json(self._recipe)}


def _copy_globals_to_main(f: Callable[..., Any]) -> None:
    """Copy the globals of the user's script into the module `__main__` of this worker.

    In a worker, `__main__` is the program of the worker, and the functions of the user's script were pickled by value. If
    `f` uses a `multiprocessing.Pool`, the pool pickles these functions by name and looks for them in `__main__`.
    """
    namespace = getattr(getattr(f, "func", f), "__globals__", {})
    main = sys.modules["__main__"]
    if namespace.get("__name__") != "__main__" or namespace is vars(main):
        return
    for name, value in namespace.items():
        if getattr(value, "__module__", None) == "__main__" and not hasattr(main, name):
            setattr(main, name, value)


def train(
    f: Callable[[Any, LiveTrial], object],
    recipe: Mapping[str, Any] | None = None,
    *,
    count_parameters: bool = False,
    fidelities: Sequence[str] = (),
) -> TrainFunctionEstimator:
    """Return the estimator of a train function.

    For each trial, the model is built from the seed of the trial, the random states of Python, NumPy and PyTorch are set
    from it, and `f(model, trial)` is called to train and report. Its return value is ignored.

    Args:
        f: a function that takes the model and a `LiveTrial`. This function, and the code that builds the model, can raise
            `ogive.errors.Infeasible` if the architecture cannot be evaluated.
        recipe: everything that determines a result other than architecture, seed, settings and fidelity, as JSON; None if
            unknown. With a recipe, results of other runs with an equal recipe, and with the same number of processes per
            trial, are taken from the evaluation cache.
        count_parameters: whether the metric `parameters` is computed before training, for hard constraints on it.
        fidelities: the names in `trial.fidelity`, other than "epochs", that `f` applies: ("data_fraction", "resolution").

    Raises:
        JobError: `f` cannot be called with a model and a trial, or `recipe` is not JSON.
    """
    _check_callable(f, ("model", "trial"))
    _check_recipe(recipe)
    return TrainFunctionEstimator(f, recipe, count_parameters, tuple(fidelities))


def function(
    f: Callable[[Architecture], Mapping[str, Any]], recipe: Mapping[str, Any] | None = None
) -> PlainFunctionEstimator:
    """Return the estimator of a plain function of the architecture.

    The metrics that the function returns are the only report of a trial, at step 1.

    Before the call, the random states of Python, NumPy and PyTorch (if it is imported) are set from the trial's seed.

    Args:
        f: a function that takes an architecture, and returns metrics by name, each a number.
        recipe: everything that determines a result other than architecture and seed, as in `train`.

    Raises:
        JobError: `f` cannot be called with one architecture, or `recipe` is not JSON.
    """
    _check_callable(f, ("architecture",))
    _check_recipe(recipe)
    return PlainFunctionEstimator(f, recipe)


def compute_parameters(architecture: Architecture) -> dict[str, float]:
    """Return the metric `parameters` of an architecture. Its model is built on the meta device, which needs no memory."""
    import torch

    from ogive.hardware import parameters

    with torch.device("meta"):
        return {"parameters": float(parameters(architecture.build()))}


def _is_imported(f: Any) -> bool:
    """Return whether an unpickled function was imported by its name; otherwise it is the copy that the run stored."""
    module = sys.modules.get(getattr(f, "__module__", None) or "")
    return module is not None and getattr(module, getattr(f, "__qualname__", ""), None) is f


def _check_callable(f: Any, arguments: tuple[str, ...]) -> None:
    """Raise JobError if `f` is not a function that can be called with these positional arguments."""
    expected = f"a function of ({', '.join(arguments)})"
    if not callable(f):
        raise JobError(f"{f!r} cannot be called; expected {expected}")
    if inspect.isgeneratorfunction(f) or inspect.iscoroutinefunction(f):
        raise JobError(
            f"{_get_name(f)} is a generator or a coroutine, which does nothing when called; expected {expected}"
        )
    try:
        signature = inspect.signature(f)
    except ValueError:  # some callables written in C have no signature
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise JobError(
            f"{_get_name(f)}{signature} cannot be called as f({', '.join(arguments)}): {error}; expected {expected}"
        ) from error


def _check_recipe(recipe: Any) -> None:
    """Raise JobError if a recipe is neither None nor a mapping that can be written as JSON."""
    try:
        # `json.dumps` never returns "". It is called because it raises TypeError for values that are not JSON.
        is_valid = recipe is None or (isinstance(recipe, Mapping) and json.dumps(recipe) != "")
    except TypeError as error:
        raise JobError(
            f"recipe: {error}; a recipe must be JSON: strings, numbers, lists and mappings of them"
        ) from error
    if not is_valid:
        raise JobError(f"recipe is {recipe!r}, but must be a mapping that can be written as JSON, or None")


def _import_torch() -> None:
    """Import PyTorch if it is installed."""
    if find_spec("torch") is not None:
        import torch  # noqa: F401


def _get_name(f: Any) -> str:
    """Return the name of a function or of the class of a callable object, for messages."""
    return getattr(f, "__qualname__", type(f).__qualname__)
