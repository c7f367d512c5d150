"""The result of full training, its file and its sentences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ogive.errors import RunError
from ogive.stages.evaluation import _compute_bias, _is_changed
from ogive.stages.full_training_result import (
    Agreement,
    Bias,
    FullTrainingResult,
    TrainedNetwork,
    read_full_training,
    write_full_training,
)
from ogive.stages.full_training_text import list_conclusions, make_table
from ogive.stats.rank_correlation import rank_correlations


def network(trial: int, before: float, after: list[float], rank: int) -> TrainedNetwork:
    return TrainedNetwork(
        name=f"trial {trial}",
        trial=trial,
        parameters=1000,
        searched={"accuracy": before},
        epochs=2,
        rank_before=trial + 1,
        rank_after=rank,
        seeds=list(range(len(after))),
        values={"accuracy": after},
        weights=[f"final/trials/{trial:06d}/checkpoint-9.pt"] * len(after),
        probability=0.25,
    )


def make_result() -> FullTrainingResult:
    networks = [network(i, 0.8 - i / 100, [0.9 + i / 100, 0.91 + i / 100], 4 - i) for i in range(4)]
    networks[3] = replace(networks[3], test={"accuracy": [0.92, 0.93]}, failures=["seed 2: error: gone"])
    before, after = [n.searched["accuracy"] for n in networks], [n.mean("accuracy") or 0.0 for n in networks]
    return FullTrainingResult(
        objectives=[("accuracy", "maximize")],
        networks=networks,
        agreement=[Agreement("accuracy", *rank_correlations(before, after))],
        probability=0.25,
        probability_note="accounts for nothing",
        winners=["trial 3"],
        bias=[Bias.of("accuracy", before, after)],
        chosen_bias=[Bias.of("accuracy", [0.93, 0.94], [0.92, 0.93])],
        recipe={},
        new_validation=True,
        splits={},
        cost_ratio=20.0,
    )


def test_a_result_is_read_back_from_its_file(tmp_path: Path) -> None:
    assert read_full_training(tmp_path) is None
    (tmp_path / "final").mkdir()
    path = write_full_training(make_result(), tmp_path)
    assert read_full_training(tmp_path) == make_result()
    for text in ("{", "[]", "{}", json.dumps({**make_result().to_json(), "networks": [{"name": 1}]})):
        path.write_text(text)
        with pytest.raises(
            RunError, match=r"result.json cannot be read: .*`ogive finalize` again, which writes the file again"
        ):
            read_full_training(tmp_path)


def test_the_sentences_name_the_winner_and_the_agreement_with_the_search() -> None:
    text = " ".join(list_conclusions(make_result()))
    assert "trial 3 is the best of 4 finalists after full training; its rank in the search was 4." in text
    assert "trial 3 on the test split: accuracy 0.925, mean over 2 seeds." in text
    assert "Kendall's tau -1.00, 95% interval [-1.00, " in text
    assert "true best of the finalists with probability 0.25" in text
    assert "accuracy, test split minus second validation split, trial 3, 2 seeds: -0.01, 95% interval" in text
    assert "20 times the compute time" in text
    head, cells = make_table(make_result())
    assert dict(zip(head, cells[3], strict=True))["seeds"] == "2 of 3"
    result = replace(
        make_result(), agreement=[Agreement("accuracy", None, None, "2 finalists")], probability=None, chosen_bias=[]
    )
    assert "no rank correlation (2 finalists)." in " ".join(list_conclusions(result))
    assert "nan" not in " ".join(list_conclusions(result))


def test_with_several_objectives_no_network_is_called_the_best() -> None:
    result = replace(make_result(), objectives=[("accuracy", "maximize"), ("parameters", "minimize")], probability=None)
    text = " ".join(list_conclusions(result))
    assert "trial 3 is the only one of 4 finalists on the front after full training." in text
    assert "best of 4" not in text
    assert "true best" not in text


def test_metrics_that_training_does_not_change_are_not_compared() -> None:
    networks = [network(i, 0.8, [0.9], 1) for i in range(3)]
    fixed = [replace(n, searched={**n.searched, "size": 5.0}, values={**n.values, "size": [5.0]}) for n in networks]
    assert not _is_changed("size", fixed)
    assert _is_changed("accuracy", fixed)


def test_the_mean_difference_leaves_out_finalists_without_both_values() -> None:
    networks = [network(0, 0.8, [0.9], 1), network(1, 0.7, [0.8], 2), network(2, 0.6, [0.5], 3)]
    whole = _compute_bias("accuracy", networks[:2])
    assert whole is not None
    assert _compute_bias("accuracy", [*networks[:2], replace(networks[2], values={"loss": [0.5]})]) == whole
    assert _compute_bias("accuracy", [*networks[:2], replace(networks[2], searched={})]) == whole
    assert _compute_bias("loss", networks) is None
