"""The result of full training as sentences and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ogive.formatting import number, plural
from ogive.stages.comparison_text import format_signed
from ogive.stats.rank_correlation import Correlation

if TYPE_CHECKING:
    from ogive.stages.full_training_result import Agreement, Bias, FullTrainingResult, TrainedNetwork

STATISTIC_NAMES = {"kendall": "Kendall's tau", "spearman": "Spearman's rho"}
"""The name of each rank correlation in sentences."""


def list_conclusions(result: FullTrainingResult) -> list[str]:
    """Return the conclusions from a result as sentences, the most important first."""
    return [
        *_format_winners(result),
        *_format_probability(result),
        *(format_agreement(item) for item in result.agreement),
        *_format_cautions(result),
        *(_format_bias(item, result) for item in result.bias),
        *(_format_chosen_bias(item, result.winner) for item in result.chosen_bias),
        *_format_cost(result),
    ]


def format_agreement(item: Agreement) -> str:
    """Return the rank correlations of a metric between the search and full training as a sentence.

    For example: `accuracy, search against full training: Kendall's tau 0.64, 95% interval [0.12, 0.88]; Spearman's ...`.
    """
    correlations = [format_correlation(item.kendall), format_correlation(item.spearman)]
    text = "; ".join(correlation for correlation in correlations if correlation is not None)
    note = f" ({item.note})" if item.note else ""
    return f"{item.metric}, search against full training: {text or 'no rank correlation'}{note}."


def format_correlation(correlation: Correlation | None) -> str | None:
    """Return a correlation with its interval; None without a correlation."""
    if correlation is None or correlation.value is None:
        return None
    name = STATISTIC_NAMES[correlation.statistic]
    if correlation.low is None or correlation.high is None:
        return f"{name} {correlation.value:.2f}, too few pairs for an interval"
    interval = f"{100 * correlation.confidence:g}% interval [{correlation.low:.2f}, {correlation.high:.2f}]"
    return f"{name} {correlation.value:.2f}, {interval}"


def _format_winners(result: FullTrainingResult) -> Iterator[str]:
    """Yield a sentence that names the winners, and their metrics on the test split or the reason why there are none."""
    finalists = plural(len(result.finalists), "finalist")
    if len(result.winners) > 1:
        names = ", ".join(result.winners)
        yield f"{len(result.winners)} of {finalists} are not dominated by any other after full training: {names}."
    elif len(result.objectives) > 1:
        yield f"{result.winner.name} is the only one of {finalists} on the front after full training."
    else:
        rank_before = result.winner.rank_before
        rank = (
            "it was the best trial of the search too"
            if rank_before == 1
            else f"its rank in the search was {rank_before}"
        )
        yield f"{result.winner.name} is the best of {finalists} after full training; {rank}."
    for name in result.winners:
        test_text = _format_test(result[name])
        if test_text is not None:
            yield f"{name} on the test split: {test_text}."
    if not result.winner.test:
        yield "The test split was not read: only the train function knows its data. Test the winner with your own program."


def _format_test(network: TrainedNetwork) -> str | None:
    """Return the metrics of a network on the test split; None if it was not read for this network."""
    seeds = f", mean over {plural(len(network.seeds), 'seed')}" if len(network.seeds) > 1 else ""
    means = ", ".join(f"{name} {number(sum(values) / len(values))}" for name, values in network.test.items())
    return f"{means}{seeds}" if means else None


def _format_probability(result: FullTrainingResult) -> Iterator[str]:
    """Yield a sentence on the probability that the search's best trial is the true best of the finalists."""
    if len(result.objectives) > 1:
        # With several objectives there is no single best network.
        return
    if result.probability is None:
        yield f"The probability that the search's best is the true best is unknown: {result.probability_note}."
    else:
        yield (
            f"The search's best is the true best of the finalists with probability {result.probability:.2f}; this "
            f"{result.probability_note}."
        )


def _format_cautions(result: FullTrainingResult) -> Iterator[str]:
    """Yield sentences on how the validation data and the selection of finalists affect the values and correlations."""
    if not result.new_validation:
        yield (
            "The finalists were evaluated on the examples by which the search selected them, so their values are too "
            "optimistic."
        )
    if any(item.kendall for item in result.agreement):
        yield (
            "The rank correlations are among the best trials of the search, whose values differ little; over the whole "
            "space, rank correlations are usually higher."
        )


def _format_bias(item: Bias, result: FullTrainingResult) -> str:
    data = "the second validation split" if result.new_validation else "the same validation data"
    comparison = f"after full training on {data} minus in the search, mean over {plural(item.pairs, 'finalist')}"
    return (
        f"{item.metric}, {comparison}: {format_difference(item)}. It contains both the effect of more training "
        "and the optimism of the selection."
    )


def _format_chosen_bias(item: Bias, winner: TrainedNetwork) -> str:
    comparison = f"test split minus second validation split, {winner.name}, {plural(item.pairs, 'seed')}"
    return f"{item.metric}, {comparison}: {format_difference(item)}."


def format_difference(item: Bias) -> str:
    """Return a mean difference with its interval: `+0.01, 95% interval [-0.01, +0.02]`."""
    if item.low is None or item.high is None:
        return f"{format_signed(item.mean)}, no interval from one pair"
    return f"{format_signed(item.mean)}, 95% interval [{format_signed(item.low)}, {format_signed(item.high)}]"


def _format_cost(result: FullTrainingResult) -> Iterator[str]:
    if result.cost_ratio is not None:
        yield f"One full training took {number(result.cost_ratio)} times the compute time of one training in the search."


def make_table(result: FullTrainingResult) -> tuple[list[str], list[Sequence[str]]]:
    """Return the networks as a table: the head, and a row for each network."""
    metrics = [metric for metric, _ in result.objectives]
    head = ["", "rank before", "rank after", "true best"]
    for metric in metrics:
        head += [f"{metric} before", f"{metric} after"]
    test_metrics = list(dict.fromkeys(name for network in result.networks for name in network.test))
    head += ["seeds", *(f"test {name}" for name in test_metrics)]
    return head, [_make_row(network, metrics, test_metrics) for network in result.networks]


def format_probability_cell(probability: float) -> str:
    """Return an estimated probability in per cent, never as 0% or 100%."""
    if probability < 0.01:
        return "<1%"
    return ">99%" if probability > 0.99 else f"{probability:.0%}"


def _make_row(network: TrainedNetwork, metrics: Sequence[str], test_metrics: Sequence[str]) -> list[str]:
    """Return the cells of a network, in the order of the head that `make_table` makes."""
    cells = [network.name, str(network.rank_before or "-"), str(network.rank_after or "-")]
    cells.append("-" if network.probability is None else format_probability_cell(network.probability))
    for metric in metrics:
        searched_value, trained_value = network.searched.get(metric), network.mean(metric)
        if trained_value is None and network.seeds:
            # A metric that is known before training does not change.
            trained_value = searched_value
        cells.append("-" if searched_value is None else number(searched_value))
        cells.append("failed" if trained_value is None else number(trained_value))
    trainings = f" of {len(network.seeds) + len(network.failures)}" if network.failures else ""
    cells.append(f"{len(network.seeds)}{trainings}")
    for metric in test_metrics:
        values = network.test.get(metric)
        cells.append(number(sum(values) / len(values)) if values else "-")
    return cells
