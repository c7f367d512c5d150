"""Examples: tied widths with a chosen depth, one cell at three widths, a space of 10^36 and one of 10 architectures."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from random_spaces import record
from torch import nn

from ogive import space as og
from ogive.space.count import count


class ConvBlock(nn.Sequential):
    def __init__(self, source: int, width: int, op: nn.Module, stride: int) -> None:
        super().__init__(nn.Conv2d(source, width, 1, stride), op)


def tied_widths() -> og.Space:
    """Three stages of 1 to 4 blocks; a block's first layer takes the width of the stage before."""
    W = [og.one_of(16, 32, 64, name=f"w{s}") for s in range(3)]

    def stage(s: int) -> Any:
        return og.repeat(
            lambda i: og.layer(
                ConvBlock,
                W[max(s - 1, 0)] if i == 0 else W[s],
                W[s],
                op=og.one_of(
                    conv=og.layer(nn.LazyConv2d, W[s], og.one_of(3, 5), padding="same"),
                    mb=og.layer(nn.LazyConv2d, W[s] * 1, og.one_of(1, 7), padding="same", bias=False),
                ),
                stride=2 if s and i == 0 else 1,
            ),
            times=og.integer(1, 4),
        )

    stem, head = og.layer(nn.Conv2d, 1, W[0], 3), og.layer(nn.LazyLinear, 10)
    net = og.layer(nn.Sequential, stem, stage(0), stage(1), stage(2), og.layer(nn.Flatten), head)
    return og.Space(net, example_input=(1, 12, 12))


def test_a_space_with_tied_widths_has_the_size_of_the_closed_form_and_builds() -> None:
    space = tied_widths()
    assert space.size() == 27 * (4 + 4**2 + 4**3 + 4**4) ** 3 == 1_061_208_000
    assert [d.name for d in space.decisions if not d.is_conditional][:3] == ["w0", "1.times", "1[0].op"]
    rng = np.random.default_rng(0)
    for _ in range(5):
        architecture = space.sample(rng)
        model = architecture.build(seed=1)
        assert model(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
        blocks = [block for block in model if isinstance(block, ConvBlock)]
        depths = [architecture[f"{s}.times"] for s in (1, 2, 3)]
        widths = [architecture[f"w{s}"] for s, depth in enumerate(depths) for _ in range(depth)]
        assert [block[0].out_channels for block in blocks] == widths
        assert [block[0].in_channels for block in blocks] == [architecture["w0"], *widths[:-1]]


class Cell(nn.Module):
    def __init__(self, edges: list[nn.Module]) -> None:
        super().__init__()
        self.edges = nn.ModuleList(edges)


def test_one_cell_at_three_widths_has_one_set_of_decisions() -> None:
    def cell(width: int) -> Any:
        conv = og.layer(nn.Conv2d, width, width, og.one_of(1, 3, name="kernel"))
        operations = {"skip": og.layer(nn.Identity), "conv": conv}
        return og.layer(Cell, [og.one_of(**operations, name=f"edge{e}") for e in range(6)])

    space = og.Space(og.layer(nn.Sequential, *map(cell, (16, 32, 64))))
    assert space.size() == 1 + (2**6 - 1) * 2  # all skip, or any edge a convolution of one shared kernel size
    labels = {f"edge{e}": "conv" if e in (0, 5) else "skip" for e in range(6)}
    model = space.architecture({**labels, "kernel": 3}).build()
    built = [[type(edge).__name__ for edge in cell.edges] for cell in model]
    assert built == [["Conv2d", *["Identity"] * 4, "Conv2d"]] * 3
    assert [cell.edges[0].out_channels for cell in model] == [16, 32, 64]
    assert space.architecture(labels | {"edge0": "skip", "edge5": "skip"})  # no convolution, no kernel size


def large() -> og.Space:
    """6 stages of 1 to 5 blocks, each a choice of three with choices inside, and one width shared under 30 conditions."""
    width = og.one_of(16, 32, 64, 128, name="width")

    def block(i: int) -> Any:
        conv = og.layer(record, og.one_of(3, 5, 7), og.integer(1, 4))
        return og.one_of(conv=conv, mb=og.layer(record, og.one_of(3, 6), width), skip=og.layer(record))

    return og.Space(og.layer(record, *(og.repeat(block, times=og.integer(1, 5)) for _ in range(6))))


def test_a_space_of_10_to_the_36_with_over_60_conditional_decisions() -> None:
    space = large()
    assert sum(d.is_conditional for d in space.decisions) > 60
    everything, without_width = (sum(n**depth for depth in range(1, 6)) ** 6 for n in (12 + 2 + 1, 12 + 1))
    assert space.size() == 4 * (everything - without_width) + without_width > 10**30
    assert count(space.decisions, max_states=60) == space.size()

    rng = np.random.default_rng(0)
    copy = pickle.loads(cloudpickle.dumps(space))
    architectures = [space.sample(rng) for _ in range(200)]
    assert copy.decode(space.encode(architectures)) == architectures
    assert len({a.id for a in architectures}) == 200
    for a, b in pairwise(architectures):
        for child in (space.mutate(a, rng), space.crossover(a, b, rng), next(space.neighbors(a))):
            assert copy.architecture(child.to_json()) == child != a
    assert copy.fingerprint == space.fingerprint
    assert copy.architecture(architectures[0].to_json()).build() == architectures[0].build()


def test_a_space_of_ten_architectures() -> None:
    space = og.Space(og.one_of(a=og.layer(record, og.integer(1, 9)), b=og.layer(record)))
    assert space.size() == 10 == len(list(space.grid()))
    assert space.columns() == [("root", "a"), ("root", "b"), ("a.0", "value"), ("a.0", "active")]
    encoded = space.encode(list(space.grid()))
    assert encoded[[0, 4, 9]].tolist() == [[1, 0, 0, 1], [1, 0, 0.5, 1], [0, 1, 0, 0]]


def test_a_space_without_decisions() -> None:
    space = og.Space(og.layer(record, 1))
    assert space.size() == 1
    assert [a.build() for a in space.grid()] == [("record", (1,), ())]
    assert space.decode(space.encode([space.sample(np.random.default_rng(0))])) == list(space.grid())


def test_a_decision_that_every_alternative_activates_is_unconditional() -> None:
    width = og.integer(1, 8, name="width")
    blocks = [og.one_of(conv=og.layer(record, width), mb=og.layer(record, 2 * width)) for _ in range(40)]
    space = og.Space(og.layer(record, *blocks))
    assert not any(d.is_conditional for d in space.decisions)
    assert space.size() == 8 * 2**40


def test_a_decision_that_every_allowed_subset_activates_is_unconditional() -> None:
    def conditional(low: int) -> bool:
        width = og.integer(1, 8, name="width")
        subset = og.some_of((low, 3), a=og.layer(record, width), b=og.layer(record, width), c=0)
        return og.Space(subset).decisions[-1].is_conditional

    assert [conditional(low) for low in (0, 1, 2, 3)] == [True, True, False, False]


def test_a_shared_decision_under_many_conditions_is_counted_exactly() -> None:
    width = og.integer(1, 8, name="width")
    blocks = [og.one_of(conv=og.layer(record, width), mb=og.layer(record, width), skip=None) for _ in range(40)]
    assert (
        og.Space(og.layer(record, *blocks)).size() == 8 * (3**40 - 1) + 1
    )  # `width` is inactive only if all blocks are skipped


def test_some_of_many_layers_with_choices_inside_is_counted_exactly() -> None:
    inside = {f"layer{i}": og.layer(record, og.one_of(1, 2)) for i in range(30)}
    assert (
        og.Space(og.some_of((0, 30), **inside)).size() == 3**30
    )  # each layer is absent, or present with one of two options
    assert og.Space(og.some_of((2, 3), **inside)).size() == math.comb(30, 2) * 2**2 + math.comb(30, 3) * 2**3


def test_a_space_that_takes_too_long_to_count_has_size_bounds() -> None:
    """Each layer is activated by a pair of switches, and each switch is in several pairs, so every order has many states."""
    switches = [og.one_of(on=1, off=0, name=f"switch{i}") for i in range(16)]

    def layer_of_pair(i: int, j: int) -> Any:
        on = og.one_of(on=og.layer(record, og.one_of(1, 2)), off=0, name=f"switch{j}")
        return og.one_of(on=on, off=0, name=f"switch{i}")

    pairs = [(i, (i * 7 + shift) % 16) for i in range(16) for shift in (1, 3, 5)]
    space = og.Space(og.layer(record, *switches, *(layer_of_pair(i, j) for i, j in pairs if i != j)))
    on = [[(code >> i) & 1 for i in range(16)] for code in range(2**16)]
    truth = sum(2 ** sum(s[i] and s[j] for i, j in pairs if i != j) for s in on)
    assert count(space.decisions, max_states=10**6) == truth
    bounds = count(space.decisions, max_states=20)
    assert isinstance(bounds, og.SizeBounds)
    assert bounds.low < truth < bounds.high
    assert str(bounds).startswith("between 1")


def test_an_unnamed_choice_in_a_layer_that_is_used_twice_gives_two_decisions() -> None:
    shared = og.layer(record, og.one_of(1, 2))
    space = og.Space(og.layer(record, shared, shared))
    assert [d.name for d in space.decisions] == ["0.0", "1.0"]
    assert space.size() == 4


def test_a_repeat_is_spliced_and_its_unnamed_choice_gives_a_decision_at_each_position() -> None:
    space = og.Space(og.layer(record, 0, og.repeat(og.one_of(1, 2), times=og.one_of(none=0, two=2)), [og.repeat(7, 2)]))
    assert space.size() == 1 + 4
    architecture = space.architecture({"1.times": "two", "1[0]": 2, "1[1]": 1})
    assert architecture.build() == ("record", (0, 2, 1, [7, 7]), ())
    assert space.architecture({"1.times": "none"}).build() == ("record", (0, [7, 7]), ())


def test_derived_values_are_computed_when_a_model_is_built() -> None:
    n = og.integer(2, 4, name="n")
    space = og.Space(og.layer(record, 2**n, -n + 1, 7 // n, n % 2, n / 2, abs(1 - n), n >= 3, n == 2))
    assert space.architecture({"n": 3}).build()[1] == (8, -2, 2, 1, 1.5, 2, True, False)


def test_every_build_gets_new_arguments() -> None:
    space = og.Space(og.layer(lambda values: values.append(len(values)) or values, [1, [2]]))
    architecture = next(space.grid())
    assert architecture.build() == architecture.build() == [1, [2], 2]


def test_the_canonical_form_changes_ids_but_not_models() -> None:
    def canonical(a: og.Architecture) -> Any:
        return sorted([a["0"], a["1"]])

    space = og.Space(og.layer(record, og.one_of("x", "y"), og.one_of("x", "y")), canonical=canonical)
    xy, yx = space.architecture({"0": "x", "1": "y"}), space.architecture({"0": "y", "1": "x"})
    assert xy.id == yx.id
    assert xy != yx
    assert xy.build() != yx.build()
    assert len({a.id for a in space.grid()}) == 3
    assert space.size() == 4


def test_sample_mutate_crossover_neighbors_and_grid_satisfy_the_constraint() -> None:
    space = og.Space(
        og.layer(record, og.integer(0, 9, name="a"), og.integer(0, 9, name="b")),
        constraint=lambda a: f"a + b = {a['a'] + a['b']}, not even" if (a["a"] + a["b"]) % 2 else None,
    )
    rng = np.random.default_rng(0)
    a, b = space.sample(rng), space.sample(rng)
    generated = [a, b, *space.grid(), *(space.crossover(a, b, rng) for _ in range(20))]
    assert all((x["a"] + x["b"]) % 2 == 0 for x in generated)
    assert len(list(space.grid())) == 50
    assert space.size() == 100
    assert list(space.neighbors(a)) == []
    odd = space.architecture({"a": 0, "b": 1})
    assert space.violation(odd) == "a + b = 1, not even"
    assert all(space.violation(space.mutate(odd, rng)) is None for _ in range(20))


@pytest.mark.parametrize("seed", range(3))
def test_architectures_compare_by_value(seed: int) -> None:
    a, b = (tied_widths().sample(np.random.default_rng(seed)) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert {a: 1}[b] == 1
    assert a != tied_widths().sample(np.random.default_rng(seed + 100))
