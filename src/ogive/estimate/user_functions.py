"""Estimators from a user's own code: a train function `f(model, trial)`, or a plain `f(architecture)`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from ogive.errors import JobError
from ogive.estimate.live_trial import LiveTrial, number, run_live, seed_everything
from ogive.hashing import hash_json
from ogive.run.estimator import Estimator, Evaluation
from ogive.space import Architecture
from ogive.trial import EMPTY


class Train(Estimator):
    """A train function as an estimator; made by `train`."""

    parallel = True  # but not rank invariant: `f` may share out each batch, or give each process a batch of its own
    trains_models = True

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
        self.__dict__ |= {**state, "is_stored": not _is_imported(state["_f"])}

    @property
    def function(self) -> Callable[[Any, LiveTrial], object]:
        """The train function."""
        return self._f

    def screen(self, architecture: Architecture) -> Mapping[str, float]:
        return count(architecture) if self._count_parameters else EMPTY

    def sources(self) -> Sequence[tuple[str, Any]]:
        return [("train function", self._f)]

    def prepare(self) -> None:
        _import_torch()
        _restore_script(self._f)

    def evaluate(self, evaluation: Evaluation) -> None:
        run_live(evaluation, self._train)

    def recipe(self) -> Mapping[str, Any] | None:
        return self._recipe

    def fingerprints(self) -> Mapping[str, str]:
        return EMPTY if self._recipe is None else {"recipe": hash_json(self._recipe)}

    def _train(self, trial: LiveTrial) -> None:
        _import_torch()  # before building: only a loaded PyTorch can be seeded
        model = trial.architecture.build(seed=trial.seed)
        trial._model = model
        seed_everything(trial.seed)
        self._f(model, trial)


class Function(Estimator):
    """A plain function of the architecture as an estimator; made by `function`."""

    def __init__(self, f: Callable[[Architecture], Mapping[str, Any]], recipe: Mapping[str, Any] | None) -> None:
        self._f = f
        self._recipe = recipe

    def sources(self) -> Sequence[tuple[str, Any]]:
        return [("function", self._f)]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "is_stored": not _is_imported(state["_f"])}

    def prepare(self) -> None:
        _restore_script(self._f)

    def evaluate(self, evaluation: Evaluation) -> None:
        if evaluation.reported >= 1:
            return
        seed_everything(evaluation.seed)
        metrics = self._f(evaluation.architecture)
        if not isinstance(metrics, Mapping) or not metrics:
            raise JobError(
                f"{_name(self._f)} returned {metrics!r}, but must return its metrics by name, such as "
                "{'accuracy': 0.9}"
            )
        evaluation.report(1, {name: number(name, value) for name, value in metrics.items()})

    def recipe(self) -> Mapping[str, Any] | None:
        return self._recipe

    def fingerprints(self) -> Mapping[str, str]:
        return EMPTY if self._recipe is None else {"recipe": hash_json(self._recipe)}


def _restore_script(f: Callable[..., Any]) -> None:
    """Let pickle find under `__main__` what the user's script defines there, as a `multiprocessing.Pool` of `f` needs it: in
    a worker another program is `__main__`, and the script's functions came by value.
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
) -> Train:
    """A train function as an estimator.

    The model is built from the trial's seed, the random states of Python, NumPy and PyTorch are set from it, and
    `f(model, trial)` trains and reports. What it returns is not looked at.

    Args:
        f: takes the model and a `LiveTrial`. `ogive.errors.Infeasible`, raised in it or while building, says that the
            architecture cannot be evaluated.
        recipe: all that determines a result beside architecture, seed, settings and fidelity, as JSON. With it, equal
            evaluations of other runs are taken from the evaluation cache, if as many processes trained each of their trials
            (`workers_per_trial`); None where that is unknown.
        count_parameters: whether `parameters` is told before training, so that hard constraints on it cost none.
        fidelities: what `f` obeys in `trial.fidelity` beside "epochs", such as ("data_fraction", "resolution").

    Raises:
        JobError: `f` cannot be called with a model and a trial, or `recipe` is not JSON.
    """
    _check_callable(f, ("model", "trial"))
    _check_recipe(recipe)
    return Train(f, recipe, count_parameters, tuple(fidelities))


def function(f: Callable[[Architecture], Mapping[str, Any]], recipe: Mapping[str, Any] | None = None) -> Function:
    """A plain function of the architecture as an estimator: its metrics are the only report, step 1.

    The random states of Python, NumPy and (where it is loaded) PyTorch are set from the trial's seed before.

    Args:
        f: returns metrics by name, each a number.
        recipe: as for `train`.

    Raises:
        JobError: `f` cannot be called with one architecture, or `recipe` is not JSON.
    """
    _check_callable(f, ("architecture",))
    _check_recipe(recipe)
    return Function(f, recipe)


def count(architecture: Architecture) -> dict[str, float]:
    """`parameters` of the architecture's model, built on the meta device, which allocates nothing."""
    import torch

    from ogive.hardware import parameters

    with torch.device("meta"):
        return {"parameters": float(parameters(architecture.build()))}


def _is_imported(f: Any) -> bool:
    """Whether a function that was unpickled was found by its name, and is not the copy that was stored with the run."""
    module = sys.modules.get(getattr(f, "__module__", None) or "")
    return module is not None and getattr(module, getattr(f, "__qualname__", ""), None) is f


def _check_callable(f: Any, arguments: tuple[str, ...]) -> None:
    wanted = f"a function of ({', '.join(arguments)})"
    if not callable(f):
        raise JobError(f"found {f!r}, which cannot be called; give {wanted}")
    if inspect.isgeneratorfunction(f) or inspect.iscoroutinefunction(f):
        raise JobError(f"{_name(f)} is a generator or a coroutine, which does nothing when called; give {wanted}")
    try:
        signature = inspect.signature(f)
    except ValueError:  # some callables written in C do not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise JobError(
            f"{_name(f)}{signature} cannot be called as f({', '.join(arguments)}): {error}; give {wanted}"
        ) from error


def _check_recipe(recipe: Any) -> None:
    try:
        valid = recipe is None or (isinstance(recipe, Mapping) and json.dumps(recipe) != "")
    except TypeError as error:
        raise JobError(f"recipe: {error}; it must be JSON: strings, numbers, lists and mappings of them") from error
    if not valid:
        raise JobError(f"recipe is {recipe!r}, but must be a mapping that can be written as JSON, or None")


def _import_torch() -> None:
    if find_spec("torch") is not None:
        import torch  # noqa: F401


def _name(f: Any) -> str:
    return getattr(f, "__qualname__", type(f).__qualname__)
