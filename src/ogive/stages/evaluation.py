"""The evaluation of full training: ranks, winners, agreement with the search, and metrics on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ogive.errors import RunError
from ogive.formatting import plural
from ogive.objective import Objective, compute_costs, find_pareto_front, rank_metrics, total_violation
from ogive.run.state import State
from ogive.stages.delivery import find_checkpoint
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER, Agreement, Bias, FullTrainingResult, TrainedNetwork
from ogive.stages.network_scores import add_best_probabilities, measure_on_test_split
from ogive.stages.training_plan import TrainingPlan, index_trainings, make_training_key
from ogive.stats.rank_correlation import MIN_PAIRS, rank_correlations
from ogive.trial import Status, Trial

if TYPE_CHECKING:
    from ogive.session.stored_run import StoredRun


def evaluate_finalists(
    run: StoredRun, plan: TrainingPlan, final: State, *, on_read: Callable[[str], object], say: Callable[[str], object]
) -> FullTrainingResult:
    """Return the result of full training.

    Args:
        run: the search.
        plan: the plan of full training.
        final: the state of full training.
        on_read: called with the split's fingerprint before the test split is read.
        say: receives a warning for each training that failed, and messages on the test split.

    Raises:
        RunError: not all trainings were carried out, none succeeded, or weights are missing.
    """
    networks = _collect_networks(run, plan, final, say)
    metrics = {network.name: _compute_mean_metrics(plan, network) for network in networks if network.trial is not None}
    networks = _add_ranks(run.state, networks, metrics)
    finalists = [network for network in networks if network.trial is not None]
    if not any(network.seeds for network in finalists):
        reasons = [failure for network in finalists for failure in network.failures]
        raise RunError(f"all trainings of full training failed; the first: {reasons[0]}")
    networks, probability, note = add_best_probabilities(run, plan, networks, metrics)
    winners = _select_winners(run.state, finalists, metrics)
    networks = measure_on_test_split(run, plan, networks, winners, on_read=on_read, say=say)
    first_winner = next(network for network in networks if network.name == winners[0])
    classifier, estimator = plan.classifier, plan.estimator
    changed_objectives = [objective for objective in plan.objectives if _is_changed(objective.metric, finalists)]
    recipe = estimator.recipe() or ({"settings": estimator.settings} if estimator.settings else {})
    splits: dict[str, str] = {}
    if classifier is not None:
        splits = {"search": run.estimator.fingerprints()["split"], "second": classifier.fingerprints()["split"]}
    return FullTrainingResult(
        objectives=[(objective.metric, objective.goal) for objective in run.state.objectives],
        networks=networks,
        agreement=[_compute_agreement(objective, finalists) for objective in changed_objectives],
        probability=probability,
        probability_note=note,
        winners=winners,
        bias=[bias for objective in changed_objectives if (bias := _compute_bias(objective.metric, finalists))],
        chosen_bias=[
            Bias.of(name, first_winner.values[name], values)
            for name, values in first_winner.test.items()
            if name in first_winner.values
        ],
        recipe=dict(recipe),
        new_validation=classifier is not None,
        splits=splits,
        cost_ratio=_compute_cost_ratio(finalists),
        judged=final.ended_count,
    )


# -- the trained networks ----------------------------------------------------------------------------------------------


def _collect_networks(
    run: StoredRun, plan: TrainingPlan, final: State, say: Callable[[str], object]
) -> list[TrainedNetwork]:
    """Return the networks with the values of their trainings. `rank_after` is still None.

    Raises:
        RunError: a training has not ended.
    """
    trainings = plan.list_trainings()
    trials = index_trainings(final)
    # For each network, the seed and the trial of each of its trainings.
    by_name: dict[str, list[tuple[int, Trial]]] = {}
    for training, planned in zip(trainings, plan.planned, strict=True):
        trial = trials.get(make_training_key(training))
        if trial is None or not trial.status.ended:
            done = sum(t.status.ended for t in final.trials.values())
            remedy = (
                ""
                if final.ended_by_failures
                else "; the same call continues it (if a budget is used up, give a larger budget)"
            )
            raise RunError(
                f"full training ended after {done} of {len(trainings)} trainings: "
                f"{final.end_reason or 'interrupted'}{remedy}"
            )
        by_name.setdefault(planned.request.network, []).append((planned.request.seed, trial))
    indices = {f"trial {trial.id}": index for index, trial in enumerate(plan.finalists)}
    networks = []
    # Networks keep the order of the search. The baseline, which has no index, comes last.
    for name in sorted(by_name, key=lambda name: indices.get(name, len(indices))):
        index = indices.get(name)
        finalist = None if index is None else plan.finalists[index]
        rank_before = None if index is None else index + 1
        networks.append(_make_network(run, name, finalist, rank_before=rank_before, trainings=by_name[name]))
        for failure in networks[-1].failures:
            say(f"warning: {name}: {failure}")
    return networks


def _make_network(
    run: StoredRun,
    name: str,
    finalist: Trial | None,
    *,
    rank_before: int | None,
    trainings: Sequence[tuple[int, Trial]],
) -> TrainedNetwork:
    """Return a network with the values of its trainings.

    Args:
        run: the search.
        name: the name of the network.
        finalist: the network's trial in the search; None for the baseline.
        rank_before: the rank of the network in the search; None for the baseline.
        trainings: the seed and the trial of each training.
    """
    finished = sorted((seed, trial) for seed, trial in trainings if trial.status is Status.FINISHED)
    failures = [
        f"seed {seed}: {trial.status}: {trial.reason}"
        for seed, trial in trainings
        if trial.status is not Status.FINISHED
    ]
    first_metrics = finished[0][1].metrics if finished else ()
    common_metrics = [metric for metric in first_metrics if all(metric in trial.metrics for _, trial in finished)]
    values = {metric: [trial.metrics[metric] for _, trial in finished] for metric in common_metrics}
    return TrainedNetwork(
        name=name,
        trial=None if finalist is None else finalist.id,
        parameters=int(values["parameters"][0]) if "parameters" in values else None,
        searched=dict(finalist.metrics) if finalist else {},
        epochs=finalist.step if finalist else 0,
        rank_before=rank_before,
        rank_after=None,
        seeds=[seed for seed, _ in finished],
        values=values,
        weights=[_find_weights_file(run, trial) for _, trial in finished],
        failures=failures,
        seconds=sum(trial.seconds for _, trial in trainings),
        search_seconds=0.0 if finalist is None or finalist.cached else finalist.seconds,
        trainings=[trial.id for _, trial in finished],
    )


def _find_weights_file(run: StoredRun, trial: Trial) -> str:
    """Return the file with the weights of a training, relative to the run's folder; "" without weights."""
    saved = find_checkpoint(trial, run.folder / FULL_TRAINING_FOLDER)
    return str(saved.path.relative_to(run.folder)) if saved is not None and saved.has_model else ""


def _compute_mean_metrics(plan: TrainingPlan, network: TrainedNetwork) -> dict[str, float]:
    """Return the metrics of a finalist: the means over seeds, and the metrics that are known before training.

    The result is empty if no training of the finalist succeeded.
    """
    finalist = next(trial for trial in plan.finalists if trial.id == network.trial)
    if not network.seeds:
        return {}
    return {**finalist.screened, **{name: sum(values) / len(values) for name, values in network.values.items()}}


# -- ranks and winners -------------------------------------------------------------------------------------------------


def _add_ranks(
    state: State, networks: Sequence[TrainedNetwork], metrics: Mapping[str, Mapping[str, float]]
) -> list[TrainedNetwork]:
    """Return the networks with their ranks after full training; equal networks share the best of their ranks."""
    names = [name for name, values in metrics.items() if values]
    ranks = rank_metrics([metrics[name] for name in names], state.objectives, state.constraints)
    # `rank_metrics` numbers the distinct values 0, 1, 2, ... Here a rank is 1 plus the number of better networks.
    rank_after = {name: 1 + sum(r < rank for r in ranks) for name, rank in zip(names, ranks, strict=True)}
    return [replace(n, rank_after=rank_after[n.name]) if n.name in rank_after else n for n in networks]


def _select_winners(
    state: State, finalists: Sequence[TrainedNetwork], metrics: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return the names of the winners: the best network or, with several objectives, the feasible Pareto front."""
    trained = [network for network in finalists if network.seeds]
    # Networks with seeds have a rank; `or 0` is for the type checker.
    best = min(trained, key=lambda network: network.rank_after or 0)
    feasible = [n for n in trained if total_violation(metrics[n.name], state.constraints) == 0]
    if len(state.objectives) == 1 or not feasible:
        return [best.name]
    on_front = find_pareto_front(np.array([compute_costs(metrics[n.name], state.objectives) for n in feasible]))
    winners = [network for network, is_on_front in zip(feasible, on_front, strict=True) if is_on_front]
    return [network.name for network in sorted(winners, key=lambda network: network.rank_after or 0)]


# -- the search compared with full training ----------------------------------------------------------------------------


def _is_changed(metric: str, finalists: Sequence[TrainedNetwork]) -> bool:
    """Return whether full training changed a metric of a finalist.

    Metrics that are known before training, such as the number of parameters, do not change, so they say nothing about the
    agreement of the search with full training. If no finalist has both values, the metric counts as changed.
    """
    pairs = [(n.searched[metric], n.values[metric]) for n in finalists if metric in n.searched and metric in n.values]
    return not pairs or any(value != before for before, values in pairs for value in values)


def _compute_agreement(objective: Objective, finalists: Sequence[TrainedNetwork]) -> Agreement:
    """Return the rank correlations of an objective between the search and full training.

    Only finalists that the search trained for the largest number of epochs are compared, because values of different
    fidelity are not comparable.
    """
    metric = objective.metric
    trained = [n for n in finalists if n.seeds and metric in n.searched and metric in n.values]
    epochs = max((network.epochs for network in trained), default=0)
    compared = [network for network in trained if network.epochs == epochs]
    left_out = len(trained) - len(compared)
    note = f"without {left_out} that the search trained for fewer epochs" if left_out else ""
    if len(compared) < MIN_PAIRS:
        reason = f"only {plural(len(compared), 'finalist')} can be compared; at least {MIN_PAIRS} are needed"
        return Agreement(metric, None, None, reason)
    # All compared networks have a mean; `or 0.0` is for the type checker.
    before, after = [n.searched[metric] for n in compared], [n.mean(metric) or 0.0 for n in compared]
    kendall, spearman = rank_correlations(before, after)
    if kendall.value is None:
        return Agreement(metric, None, None, f"all finalists have the same {metric} in one of the stages")
    return Agreement(metric, kendall, spearman, note)


def _compute_bias(metric: str, finalists: Sequence[TrainedNetwork]) -> Bias | None:
    """Return the mean difference of a metric, full training minus search; None if no finalist has both values."""
    means = [(network, network.mean(metric)) for network in finalists if metric in network.searched]
    pairs = [(network.searched[metric], mean) for network, mean in means if mean is not None]
    return Bias.of(metric, [a for a, _ in pairs], [b for _, b in pairs]) if pairs else None


def _compute_cost_ratio(finalists: Sequence[TrainedNetwork]) -> float | None:
    """Return the ratio of the mean compute times of a full training and a trial in the search; None if unknown."""
    full_seconds = [n.seconds / len(n.seeds) for n in finalists if n.seeds and not n.failures]
    search_seconds = [n.search_seconds for n in finalists if n.search_seconds > 0]
    return float(np.mean(full_seconds) / np.mean(search_seconds)) if full_seconds and search_seconds else None
