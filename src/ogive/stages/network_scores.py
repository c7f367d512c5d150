"""The scores of trained networks on single examples: the probability to be the true best, and the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import RunError
from ogive.objective import total_violation
from ogive.stages.full_training_result import FOLDER, FullTrainingResult, TrainedNetwork, read_full_training
from ogive.stages.training_plan import TrainingPlan
from ogive.stats.best_probability import best_probabilities, estimate_noise

if TYPE_CHECKING:
    from ogive.session.stored_run import StoredRun


def add_best_probabilities(
    run: StoredRun,
    plan: TrainingPlan,
    networks: Sequence[TrainedNetwork],
    metrics: Mapping[str, Mapping[str, float]],
) -> tuple[list[TrainedNetwork], float | None, str]:
    """Compute the probability of each finalist to be the true best.

    Args:
        run: the search.
        plan: of full training.
        networks: in the order of the search.
        metrics: of each finalist after full training.

    Returns:
        The networks with their probabilities; that of the search's best, None if it is unknown; and a note on what it takes
        into account, or why it is unknown.
    """
    objectives, constraints = run.state.objectives, run.state.constraints
    if len(objectives) > 1:
        return list(networks), None, "with several objectives there is no single best network"
    metric = objectives[0].metric
    feasible = [
        n for n in networks if n.trial is not None and n.seeds and total_violation(metrics[n.name], constraints) == 0
    ]
    if not feasible or feasible[0].name != f"trial {plan.finalists[0].id}":
        return list(networks), None, "the search's best has no value, or violates a constraint after full training"
    if len(feasible) < 2:
        return list(networks), None, "there is only one finalist"
    values = [n.values[metric] for n in feasible]
    training_noise = estimate_noise(values, _mean_example_scores(run, plan, feasible, metric))
    if training_noise.seed_deviation is None:
        return list(networks), None, "a single seed does not show the noise of training; give two seeds or more"
    # The search's values predict the true values only if they have the same fidelity.
    is_comparable = len({n.epochs for n in feasible}) == 1
    searched = [n.searched[metric] for n in feasible] if is_comparable else ()
    result = best_probabilities(values, objectives[0].goal, training_noise, searched)
    by_name = dict(zip((n.name for n in feasible), result.tolist(), strict=True))
    note = (
        f"accounts for training noise ({training_noise.seed_deviation:.2g} from seed to seed, "
        f"{training_noise.degrees_of_freedom} degrees of freedom)"
    )
    note += (
        "; the effect of the choice of validation examples is unknown"
        if training_noise.example_covariance is None
        else " and for the choice of validation examples"
    )
    updated = [replace(n, probability=by_name.get(n.name)) for n in networks]
    return updated, by_name[feasible[0].name], note


def _mean_example_scores(
    run: StoredRun, plan: TrainingPlan, networks: Sequence[TrainedNetwork], metric: str
) -> FloatArray | None:
    """Return each network's score on each validation example [k, m], means over seeds; None if they are not known.

    The mean over the examples is the metric.
    """
    classifier = plan.classifier
    if classifier is None or metric not in ("accuracy", "log_loss"):
        return None
    examples = classifier.task.validation()
    return np.stack([np.mean([s[metric] for s in _score_trainings(run, plan, n, examples)], axis=0) for n in networks])


def _score_trainings(
    run: StoredRun, plan: TrainingPlan, network: TrainedNetwork, examples: Any
) -> list[dict[str, FloatArray]]:
    """Return for each training of a network its scores on each of `examples`, by metric."""
    assert plan.classifier is not None
    scores = []
    for index, seed in enumerate(network.seeds):
        model = plan.build(network, seed, run)
        model.load_state_dict(_load_weights(run.folder, network, index))
        scores.append(plan.classifier.scores(model, examples))
    return scores


def _load_weights(run: Path, network: TrainedNetwork, index: int) -> Mapping[str, Any]:
    """Return the state dict of the training with the seed at `index`, by the built-in trainer.

    Raises:
        RunError: the checkpoint was deleted.
    """
    from ogive.estimate import load_checkpoint

    file = network.weights[index]
    path = run / file if file else run / FOLDER
    if not file or not path.is_file():
        raise RunError(
            f"the weights of {network.name}, seed {network.seeds[index]}, are not in {path} any more; finalize again with "
            "retrain=True (`ogive finalize --retrain`), which trains it again"
        )
    weights: Mapping[str, Any] = load_checkpoint(path)["model"]
    return weights


# -- the test split ----------------------------------------------------------------------------------------------------


def measure_on_test_split(
    run: StoredRun,
    plan: TrainingPlan,
    networks: Sequence[TrainedNetwork],
    winners: Sequence[str],
    *,
    on_read: Callable[[str], object],
    say: Callable[[str], object],
) -> list[TrainedNetwork]:
    """Return the networks, the winners and the baseline with their metrics on the test split.

    Metrics of an earlier call for the same trainings are used again, so that the test split is not read twice for them.

    Args:
        run: the search.
        plan: of full training.
        networks: of full training.
        winners: their names.
        on_read: called with the split's fingerprint before the test split is read.
        say: receives messages on the progress.
    """
    classifier = plan.classifier
    if classifier is None:
        say("the test split is not read: only the train function knows its data; test the winner with your own program")
        return list(networks)
    stored = _read_stored_result(run.folder, say)
    tested_before = {n.name: n for n in stored.networks if n.test} if stored else {}
    selected = [n for n in networks if n.seeds and (n.name in winners or n.trial is None)]
    new = [
        n.name for n in selected if n.name not in tested_before or list(tested_before[n.name].seeds) != list(n.seeds)
    ]
    examples = classifier.task.test(on_read) if new else None
    tested = {}
    for network in selected:
        if network.name not in new:
            tested[network.name] = replace(network, test=tested_before[network.name].test)
            continue
        scores = _score_trainings(run, plan, network, examples)
        test = {name: [float(of_seed[name].mean()) for of_seed in scores] for name in scores[0]}
        tested[network.name] = replace(network, test=test)
    return [tested.get(network.name, network) for network in networks]


def _read_stored_result(run: Path, say: Callable[[str], object]) -> FullTrainingResult | None:
    """Return the result of an earlier call; None if there is none, or, with a warning, if it cannot be read."""
    try:
        return read_full_training(run)
    except RunError as error:
        say(f"warning: {error}")
        return None
