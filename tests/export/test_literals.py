"""Arguments of layers as Python source: it evaluates to an equal value of the same type, or an error names the argument."""

from __future__ import annotations

import enum
import functools
import math
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import exportable
import numpy as np
import pytest
import torch
from torch import nn

import ogive as og
from ogive.errors import RunError
from ogive.export import architecture_source, export_torch
from ogive.export.class_source import SourceCollector
from ogive.export.literals import NoSource, format_literal


class Parts(enum.Flag):
    A = 1
    B = 2
    C = 4


class Text(str):
    pass


class Size(NamedTuple):
    width: int
    scale: float


class Maker:
    @classmethod
    def make(cls) -> Maker:
        return cls()

    def bound(self) -> None:
        pass


Odd = enum.Enum("Odd", {"a b": 1, "class": 2}, module=__name__)
INF, NAN = math.inf, math.nan


def evaluate_source(value: Any) -> Any:
    """Return the value of the source that `format_literal` returns for `value`."""
    sources = SourceCollector()
    text = format_literal(value, sources.refer)
    scope: dict[str, Any] = {}
    exec("\n".join(f"import {name}" for name in sources.imports), scope)
    return eval(text, scope)


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.5),
        np.float32(0.1),
        np.float64(INF),
        np.int64(-3),
        np.bool_(True),
        np.complex64(1 - 2j),
        np.str_("a\n"),
        -0.0,
        complex(-0.0, INF),
        Parts.A,
        Parts.A | Parts.C,
        Parts(0),
        Odd["a b"],
        Odd["class"],
        Text("a'b"),
        Size(3, INF),
        torch.Size([2, 3]),
        OrderedDict(b=1, a=[None, ...]),
        range(1, 9, 2),
        torch.channels_last,
        (math.inf, -math.inf, "x" * 200, {"k": np.float64(2.0)}),
        functools.partial(nn.Linear, 4, bias=np.bool_(False)),
        nn.functional.relu,
        math.sqrt,
    ],
)
def test_the_source_evaluates_to_an_equal_value(value: Any) -> None:
    result = evaluate_source(value)
    assert type(result) is type(value)
    assert repr(result) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([INF, -INF, NAN, 1.5]),
        torch.tensor([[True], [False]]),
        torch.tensor([1 + 2j, complex(NAN, INF)]),
        torch.empty(0, 3, dtype=torch.int32),
        torch.tensor(0.1, dtype=torch.bfloat16),
        torch.tensor([1.0], requires_grad=True),
        nn.Parameter(torch.ones(2), requires_grad=False),
        np.array([[INF, NAN]]),
        np.zeros((0, 2), dtype=np.float32),
        np.array([1, 2], dtype=">i2"),
    ],
)
def test_the_source_of_tensors_and_arrays_keeps_nan_and_infinity(value: Any) -> None:
    result = evaluate_source(value)
    assert type(result) is type(value)
    assert (result.dtype, result.shape) == (value.dtype, value.shape)
    assert getattr(result, "requires_grad", None) == getattr(value, "requires_grad", None)
    if isinstance(value, torch.Tensor):
        torch.testing.assert_close(result, value, rtol=0, atol=0, equal_nan=True)
    else:
        np.testing.assert_array_equal(result, value)


def test_a_class_method_has_source_but_a_bound_method_does_not() -> None:
    sources = SourceCollector()
    assert format_literal(Maker.make, sources.refer) == "test_literals.Maker.make"
    with pytest.raises(NoSource):
        format_literal(Maker().bound, sources.refer)


@pytest.mark.parametrize("value", [Maker(), torch.ones(2).to_sparse(), np.array([object()]), object()])
def test_an_error_names_the_argument_that_has_no_source(value: Any) -> None:
    space = og.Space(og.layer(nn.Sequential, og.layer(exportable.Branch, 3, mode=[{"k": value}], tail=())))
    architecture = space.architecture({})
    assert space.tree is not None
    with pytest.raises(architecture_source.UnwritableArgument) as error:
        architecture_source.format_expression(space.tree, architecture, SourceCollector().refer)
    name = type(value).__name__
    assert str(error.value).startswith("argument 'mode' of the layer exportable.Branch at '0' of the space: ")
    assert (
        f"is a {name}, which cannot be written as source; values that can be written: numbers, texts, tensors"
        in str(error.value)
    )


def test_an_export_error_names_the_argument_and_does_not_blame_forward(tmp_path: Path) -> None:
    space = og.Space(og.layer(exportable.Branching, og.one_of(3), Maker()), example_input=(4,))
    architecture = space.sample(np.random.default_rng(0))
    with pytest.raises(RunError, match=r"argument 'extra' of the layer exportable.Branching: .* is a Maker") as error:
        export_torch(architecture, architecture.build(seed=0).state_dict(), tmp_path)
    assert "forward()" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
