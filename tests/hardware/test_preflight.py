"""Preflight on spaces with known errors, and costs compared with values by hand."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ogive.zoo as zoo
from ogive.errors import Infeasible, SpaceError
from ogive.hardware import activation_memory, flops, measure, parameters, preflight
from ogive.space import Space, integer, layer, one_of, repeat


def assumes_28():
    """A chain with two common mistakes: padding 1 for both kernels, and a classifier for 28 x 28 features only."""
    widths = [one_of(8, 16, name=f"width{i}") for i in range(4)]

    def block(i):
        kernel = one_of(3, 5, name=f"kernel{i}")
        return layer(nn.Conv2d, 1 if i == 0 else widths[i - 1], widths[i], kernel, padding=1)

    body = layer(nn.Sequential, repeat(block, times=integer(1, 4, name="depth")))
    return Space(layer(nn.Sequential, body, layer(nn.Linear, 28, 10)), example_input=(1, 28, 28))


def test_the_smallest_failing_architecture_and_its_layer_are_named():
    result = preflight(assumes_28(), samples=100)
    (failure,) = result.failures
    assert dict(failure.architecture) == {"depth": 1, "width0": 8, "kernel0": 5}
    assert (failure.phase, failure.layer, failure.layer_class) == ("run", "1", "Linear")
    assert failure.input_shapes == ((1, 8, 26, 26),)
    assert "expects 28 features in the last dimension, but got 26" in failure.message
    assert failure.count == round(result.failed * result.samples)
    assert not result.ok
    assert "1 (Linear) with inputs of shape [1, 8, 26, 26]: the layer expects 28 features" in str(result)
    assert "smallest architecture with this failure: Architecture(depth=1, width0=8, kernel0=5)" in str(result)


@pytest.mark.parametrize("seed", range(4))
def test_the_smallest_failing_architecture_need_not_be_sampled(seed):
    (failure,) = preflight(assumes_28(), samples=4, seed=seed).failures
    assert len(failure.architecture) == 3
    assert (failure.architecture["depth"], failure.architecture["width0"], failure.architecture["kernel0"]) == (1, 8, 5)


def test_the_share_of_failures_is_the_true_one():
    """Each of `depth` kernels is 3 with probability 1/2, so 1 - (1/2 + 1/4 + 1/8 + 1/16) / 4 fail."""
    result = preflight(assumes_28(), samples=150)
    assert result.failed == pytest.approx(1 - (1 / 2 + 1 / 4 + 1 / 8 + 1 / 16) / 4, abs=0.1)


@pytest.mark.parametrize(
    ("wrong", "shape", "layer_class", "message"),
    [
        (layer(nn.Conv2d, 3, 4, 1), (2, 5, 5), "Conv2d", "expects 3 channels, but got 2"),
        (layer(nn.Conv2d, 2, 4, 7, padding=0), (2, 5, 5), "Conv2d", "kernel of 7, larger than the padded side of 5"),
        (layer(nn.BatchNorm2d, 3), (2, 5, 5), "BatchNorm2d", "expects 3 channels, but got 2"),
        (layer(nn.LayerNorm, 4), (2, 5, 5), "LayerNorm", r"expects \[4\] as last dimensions, but got \[5\]"),
        (layer(nn.LazyLinear, 3), (), "LazyLinear", "IndexError"),
    ],
)
def test_a_mismatch_of_shapes_is_explained(wrong, shape, layer_class, message):
    space = Space(layer(nn.Sequential, layer(nn.Identity), one_of(wrong=wrong)), example_input=shape or callable_input)
    (failure,) = preflight(space, samples=1).failures
    assert (failure.layer, failure.layer_class) == ("1", layer_class)
    assert re.search(message, failure.message)


def callable_input():
    return torch.tensor(1.0)


class Sum(nn.Module):
    """Adds two branches."""

    def __init__(self, a: nn.Module, b: nn.Module) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x)


def test_a_failure_between_layers_is_attributed_to_the_layer_that_contains_them():
    net = layer(nn.Sequential, layer(Sum, layer(nn.Linear, 3, 2), layer(nn.Linear, 3, one_of(2, 4, name="width"))))
    (failure,) = preflight(Space(net, example_input=(3,)), samples=20).failures
    assert (failure.layer, failure.layer_class, dict(failure.architecture)) == ("0", "Sum", {"width": 4})
    assert "must match" in failure.message


def odd(n):
    if n % 2 == 0:
        raise ValueError(f"{n} is even")
    return nn.Linear(2, n)


def test_a_layer_that_cannot_be_built_is_named():
    net = layer(nn.Sequential, layer(odd, one_of(1, 2, 4, name="n")))
    result = preflight(Space(net, example_input=(2,)), samples=50)
    (failure,) = result.failures
    assert (failure.phase, failure.error, dict(failure.architecture)) == ("build", "ValueError", {"n": 2})
    assert "2 is even, while building the layer at '0'" in str(result)
    assert result.parameters.max == 3


def test_different_kinds_of_failures_are_listed_separately():
    net = layer(nn.Sequential, layer(odd, one_of(1, 3, 4, name="n")), layer(nn.Linear, 1, 1))
    result = preflight(Space(net, example_input=(2,)), samples=50)
    assert {(f.phase, f.architecture["n"]) for f in result.failures} == {("build", 4), ("run", 3)}
    assert sum(f.count for f in result.failures) == round(result.failed * 50)


def feasible(n):
    if n == 3:
        raise Infeasible("three is too many")
    return nn.Linear(2, n)


def test_draws_that_violate_the_constraint_or_are_infeasible_are_counted():
    space = Space(
        layer(feasible, integer(1, 4, name="n")),
        example_input=(2,),
        constraint=lambda architecture: "four is not allowed" if architecture["n"] == 4 else None,
    )
    result = preflight(space, samples=300)
    reasons = dict(result.reasons)
    assert set(reasons) == {"three is too many", "four is not allowed"}
    assert result.samples == 300
    assert result.draws == 300 + reasons["four is not allowed"]
    assert result.infeasible == sum(reasons.values()) / result.draws == pytest.approx(0.5, abs=0.08)
    assert result.ok
    assert (result.parameters.min, result.parameters.max) == (3, 6)


def test_a_constraint_that_no_architecture_satisfies_is_an_error():
    space = Space(layer(nn.Linear, 2, integer(1, 4)), example_input=(2,), constraint=lambda architecture: "never")
    with pytest.raises(
        SpaceError, match="all 300 sampled architectures violate the constraint, 300 of them because: never"
    ):
        preflight(space, samples=3)


def test_duplicates_are_counted_by_id():
    net = layer(nn.Linear, 2, integer(1, 4, name="n"))
    assert preflight(Space(net, example_input=(2,)), samples=100).duplicates == pytest.approx(0.96)
    merged = Space(net, example_input=(2,), canonical=lambda architecture: architecture["n"] // 2 % 2)
    assert preflight(merged, samples=100).duplicates == pytest.approx(0.98)
    distinct = Space(layer(nn.Linear, 2, one_of(1, name="n")), example_input=(2,))
    assert preflight(distinct, samples=1).duplicates == 0


class ReadsAValue(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (1 if x.sum().item() > 0 else 2)


class NamesADevice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.ones(3, device="cpu")


@pytest.mark.parametrize("model_class", [ReadsAValue, NamesADevice])
def test_models_that_fail_on_the_meta_device_run_on_the_cpu(model_class):
    space = Space(layer(nn.Sequential, layer(nn.Linear, 3, 3), layer(model_class)), example_input=(3,))
    result = preflight(space, samples=2)
    assert result.ok
    assert result.parameters.median == 12
    assert any("2 samples failed on the meta device and ran on the CPU" in note for note in result.notes)


def test_no_values_are_computed_and_the_random_state_is_restored():
    space = Space(layer(nn.Linear, 100_000, 1_000_000), example_input=(100_000,))  # 400 GB if it were allocated
    before = torch.get_rng_state()
    result = preflight(space, samples=3)
    assert result.parameters.min == 100_001_000_000
    assert result.flops.min == 2 * 100_000 * 1_000_000
    assert torch.equal(before, torch.get_rng_state())


def test_a_model_too_large_for_the_cpu_runs_on_the_meta_device_only():
    space = Space(
        layer(nn.Sequential, layer(nn.Linear, 100_000, 1_000_000), layer(nn.Linear, 3, 3)), example_input=(100_000,)
    )
    (failure,) = preflight(space, samples=1).failures
    assert (failure.layer, failure.input_shapes) == ("1", ((1, 1_000_000),))


def test_a_preflight_is_a_function_of_its_seed():
    assert str(preflight(zoo.chain(), samples=10, seed=1)) == str(preflight(zoo.chain(), samples=10, seed=1))
    assert str(preflight(zoo.chain(), samples=10, seed=1)) != str(preflight(zoo.chain(), samples=10, seed=2))


def test_lazy_layers_and_callable_inputs_work():
    net = layer(nn.Sequential, layer(nn.Embedding, 10, 4), layer(nn.Flatten), layer(nn.LazyLinear, integer(1, 3)))
    space = Space(net, example_input=lambda: torch.zeros(1, 5, dtype=torch.long))
    result = preflight(space, samples=30)
    assert result.ok
    assert (result.parameters.min, result.parameters.max) == (40 + 21, 40 + 63)


def test_a_space_without_example_input_is_an_error():
    with pytest.raises(SpaceError, match="example_input="):
        preflight(Space(layer(nn.Linear, 2, integer(1, 3))))


def test_costs_of_nasbench201_cells_lie_between_the_known_extremes():
    result = preflight(zoo.nasbench201(), samples=10)
    assert result.ok
    assert 73_306 <= result.parameters.min <= result.parameters.median <= result.parameters.max <= 1_531_546
    assert 15_566_080 <= result.flops.min <= result.flops.max <= 440_239_360


def test_costs_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(128, 5),
    )
    x = torch.zeros(1, 3, 4, 4)
    assert parameters(model) == 8 * 27 + 16 + 128 * 5 + 5
    assert flops(model, x) == 2 * (16 * 8 * 27 + 128 * 5)
    # The outputs of convolution and batch norm, and the logits; ReLU works in place, and Flatten returns a view.
    assert activation_memory(model, x) == 4 * (128 + 128 + 5)
    assert activation_memory(nn.Sequential(nn.Identity(), model), x) == activation_memory(model, x)
    assert flops(model, (x.repeat(2, 1, 1, 1),)) == 2 * flops(model, x)
    assert model.training


def test_measuring_does_not_change_batch_norm_statistics_and_modes():
    model = zoo.baselines.small_cnn()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert measure(model, torch.randn(2, 1, 8, 8)).parameters == 65_834
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert (model.training, model[1].training, model[1][0].training) == (True, False, False)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_preflight_of_one_architecture_reports_its_costs():
    space = Space(layer(nn.Linear, 3, integer(5, 5)), example_input=(3,))
    result = preflight(space, samples=1)
    model = space.sample(np.random.default_rng(0)).build()
    assert result.parameters.median == parameters(model) == 20
    assert result.flops.median == flops(model, torch.zeros(1, 3))
    assert result.activation_memory.median == 20


def test_the_text_has_units_that_people_read():
    space = Space(layer(nn.Sequential, layer(nn.Linear, 1000, 2000), layer(nn.ReLU)), example_input=(1000,))
    text = str(preflight(space, samples=2))
    assert [line.split() for line in text.splitlines()[3:7]] == [
        ["min", "median", "max"],
        ["parameters", *("2 M 2 M 2 M".split())],
        ["FLOPs", *("4 M 4 M 4 M".split())],
        ["activation", "memory", *("16 kB 16 kB 16 kB".split())],
    ]
