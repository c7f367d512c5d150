"""Building with PyTorch: seeds, lazy layers, and the random state, which is restored."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from ogive import space as og
from ogive.errors import SpaceError


def lazy(example_input: Any = (1, 8, 8)) -> og.Space:
    convolution = og.layer(nn.LazyConv2d, og.one_of(2, 4, name="width"), 3)
    tail = og.layer(nn.BatchNorm2d, og.one_of(2, 4, name="width")), og.layer(nn.Dropout, 0.5), og.layer(nn.Flatten)
    return og.Space(
        og.layer(nn.Sequential, convolution, *tail, og.layer(nn.LazyLinear, 3)), example_input=example_input
    )


def weights(space: og.Space, seed: int | None) -> torch.Tensor:
    model = space.architecture({"width": 4}).build(seed=seed)
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_lazy_layers_get_shapes_and_nothing_else_changes() -> None:
    model = lazy().architecture({"width": 4}).build(seed=0)
    assert type(model[0]) is nn.Conv2d
    assert model[0].weight.shape == (4, 1, 3, 3)
    assert model[-1].weight.shape == (3, 4 * 6 * 6)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert model[1].num_batches_tracked == 0


def test_the_seed_determines_the_weights_and_the_random_state_is_restored() -> None:
    space = lazy()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = weights(space, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    assert torch.equal(weights(space, seed=1), first)
    assert not torch.equal(weights(space, seed=2), first)
    assert not torch.equal(weights(space, seed=None), weights(space, seed=None))


def test_the_random_state_is_restored_when_building_fails() -> None:
    def fails() -> None:
        torch.rand(1)
        raise ValueError("no")

    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="no"):
        next(og.Space(og.layer(fails)).grid()).build(seed=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_seed_determines_the_weights_when_a_factory_imports_torch() -> None:
    script = """
import sys
from ogive import space as og

def linear():
    import torch
    return torch.nn.Linear(2, 2)

assert "torch" not in sys.modules
architecture = next(og.Space(og.layer(linear)).grid())
first, second = (architecture.build(seed=3).weight for _ in range(2))
assert first.equal(second), (first, second)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_function_can_make_the_inputs() -> None:
    assert torch.equal(weights(lazy(lambda: torch.ones(5, 1, 8, 8)), seed=0), weights(lazy(), seed=0))
    assert torch.equal(weights(lazy(lambda: (torch.ones(5, 1, 8, 8),)), seed=0), weights(lazy(), seed=0))


@pytest.mark.parametrize(
    ("example_input", "width"), [(torch.ones(5, 7), 7), ([7], 7), (lambda: torch.ones(5, 7), 7), ((), 1)]
)
def test_an_example_input_for_a_build_replaces_that_of_the_space(example_input: Any, width: int) -> None:
    space = og.Space(og.layer(nn.LazyLinear, og.one_of(2, 4, name="width")), example_input=(3,))
    architecture = space.architecture({"width": 4})
    assert architecture.build(example_input=example_input).in_features == width
    assert architecture.build().in_features == 3
    with pytest.raises(SpaceError, match="must be the shape of one input"):
        architecture.build(example_input=(1.5,))


def test_lazy_layers_without_an_example_input_raise() -> None:
    with pytest.raises(SpaceError, match=r"the lazy layer '0' needs Space\(..., example_input=...\)"):
        weights(lazy(example_input=None), seed=0)


def test_two_builds_share_no_weights() -> None:
    first, second = (lazy().architecture({"width": 2}).build(seed=0) for _ in range(2))
    assert not {p.data_ptr() for p in first.parameters()} & {p.data_ptr() for p in second.parameters()}
