"""The probability that each finalist is the true best, and the metrics of the winners on the test split.

Probabilities and metrics are computed from the scores of trained networks on single examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import RunError
from ogive.objective import total_violation
from ogive.stages.full_training_result import (
    FULL_TRAINING_FOLDER,
    FullTrainingResult,
    TrainedNetwork,
    read_full_training,
)
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
    """Return the networks with the probability that each finalist is the true best.

    Args:
        run: the search.
        plan: the plan of full training.
        networks: the networks of full training, by their rank in the search.
        metrics: the metrics of each finalist after full training, by the name of the network.

    Returns:
        The networks with their probabilities; the probability of the search's best trial, or None if it is unknown; and a
        clause that says what the probability accounts for, or why it is unknown.
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
    training_noise = estimate_noise(values, _compute_mean_example_scores(run, plan, feasible, metric))
    if training_noise.seed_deviation is None:
        return list(networks), None, "a single seed does not show the noise of training; give two seeds or more"
    # The search's values predict the true values only if they have the same fidelity.
    is_comparable = len({n.epochs for n in feasible}) == 1
    search_values = [n.searched[metric] for n in feasible] if is_comparable else ()
    result = best_probabilities(values, objectives[0].goal, training_noise, search_values)
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


def _compute_mean_example_scores(
    run: StoredRun, plan: TrainingPlan, networks: Sequence[TrainedNetwork], metric: str
) -> FloatArray | None:
    """Return the scores of k networks on m validation examples as an array [k, m], averaged over seeds.

    The mean over the examples is the metric. The result is None if the scores are unknown: the metric is not a mean over
    examples, or only the user's train function knows the data.
    """
    classifier = plan.classifier
    if classifier is None or metric not in ("accuracy", "log_loss"):
        return None
    examples = classifier.task.validation()
    return np.stack(
        [
            np.mean([scores[metric] for scores in _score_trainings(run, plan, network, examples)], axis=0)
            for network in networks
        ]
    )


def _score_trainings(
    run: StoredRun, plan: TrainingPlan, network: TrainedNetwork, examples: Any
) -> list[dict[str, FloatArray]]:
    """Return a mapping for each seed of a network: for each metric, the scores on the single examples."""
    assert plan.classifier is not None
    scores = []
    for index, seed in enumerate(network.seeds):
        model = plan.build(network, seed, run)
        model.load_state_dict(_load_weights(run.folder, network, index))
        scores.append(plan.classifier.compute_scores(model, examples))
    return scores


def _load_weights(run: Path, network: TrainedNetwork, index: int) -> Mapping[str, Any]:
    """Return the state dict that the built-in trainer saved for the seed `network.seeds[index]`.

    Raises:
        RunError: the checkpoint was deleted.
    """
    from ogive.estimate import load_checkpoint

    file = network.weights[index]
    # Without a file, `path` is only for the message.
    path = run / file if file else run / FULL_TRAINING_FOLDER
    if not file or not path.is_file():
        raise RunError(
            f"the weights of {network.name}, seed {network.seeds[index]}, are not in {path} any more; finalize again with "
            "retrain=True (`ogive finalize --retrain`), which repeats the training"
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
    """Return all networks. The winners and the baseline now have metrics on the test split.

    Metrics that an earlier call has measured for a network of the same name and seeds are reused, so that the test split is
    not read twice for this network.

    Args:
        run: the search.
        plan: the plan of full training.
        networks: the networks of full training.
        winners: the names of the winners.
        on_read: called with the split's fingerprint before the test split is read.
        say: receives a message if the test split is not read, or the earlier result cannot be read.
    """
    classifier = plan.classifier
    if classifier is None:
        say("the test split is not read: only the train function knows its data; test the winner with your own program")
        return list(networks)
    stored = _read_stored_result(run.folder, say)
    tested_before = {n.name: n for n in stored.networks if n.test} if stored else {}
    selected = [n for n in networks if n.seeds and (n.name in winners or n.trial is None)]
    new_names = [
        n.name for n in selected if n.name not in tested_before or list(tested_before[n.name].seeds) != list(n.seeds)
    ]
    examples = classifier.task.test(on_read) if new_names else None
    tested = {}
    for network in selected:
        if network.name not in new_names:
            tested[network.name] = replace(network, test=tested_before[network.name].test)
            continue
        scores = _score_trainings(run, plan, network, examples)
        test = {metric: [float(seed_scores[metric].mean()) for seed_scores in scores] for metric in scores[0]}
        tested[network.name] = replace(network, test=test)
    return [tested.get(network.name, network) for network in networks]


def _read_stored_result(run: Path, say: Callable[[str], object]) -> FullTrainingResult | None:
    """Return the result of an earlier call; None if there is none, or, with a warning, if it cannot be read."""
    try:
        return read_full_training(run)
    except RunError as error:
        say(f"warning: {error}")
        return None
