"""Tabular problems: reported metrics, true values, and the checks of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ogive.bench import columns
from ogive.bench.table_problem import Table
from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.space import Space, integer, layer, one_of, repeat


def net(*parts: object) -> tuple[object, ...]:
    return parts


SPACE = Space(layer(net, one_of("a", "b", name="kind"), one_of(1, 2, 3, name="width")))
KEYS = [architecture.id for architecture in SPACE.grid()]
VALUES = np.array([0.1, 0.5, 0.3, 0.9, 0.7, 0.2])


def architecture(kind: str, width: int) -> Any:
    return SPACE.architecture({"kind": kind, "width": width})


def curves(**options: Any) -> Table:
    """Two repetitions of three epochs; test is validation minus 0.05."""
    values = VALUES[:, None, None] * np.array([0.5, 0.8, 1.0]) + np.array([0.0, 0.02])[None, :, None]
    columns = {"accuracy": values, "unseen": values - 0.05, "latency": VALUES * 10}
    arguments = {"levels": (1, 2, 3), "continuable": True, "test": {"accuracy": "unseen"}, **options}
    return Table("curves", SPACE, KEYS, columns, "accuracy", **arguments)


def test_a_search_receives_validation_metrics_of_one_repetition_and_the_truth_is_the_mean() -> None:
    table = curves()
    best = architecture("b", 1)
    results = list(table.evaluate(best, {"epochs": 2}, seed=5))
    assert [result.step for result in results] == [1, 2]
    assert [result.seconds for result in results] == [1.0, 1.0]
    assert results[1].metrics["accuracy"] == pytest.approx(0.9 * 0.8 + 0.02)  # seed 5 is the second repetition
    assert set(results[1].metrics) == {"accuracy", "latency"}, "the test column must stay hidden"
    assert table.truth(best)["accuracy"] == pytest.approx(0.91)
    assert table.truth(best)["test_accuracy"] == pytest.approx(0.86)
    assert table.bounds["accuracy"] == pytest.approx((0.91, 0.11))
    assert table.best() == [best.id]


def test_levels_that_are_separate_trainings_are_reported_at_their_end() -> None:
    table = curves(continuable=False)
    assert [(item.step, item.seconds) for item in table.evaluate(architecture("a", 1), {"epochs": 3}, 0)] == [(3, 3.0)]
    with pytest.raises(JobError, match=r"has values for 1, 2, 3 epochs, but 4 were requested"):
        list(table.evaluate(architecture("a", 1), {"epochs": 4}, 0))


@pytest.mark.parametrize(
    ("levels", "text"),
    [(range(1, 31), "1 to 30"), (range(5, 35), "5 to 34"), (range(2, 62, 2), ", ".join(map(str, range(2, 62, 2))))],
)
def test_an_error_lists_the_levels_or_gives_their_range(levels: range, text: str) -> None:
    values = VALUES[:, None] * np.linspace(0.5, 1, len(levels))
    table = Table("levels", SPACE, KEYS, {"accuracy": values}, "accuracy", levels=levels)
    with pytest.raises(JobError, match=f"has values for {text} epochs, but 99 were requested"):
        list(table.evaluate(architecture("a", 1), {"epochs": 99}, 0))


def test_the_optimum_is_the_best_that_satisfies_the_constraints() -> None:
    table = curves(constraints=Constraint("latency", at_most=6.0, hard=True), screened=("latency",))
    assert table.screen(architecture("b", 1)) == {"latency": pytest.approx(9.0)}
    assert table.best() == [architecture("a", 2).id]
    assert table.bounds["accuracy"].best == pytest.approx(0.51)
    with pytest.raises(JobError, match=r"no row satisfies latency <= 0\.5"):
        curves(constraints=Constraint("latency", at_most=0.5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keys": [*KEYS[:5], KEYS[0]]}, "rows 1 and 6 have the same architecture"),
        ({"columns": {"accuracy": np.ones(6)}}, "'accuracy' is 1 in every row, so there is nothing to search for"),
        ({"columns": {"accuracy": np.ones(5)}}, r"column 'accuracy' has shape \(5,\); expected \(6,\)"),
        (
            {"objectives": Objective("accuracy", "minimize")},
            "the goal of 'accuracy' is 'minimize', but its name implies 'maximize'",
        ),
        ({"objectives": "loss"}, "has no column 'loss'; the columns are 'accuracy'"),
        ({"columns": {"accuracy": np.full(6, np.nan)}}, "not finite in any row"),
        ({"seconds": -VALUES}, "the seconds of row 1 are negative"),
        (
            {"seconds": np.stack([VALUES, VALUES - 0.01], axis=1), "levels": (1, 2), "continuable": True},
            "the seconds of row 1 decrease from level 1 to level 2",
        ),
    ],
)
def test_invalid_tables_raise(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"keys": KEYS, "columns": {"accuracy": VALUES}, "objectives": "accuracy", **change}
    with pytest.raises(JobError, match=message):
        Table("wrong", SPACE, **arguments)


def test_missing_rows_are_counted_and_named() -> None:
    table = Table("holes", SPACE, KEYS[:4], {"accuracy": VALUES[:4]}, "accuracy")
    with pytest.raises(JobError, match="2 of 6 architectures have no row, such as kind=b, width=2"):
        table.check_complete()
    with pytest.raises(JobError, match="has no row for"):
        table.truth(architecture("b", 3))


def test_the_fingerprint_depends_on_the_values_but_not_on_the_order_of_rows() -> None:
    table = Table("t", SPACE, KEYS, {"accuracy": VALUES}, "accuracy")
    reversed_ = Table("t", SPACE, KEYS[::-1], {"accuracy": VALUES[::-1]}, "accuracy")
    other = Table("t", SPACE, KEYS, {"accuracy": VALUES + np.eye(6)[0] * 1e-9}, "accuracy")
    assert table.fingerprint == reversed_.fingerprint != other.fingerprint


# -- CSV ---------------------------------------------------------------------------------------------------------------

CHAIN = Space(
    layer(net, repeat(lambda i: layer(net, one_of(8, 16, name=f"width{i}")), times=integer(1, 2, name="depth")))
)
ROWS = ["1,8,,0.5,0.45,3.0", "1,16,,0.6,0.5,4.0", "2,8,8,0.7,0.66,5.0"]
ROWS += ["2,8,16,0.8,0.7,6.0", "2,16,8,0.75,0.71,6.5", "2,16,16,0.9,0.8,7.0"]
HEADER = "depth,width0,width1,accuracy,held_out,seconds"


def write_csv(tmp_path: Path, rows: list[str], header: str = HEADER) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_csv_file_is_loaded_as_a_problem(tmp_path: Path) -> None:
    table = columns.load(write_csv(tmp_path, ROWS), CHAIN, "accuracy", test={"accuracy": "held_out"})
    deep = CHAIN.architecture({"depth": 2, "width0": 16, "width1": 8})
    (result,) = table.evaluate(deep, {}, 0)
    assert (result.metrics, result.seconds) == ({"accuracy": 0.75}, 6.5)
    assert table.truth(deep) == {"accuracy": 0.75, "test_accuracy": 0.71}
    assert table.bounds["accuracy"].best == 0.9


def test_a_csv_file_may_contain_text_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [f"{row},{n % 2 and 'fast'}" for n, row in enumerate(ROWS)], f"\ufeff{HEADER},remark")
    table = columns.load(path, CHAIN, "accuracy", screened=["held_out"])
    assert set(table.columns) == {"accuracy", "held_out"}, "columns with text are ignored"
    with pytest.raises(JobError, match="has two columns 'accuracy'"):
        columns.load(write_csv(tmp_path, ROWS, HEADER.replace("held_out", "accuracy")), CHAIN, "accuracy")


def test_epochs_and_seeds_are_columns_of_a_csv_file(tmp_path: Path) -> None:
    rows = [f"{row},{epoch},{seed}" for row in ROWS for epoch in (1, 4) for seed in (0, 1)]
    table = columns.load(write_csv(tmp_path, rows, HEADER + ",epochs,seed"), CHAIN, "accuracy")
    assert (table.levels, table.repetitions, table.continuable) == ((1, 4), 2, True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:-1], "1 of 6 architectures have no row, such as depth=2, width0=16, width1=16"),
        ([*ROWS, ROWS[2]], "line 8: the same architecture as line 4"),
        ([*ROWS[:-1], "2,16,99,0.9,0.8,7.0"], r"line 7: decision 'width1': .*99"),
        ([*ROWS[:-1], "2,16,16,good,0.8,7.0"], "line 7, column 'accuracy': 'good' is not a number"),
        (["1,8,,good,0.45,3.0", *ROWS[1:]], "line 2, column 'accuracy': 'good' is not a number"),
        (["", *ROWS[:-1], "2,16,16"], "line 8: the number of values is not that of the header, 6"),
        ([], "the table has no rows"),
    ],
)
def test_an_invalid_row_of_a_csv_file_is_named(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(JobError, match=message):
        columns.load(write_csv(tmp_path, rows), CHAIN, "accuracy")
