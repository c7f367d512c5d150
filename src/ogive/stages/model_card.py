"""A model card (Mitchell et al., "Model Cards for Model Reporting", 2019) for the winner of full training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ogive.drawing.layer_tree import format_value
from ogive.errors import RunError
from ogive.files import replace_text
from ogive.formatting import duration, number, plural
from ogive.run.state import State
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER, Bias, FullTrainingResult, TrainedNetwork

FILE = "MODEL_CARD.md"
"""The file of the card in the folder of full training."""


def write_card(
    state: State,
    result: FullTrainingResult,
    network: TrainedNetwork,
    index: int,
    *,
    facts: Mapping[str, Any],
    run: Path,
) -> Path:
    """Write `final/MODEL_CARD.md`, and return its path.

    Args:
        state: the state of the search.
        result: the result of full training.
        network: the network that the card describes.
        index: the index in `network.seeds` of the seed whose weights are delivered.
        facts: further facts, each of which may be missing. `task`: the result of `Task.describe()`. `cost`: the ModelCost of
            one example as a mapping, with the `convention` by which FLOPs are counted; or the reason why it is unknown, as
            `not_counted_reason`. `epochs`: the number of epochs. `missing_weights_reason`: the reason why there are no
            weights; "" if there are weights.
        run: the search's folder.

    Raises:
        RunError: the file cannot be written.
    """
    path = run / FULL_TRAINING_FOLDER / FILE
    try:
        replace_text(path, format_card(state, result, network, index, facts=facts, name=run.name))
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}; check space and permissions") from error
    return path


def format_card(
    state: State,
    result: FullTrainingResult,
    network: TrainedNetwork,
    index: int,
    *,
    facts: Mapping[str, Any],
    name: str,
) -> str:
    """Return the card as Markdown.

    Args:
        state: the state of the search.
        result: the result of full training.
        network: the network that the card describes.
        index: the index in `network.seeds` of the seed whose weights are delivered.
        facts: as for `write_card`.
        name: the name of the run.
    """
    parts = [
        f"# Model card: {network.name} of run {name}",
        "The run measured every number here; unknown facts are marked as unknown. Please add the uses for which the model "
        "is not suitable.",
        _format_section("Model", _list_model(state, network, index, facts)),
        _format_section("Intended data", _list_data(facts.get("task"))),
        _format_section("Training", _list_training(result, network, facts)),
        "## How good it is\n\n" + "\n\n".join(_list_quality(result, network, index, facts)),
        _format_section("How it was chosen", _list_choice(state, result, network)),
        _format_section("Environment", _list_environment(state)),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in _list_limits(result, network, facts.get("task"))),
    ]
    return "\n\n".join(parts) + "\n"


def _format_section(title: str, rows: Iterable[tuple[str, object]]) -> str:
    lines = [f"| {name} | {_format_cell(value)} |" for name, value in rows]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _format_cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _list_model(
    state: State, network: TrainedNetwork, index: int, facts: Mapping[str, Any]
) -> Iterable[tuple[str, object]]:
    """Yield the rows of the section "Model", each with its name and its value."""
    # The card is of a winner, which has a trial; `or 0` is for the type checker.
    trial = state.trials[network.trial or 0]
    cost: Mapping[str, Any] = facts.get("cost", {})
    parameters = network.parameters if network.parameters is not None else cost.get("parameters")
    yield "architecture", ", ".join(f"{name} = {format_value(label)}" for name, label in trial.architecture.items())
    yield "identity", trial.architecture.id
    yield "parameters", "unknown" if parameters is None else f"{int(parameters):,}"
    if "flops" in cost:
        yield "FLOPs of one example", f"{cost['flops']:,} ({cost['convention']})"
        yield "activation memory of one example", f"{cost['activation_memory']:,} bytes"
    else:
        yield "FLOPs of one example", f"unknown: {cost.get('not_counted_reason', 'the space has no example input')}"
    if facts.get("missing_weights_reason"):
        yield "weights", f"none: {facts['missing_weights_reason']}"
        return
    yield "weights", f"`weights.pt` beside this card, seed {network.seeds[index]}"
    yield "use", f"`ogive export RUN --trial {trial.id} --to torch` writes a program that runs without Ogive"


def _list_data(task: Mapping[str, Any] | None) -> Iterable[tuple[str, object]]:
    """Yield the rows of the section "Intended data"."""
    if task is None:
        yield "data", "unknown: only the train function knows them"
        return
    yield "data", f"{task['data']}, {task['examples']:,} examples in {task['classes']} classes"
    yield "one example", f"float32 {task['shape']}; {task['preparation'] or 'prepared like the data of the task'}"
    sizes = task["sizes"]
    yield "trained on", f"{sizes['train']:,} examples"
    yield "chosen on", f"{sizes['validation']:,} examples, which the search did not use"
    yield "tested on", f"{sizes['test']:,} examples, by which nothing was chosen"
    yield "fingerprints", ", ".join(f"{name} {value}" for name, value in task["fingerprints"].items())


def _list_training(
    result: FullTrainingResult, network: TrainedNetwork, facts: Mapping[str, Any]
) -> Iterable[tuple[str, object]]:
    """Yield the rows of the section "Training"."""
    omitted = ("task", "versions", "estimator", "trainer", "settings")
    recipe = {name: value for name, value in result.recipe.items() if name not in omitted}
    recipe |= dict(result.recipe.get("settings", {}))
    yield "epochs", facts.get("epochs") or "the train function's own"
    yield "recipe", ", ".join(f"{name} {value}" for name, value in recipe.items()) or "that of the train function"
    yield "seeds", ", ".join(map(str, network.seeds))
    yield "compute time", f"{duration(network.seconds)} for {plural(len(network.seeds), 'training')}"
    if result.cost_ratio is not None:
        yield "cost of full training", f"{number(result.cost_ratio)} times a training in the search"


def _list_quality(
    result: FullTrainingResult, network: TrainedNetwork, index: int, facts: Mapping[str, Any]
) -> Iterable[str]:
    """Yield a table of the metrics with their intervals over seeds, and sentences that explain it."""
    names = [name for name in network.values if not name.endswith("seconds") and name != "parameters"]
    data = "second validation split" if result.new_validation else "validation data of the train function"
    head = f"| metric | {data} | test split |\n|---|---|---|"
    rows = [
        f"| {name} | {_format_mean(network.values[name])} | {_format_mean(network.test.get(name, ()))} |"
        for name in names
    ]
    yield "\n".join([head, *rows])
    yield from _list_test_accuracy(network, index, facts.get("task"))
    seeds = plural(len(network.seeds), "seed")
    yield (
        f"Means over {seeds} with 95% intervals by Student's t over seeds; the delivered weights are of one of the seeds."
        if len(network.seeds) > 1
        else "With a single seed, the spread from seed to seed is unknown."
    )
    baseline = result.baseline
    if baseline is not None and baseline.seeds:
        values = baseline.test or baseline.values
        parts = [f"{name} {_format_mean(values[name])}" for name in values if name in names]
        yield f"The hand-drawn baseline with the same recipe: {', '.join(parts)}."


def _list_test_accuracy(network: TrainedNetwork, index: int, task: Mapping[str, Any] | None) -> Iterable[str]:
    """Yield the test accuracy of the delivered weights, with Wilson's interval over the test examples."""
    if "accuracy" not in network.test or task is None:
        return
    p, n, z = network.test["accuracy"][index], task["sizes"]["test"], 1.96
    # Wilson's score interval (1927) at 95%.
    center, half_width = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((center + sign * half_width) / (1 + z * z / n) for sign in (-1, 1))
    yield (
        f"The delivered weights: test accuracy {number(p)}, 95% interval [{number(low)}, {number(high)}] over {n:,} "
        "examples (Wilson 1927)."
    )


def _format_mean(values: Sequence[float]) -> str:
    """Return the mean of values with its interval; "not read" without values, as on a test split that was not read."""
    if not values:
        return "not read"
    mean = sum(values) / len(values)
    # The mean difference of the values from 0 is the mean of the values, with the same interval.
    bias = Bias.of("", [0.0] * len(values), values)
    interval = "" if bias.low is None or bias.high is None else f" [{number(bias.low)}, {number(bias.high)}]"
    return f"{number(mean)}{interval}"


def _list_choice(state: State, result: FullTrainingResult, network: TrainedNetwork) -> Iterable[tuple[str, object]]:
    """Yield the rows of the section "How it was chosen"."""
    created = state.declaration
    yield (
        "searched",
        f"{plural(len(state.trials), 'trial')}, strategy {created['strategy']['name']}, seed {created['seed']}",
    )
    yield "space", f"fingerprint {state.space.fingerprint}"
    yield "objectives", " and ".join(f"{goal} {metric}" for metric, goal in result.objectives)
    if state.constraints:
        yield "constraints", ", ".join(map(str, state.constraints))
    yield (
        "finalists",
        f"{len(result.finalists)}; this one had rank {network.rank_before} in the search and has rank {network.rank_after}",
    )
    for agreement in result.agreement:
        if agreement.kendall is not None and agreement.kendall.value is not None:
            low, high = agreement.kendall.low, agreement.kendall.high
            bounds = "" if low is None or high is None else f", 95% interval [{low:.2f}, {high:.2f}]"
            yield (
                f"search against full training, {agreement.metric}",
                f"Kendall's tau {agreement.kendall.value:.2f}{bounds}",
            )
    if network.probability is not None:
        yield "probability that it is the true best of the finalists", f"{network.probability:.0%}"


def _list_environment(state: State) -> Iterable[tuple[str, object]]:
    session = state.sessions[-1] if state.sessions else {}
    yield "machine", session.get("machine", "unknown")
    yield "versions", ", ".join(f"{name} {v}" for name, v in session.get("versions", {}).items()) or "unknown"
    yield "python", session.get("python", "unknown")


def _list_limits(result: FullTrainingResult, network: TrainedNetwork, task: Mapping[str, Any] | None) -> Iterable[str]:
    """Yield the sentences of the section "Limits"."""
    if not network.test:
        yield "It was not tested on data by which nothing was chosen; test it before you trust its metrics."
    if not result.new_validation:
        yield "It was chosen on the validation data of the search, so its validation metrics are too optimistic."
    if len(result.finalists) > 1:
        count = len(result.finalists)
        yield f"It was chosen as the best of {count} by validation, so its validation metrics are slightly too optimistic."
    if len(result.winners) > 1:
        others = ", ".join(name for name in result.winners if name != network.name)
        yield f"It is one of {len(result.winners)} winners, of which none is better in all objectives; the others: {others}."
    for failure in network.failures:
        yield f"One of its trainings failed ({failure})."
    yield from task["warnings"] if task else ()
    yield "It was not evaluated on inputs that differ from the data above, such as other groups of people or later times."
