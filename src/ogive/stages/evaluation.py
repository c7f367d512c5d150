"""What a second stage says: the networks ranked anew, how far the search had predicted it, and who has won."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ogive.arrays import FloatArray
from ogive.errors import RunError
from ogive.formatting import plural
from ogive.objective import Objective, costs, pareto_front, ranks, violation
from ogive.run.state import State
from ogive.space import Space
from ogive.stages.delivery import saved_by
from ogive.stages.full_training_result import (
    FOLDER,
    Agreement,
    Bias,
    FullTrainingResult,
    TrainedNetwork,
    read_full_training,
)
from ogive.stats.best_probability import noise, probabilities
from ogive.stats.rank_correlation import FEWEST, both
from ogive.trial import Status, Trial

if TYPE_CHECKING:
    from ogive.estimate import Classifier
    from ogive.estimate.full_training import FullTraining, TrainingOrder
    from ogive.session.stored_run import StoredRun

Training = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Choices, and the settings that a training is proposed with."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a second stage is to train, and how.

    Attributes:
        finalists: trials of the search, the best first.
        estimator: for all trainings.
        epochs: of one training; None where the estimator has no epochs.
        objectives: those of the search that training changes.
        orders: choices, the searched trial's own settings, and what is to be trained.
    """

    space: Space
    finalists: tuple[Trial, ...]
    seeds: tuple[int, ...]
    estimator: FullTraining
    epochs: int | None
    objectives: tuple[Objective, ...]
    orders: tuple[tuple[Mapping[str, Any], Mapping[str, Any], TrainingOrder], ...]

    def items(self) -> list[Training]:
        """The trainings as they will be read back from a journal."""
        from ogive.run.trial_labels import STAGE

        found: list[Training] = []
        for choices, settings, order in self.orders:
            choices, settings = json.loads(json.dumps([choices, {**settings, STAGE: order.to_json()}]))
            found.append((choices, settings))
        return found

    @property
    def full(self) -> Classifier | None:
        """The built-in trainer on the second split; None where a train function of the user's judges."""
        from ogive.estimate import Classifier

        return self.estimator.judge if isinstance(self.estimator.judge, Classifier) else None

    def build(self, network: TrainedNetwork, seed: int, run: StoredRun) -> Any:
        """An untrained model of a network."""
        from ogive.estimate.full_training import DrawnBaseline

        if network.trial is None:
            return DrawnBaseline(self.estimator.baseline).build(seed)
        return run.state.trials[network.trial].architecture.build(seed)


def training_of(trial: Trial) -> Training:
    """The training that a trial of the second stage is."""
    return trial.architecture.to_json(), dict(trial.proposal.settings)


def training_key(item: Training) -> str:
    """What a training and its repetitions have in common."""
    from ogive.run.trial_labels import STAGE

    choices, settings = item
    order = {name: value for name, value in settings[STAGE].items() if name != "again"}
    return json.dumps([choices, {**settings, STAGE: order}], sort_keys=True)


def trainings(state: State) -> dict[str, Trial]:
    """The trials of the second stage by the training that they are; of repeated ones the last."""
    return {training_key(training_of(trial)): trial for trial in state.trials.values()}


def evaluate_finalists(
    run: StoredRun, stage: TrainingPlan, trained: State, on_read: Callable[[str], object], say: Callable[[str], object]
) -> FullTrainingResult:
    """The verdict on `trained`, the state of the second stage's run.

    Args:
        run: the search.
        stage: what was to be trained.
        trained: the state of the run that trained it.
        on_read: called with the split's fingerprint before the test split is read.
        say: is told what happens.

    Raises:
        RunError: not all trainings were carried out, none succeeded, or weights are missing.
    """
    networks = _networks(run, stage, trained, say)
    after = {network.name: _metrics(stage, network) for network in networks if network.trial is not None}
    networks = _ranked(run.state, networks, after)
    finalists = [network for network in networks if network.trial is not None]
    if not any(network.seeds for network in finalists):
        reasons = [failure for network in finalists for failure in network.failures]
        raise RunError(f"no training of the second stage succeeded; the first: {reasons[0]}")
    networks, chance, note = _chances(run, stage, networks, after)
    winners = _winners(run.state, finalists, after)
    networks = _tested(run, stage, networks, winners, on_read, say)
    first = next(network for network in networks if network.name == winners[0])
    full, searched = stage.full, run.estimator
    changed = [objective for objective in stage.objectives if _changed(objective.metric, finalists)]
    return FullTrainingResult(
        [(objective.metric, objective.goal) for objective in run.state.objectives],
        networks,
        [_agreement(objective, finalists) for objective in changed],
        chance,
        note,
        winners,
        [bias for objective in changed if (bias := _bias(objective.metric, finalists))],
        [Bias.of(name, first.values[name], own) for name, own in first.test.items() if name in first.values],
        dict(stage.estimator.recipe() or ({"settings": stage.estimator.settings} if stage.estimator.settings else {})),
        full is not None,
        {"search": searched.fingerprints()["split"], "second": full.fingerprints()["split"]} if full else {},
        _cost_ratio(finalists),
        trained.done,
    )


# -- reading what was trained ------------------------------------------------------------------------------------------


def _networks(
    run: StoredRun, stage: TrainingPlan, trained: State, say: Callable[[str], object]
) -> list[TrainedNetwork]:
    """The networks with what their trainings gave; no ranks yet."""
    wanted = stage.items()
    trials = trainings(trained)
    by_name: dict[str, list[tuple[int, Trial]]] = {}
    for item, (_, _, order) in zip(wanted, stage.orders, strict=True):
        trial = trials.get(training_key(item))
        if trial is None or not trial.status.ended:
            done = sum(t.status.ended for t in trained.trials.values())
            remedy = (
                ""
                if trained.ended_by_failures
                else "; the same call goes on, where a budget ended it with a larger one"
            )
            raise RunError(
                f"the second stage was ended before all was trained ({done} of {len(wanted)} trainings): "
                f"{trained.ended or 'interrupted'}{remedy}"
            )
        by_name.setdefault(order.network, []).append((order.seed, trial))
    places = {f"trial {trial.id}": place for place, trial in enumerate(stage.finalists)}
    ordered = sorted(by_name, key=lambda name: places.get(name, len(places)))
    found = []
    for name in ordered:
        place = places.get(name)
        searched = None if place is None else stage.finalists[place]
        found.append(_network(run, name, searched, place, by_name[name]))
        for failure in found[-1].failures:
            say(f"warning: {name}: {failure}")
    return found


def _network(
    run: StoredRun, name: str, searched: Trial | None, place: int | None, trainings: Sequence[tuple[int, Trial]]
) -> TrainedNetwork:
    done = sorted((seed, trial) for seed, trial in trainings if trial.status is Status.FINISHED)
    failures = [
        f"seed {seed}: {trial.status}: {trial.reason}"
        for seed, trial in trainings
        if trial.status is not Status.FINISHED
    ]
    shared = [metric for metric in (done[0][1].metrics if done else ()) if all(metric in t.metrics for _, t in done)]
    values = {metric: [trial.metrics[metric] for _, trial in done] for metric in shared}
    parameters = values["parameters"][0] if "parameters" in values else None
    return TrainedNetwork(
        name,
        None if searched is None else searched.id,
        None if parameters is None else int(parameters),
        dict(searched.metrics) if searched else {},
        searched.step if searched else 0,
        None if place is None else place + 1,
        None,
        [seed for seed, _ in done],
        values,
        [_weights(run, trial) for _, trial in done],
        failures,
        seconds=sum(trial.seconds for _, trial in trainings),
        search_seconds=0.0 if searched is None or searched.cached else searched.seconds,
        trainings=[trial.id for _, trial in done],
    )


def _weights(run: StoredRun, trial: Trial) -> str:
    """The file below the run's folder that holds the weights of a training; "" where there is none."""
    saved = saved_by(trial, run.folder / FOLDER)
    return str(saved.path.relative_to(run.folder)) if saved is not None and saved.has_model else ""


def _load_weights(run: Path, network: TrainedNetwork, place: int) -> Mapping[str, Any]:
    """The state dict of one training of `network` by the built-in trainer, which saves weights always.

    Raises:
        RunError: the checkpoint is gone.
    """
    from ogive.estimate import load_checkpoint

    file = network.weights[place]
    where = run / file if file else run / FOLDER
    if not file or not where.is_file():
        raise RunError(
            f"the weights of {network.name}, seed {network.seeds[place]}, are not in {where} any more; finalize again with "
            "retrain=True (`ogive finalize --retrain`), which trains it again"
        )
    weights: Mapping[str, Any] = load_checkpoint(where)["model"]
    return weights


# -- judging it --------------------------------------------------------------------------------------------------------


def _metrics(stage: TrainingPlan, network: TrainedNetwork) -> dict[str, float]:
    """All metrics of a finalist after full training, means over seeds, with what was known before training."""
    searched = next(trial for trial in stage.finalists if trial.id == network.trial)
    if not network.seeds:
        return {}
    return {**searched.screened, **{name: sum(own) / len(own) for name, own in network.values.items()}}


def _ranked(
    state: State, networks: Sequence[TrainedNetwork], after: Mapping[str, Mapping[str, float]]
) -> list[TrainedNetwork]:
    names = [name for name, metrics in after.items() if metrics]
    places = ranks([after[name] for name in names], state.objectives, state.constraints)
    found = {name: 1 + sum(other < place for other in places) for name, place in zip(names, places, strict=True)}
    return [replace(n, rank_after=found[n.name]) if n.name in found else n for n in networks]


def _winners(state: State, finalists: Sequence[TrainedNetwork], after: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The best; with several objectives all feasible networks that no other dominates, the best of the ranks first."""
    trained = [network for network in finalists if network.seeds]
    best = min(trained, key=lambda network: network.rank_after or 0)
    feasible = [n for n in trained if violation(after[n.name], state.constraints) == 0]
    if len(state.objectives) == 1 or not feasible:
        return [best.name]
    front = pareto_front(np.array([costs(after[n.name], state.objectives) for n in feasible]))
    winners = [network for network, on_front in zip(feasible, front, strict=True) if on_front]
    return [network.name for network in sorted(winners, key=lambda network: network.rank_after or 0)]


def _changed(metric: str, finalists: Sequence[TrainedNetwork]) -> bool:
    """Whether training moved it at all; what each architecture has from the beginning, as its parameters, is no forecast."""
    pairs = [(n.searched[metric], n.values[metric]) for n in finalists if metric in n.searched and metric in n.values]
    return not pairs or any(value != before for before, values in pairs for value in values)


def _agreement(objective: Objective, finalists: Sequence[TrainedNetwork]) -> Agreement:
    """Over the finalists that were trained as far as any in the search: values of unequal fidelity are never mixed."""
    metric = objective.metric
    trained = [n for n in finalists if n.seeds and metric in n.searched and metric in n.values]
    step = max((network.epochs for network in trained), default=0)
    alike = [network for network in trained if network.epochs == step]
    apart = len(trained) - len(alike)
    note = f"without {apart} that the search had trained less far" if apart else ""
    if len(alike) < FEWEST:
        return Agreement(
            metric, None, None, f"{plural(len(alike), 'finalist')} that can be compared; it takes {FEWEST} at least"
        )
    before, after = [n.searched[metric] for n in alike], [n.mean(metric) or 0.0 for n in alike]
    kendall, spearman = both(before, after)
    if kendall.value is None:
        return Agreement(metric, None, None, f"all finalists have the same {metric} in one of the stages")
    return Agreement(metric, kendall, spearman, note)


def _bias(metric: str, finalists: Sequence[TrainedNetwork]) -> Bias | None:
    pairs = [(n.searched[metric], n.mean(metric) or 0.0) for n in finalists if n.seeds and metric in n.searched]
    return Bias.of(metric, [a for a, _ in pairs], [b for _, b in pairs]) if pairs else None


def _cost_ratio(finalists: Sequence[TrainedNetwork]) -> float | None:
    full = [n.seconds / len(n.seeds) for n in finalists if n.seeds and not n.failures]
    searched = [n.search_seconds for n in finalists if n.search_seconds > 0]
    return float(np.mean(full) / np.mean(searched)) if full and searched else None


def _chances(
    run: StoredRun, stage: TrainingPlan, networks: Sequence[TrainedNetwork], after: Mapping[str, Mapping[str, float]]
) -> tuple[list[TrainedNetwork], float | None, str]:
    """The networks with the probability of each to be the true best, that of the search's best, and what it counts."""
    objectives, constraints = run.state.objectives, run.state.constraints
    if len(objectives) > 1:
        return list(networks), None, "with several objectives there is no single best network"
    metric = objectives[0].metric
    rivals = [n for n in networks if n.trial is not None and n.seeds and violation(after[n.name], constraints) == 0]
    if not rivals or rivals[0].name != f"trial {stage.finalists[0].id}":
        return list(networks), None, "the search's best has no value, or violates a constraint after full training"
    if len(rivals) < 2:
        return list(networks), None, "there is only one finalist"
    values = [n.values[metric] for n in rivals]
    blur = noise(values, _scores(run, stage, rivals, metric))
    if blur.seeds is None:
        return list(networks), None, "a single seed tells nothing of the noise of training; give two seeds or more"
    alike = len({n.epochs for n in rivals}) == 1
    found = probabilities(values, objectives[0].goal, blur, [n.searched[metric] for n in rivals] if alike else ())
    chances = dict(zip((n.name for n in rivals), found.tolist(), strict=True))
    counted = f"counts training noise ({blur.seeds:.2g} from seed to seed, {blur.degrees} degrees of freedom)"
    counted += (
        "; the chance of which examples are validated on is not known"
        if blur.examples is None
        else " and the chance of which examples are validated on"
    )
    updated = [replace(n, probability=chances.get(n.name)) for n in networks]
    return updated, chances[rivals[0].name], counted


def _scores(run: StoredRun, stage: TrainingPlan, networks: Sequence[TrainedNetwork], metric: str) -> FloatArray | None:
    """Each network's part of `metric` on each validation example, means over seeds [k, m]; None where they are not known."""
    full = stage.full
    if full is None or metric not in ("accuracy", "log_loss"):
        return None
    examples = full.task.validation()
    return np.stack([np.mean([s[metric] for s in _judged(run, stage, n, examples)], axis=0) for n in networks])


def _judged(run: StoredRun, stage: TrainingPlan, network: TrainedNetwork, examples: Any) -> list[dict[str, FloatArray]]:
    """What each training of a network scores on each of `examples`."""
    assert stage.full is not None
    found = []
    for place, seed in enumerate(network.seeds):
        model = stage.build(network, seed, run)
        model.load_state_dict(_load_weights(run.folder, network, place))
        found.append(stage.full.scores(model, examples))
    return found


def _recorded(run: Path, say: Callable[[str], object]) -> FullTrainingResult | None:
    """What this stage came to before; one that cannot be read is written anew."""
    try:
        return read_full_training(run)
    except RunError as error:
        say(f"warning: {error}")
        return None


def _tested(
    run: StoredRun,
    stage: TrainingPlan,
    networks: Sequence[TrainedNetwork],
    winners: Sequence[str],
    on_read: Callable[[str], object],
    say: Callable[[str], object],
) -> list[TrainedNetwork]:
    """The networks, winners and baseline with their metrics on the test split; what was read before is not read again."""
    full = stage.full
    if full is None:
        say("the test split is not read: only the train function knows its data; test the winner with your own program")
        return list(networks)
    former = _recorded(run.folder, say)
    known = {n.name: n for n in former.networks if n.test} if former else {}
    wanted = [n for n in networks if n.seeds and (n.name in winners or n.trial is None)]
    new = [n.name for n in wanted if n.name not in known or list(known[n.name].seeds) != list(n.seeds)]
    examples = full.task.test(on_read) if new else None
    tested = {}
    for network in wanted:
        if network.name not in new:
            tested[network.name] = replace(network, test=known[network.name].test)
            continue
        scores = _judged(run, stage, network, examples)
        tested[network.name] = replace(
            network, test={name: [float(own[name].mean()) for own in scores] for name in scores[0]}
        )
    return [tested.get(network.name, network) for network in networks]
