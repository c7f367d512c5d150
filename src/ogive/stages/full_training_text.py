"""A second stage in sentences: what the search's order was worth, who won, what choosing flattered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ogive.formatting import number, plural
from ogive.stages.comparison_text import signed
from ogive.stats.rank_correlation import Correlation

if TYPE_CHECKING:
    from ogive.stages.full_training_result import Agreement, Bias, FullTrainingResult, TrainedNetwork

NAMES = {"kendall": "Kendall's tau", "spearman": "Spearman's rho"}


def sentences(result: FullTrainingResult) -> list[str]:
    """All that there is to say, the most important first."""
    return [
        *_winner(result),
        *_chance(result),
        *(agreement(item) for item in result.agreement),
        *_caution(result),
        *(_bias(item, result) for item in result.bias),
        *(_chosen(item, result.winner) for item in result.chosen_bias),
        *_cost(result),
    ]


def agreement(item: Agreement) -> str:
    """`accuracy, search against full training: Kendall's tau 0.64, 95 % interval [0.12, 0.88]; Spearman's ...`."""
    parts = [text for text in (correlation(item.kendall), correlation(item.spearman)) if text]
    note = f" ({item.note})" if item.note else ""
    return f"{item.metric}, search against full training: {'; '.join(parts) or 'no rank correlation'}{note}."


def correlation(found: Correlation | None) -> str:
    """A correlation with its interval; "" where there is none."""
    if found is None or found.value is None:
        return ""
    if found.low is None or found.high is None:
        return f"{NAMES[found.statistic]} {found.value:.2f}, too few pairs for an interval"
    bounds = f"{100 * found.confidence:g} % interval [{found.low:.2f}, {found.high:.2f}]"
    return f"{NAMES[found.statistic]} {found.value:.2f}, {bounds}"


def _winner(result: FullTrainingResult) -> Iterator[str]:
    finalists = plural(len(result.finalists), "finalist")
    if len(result.winners) > 1:
        names = ", ".join(result.winners)
        yield f"{len(result.winners)} of {finalists} are not dominated by another after full training: {names}."
    elif len(result.objectives) > 1:
        yield f"{result.winner.name} is the only one of {finalists} on the front after full training."
    else:
        before = result.winner.rank_before
        place = "which was the search's best" if before == 1 else f"which had rank {before} in the search"
        yield f"{result.winner.name} is the best of {finalists} after full training, {place}."
    for name in result.winners:
        tested = _tested(result[name])
        if tested:
            yield f"{name} on the test split: {tested}."
    if not result.winner.test:
        yield "The test split was not read: only the train function knows its data. Test the winner with your own program."


def _tested(network: TrainedNetwork) -> str:
    seeds = f", mean over {plural(len(network.seeds), 'seed')}" if len(network.seeds) > 1 else ""
    values = ", ".join(f"{name} {number(sum(own) / len(own))}" for name, own in network.test.items())
    return f"{values}{seeds}" if values else ""


def _chance(result: FullTrainingResult) -> Iterator[str]:
    if len(result.objectives) > 1:
        return  # there is no order that a probability could be of
    if result.probability is None:
        yield f"The probability that the search's best is the true best cannot be told: {result.probability_note}."
    else:
        yield (
            f"The search's best is the true best of the finalists with probability {result.probability:.2f}; this "
            f"{result.probability_note}."
        )


def _caution(result: FullTrainingResult) -> Iterator[str]:
    """What a correlation over finalists is not, and what they were judged on."""
    if not result.new_validation:
        yield "They were judged on the very examples that the search chose by, which flatters them."
    if any(item.kendall for item in result.agreement):
        yield (
            "These are correlations among the best of the search, which are alike; over the whole space they are "
            "usually higher."
        )


def _bias(item: Bias, result: FullTrainingResult) -> str:
    where = "the second validation part" if result.new_validation else "the same validation data"
    what = f"after full training on {where} minus in the search, mean over {plural(item.pairs, 'finalist')}"
    return (
        f"{item.metric}, {what}: {difference(item)}. It holds both what training adds and what choosing had flattered."
    )


def _chosen(item: Bias, winner: TrainedNetwork) -> str:
    what = f"test minus second validation part, {winner.name}, {plural(item.pairs, 'seed')}"
    return f"{item.metric}, {what}: {difference(item)}."


def difference(item: Bias) -> str:
    """`+0.01, 95 % interval [-0.01, +0.02]`."""
    if item.low is None or item.high is None:
        return f"{signed(item.mean)}, no interval from one pair"
    return f"{signed(item.mean)}, 95 % interval [{signed(item.low)}, {signed(item.high)}]"


def _cost(result: FullTrainingResult) -> Iterator[str]:
    if result.cost_ratio is not None:
        yield f"One full training took {number(result.cost_ratio)} times the compute time of one training in the search."


def rows(result: FullTrainingResult) -> tuple[list[str], list[Sequence[str]]]:
    """A table of the networks: its head, and a row for each."""
    metrics = [metric for metric, _ in result.objectives]
    head = ["", "rank before", "rank after", "true best"]
    for metric in metrics:
        head += [f"{metric} before", f"{metric} after"]
    tested = list(dict.fromkeys(name for network in result.networks for name in network.test))
    head += ["seeds", *(f"test {name}" for name in tested)]
    return head, [_row(network, metrics, tested) for network in result.networks]


def share(probability: float) -> str:
    """In per cent; never 0 or 100, which no estimate is."""
    if probability < 0.01:
        return "<1%"
    return ">99%" if probability > 0.99 else f"{probability:.0%}"


def _row(network: TrainedNetwork, metrics: Sequence[str], tested: Sequence[str]) -> list[str]:
    cells = [network.name, str(network.rank_before or "-"), str(network.rank_after or "-")]
    cells.append("-" if network.probability is None else share(network.probability))
    for metric in metrics:
        before, after = network.searched.get(metric), network.mean(metric)
        if after is None and network.seeds:
            after = before  # known before training, and not changed by it
        cells.append("-" if before is None else number(before))
        cells.append("failed" if after is None else number(after))
    cells.append(
        str(len(network.seeds)) + (f" of {len(network.seeds) + len(network.failures)}" if network.failures else "")
    )
    values = (network.test.get(name) for name in tested)
    return [*cells, *("-" if not own else number(sum(own) / len(own)) for own in values)]
