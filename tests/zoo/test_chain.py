"""The chain, the baseline, and lazy imports."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import ogive.zoo as zoo
from ogive.hardware import parameters


def test_the_chain_has_9324_architectures():
    space = zoo.chain()
    assert space.size() == 6**2 + 6**3 + 6**4 + 6**5 == 9_324
    assert len({architecture.id for architecture in space.grid()}) == 9_324


def test_the_model_of_a_chain_has_the_layers_of_its_architecture():
    space = zoo.chain()
    choices = {"depth": 3, "channels0": 16, "channels1": 64, "channels2": 32, "kernel0": 5, "kernel1": 3, "kernel2": 5}
    model = space.architecture(choices).build()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions] == [
        (1, 16, 5),
        (16, 64, 3),
        (64, 32, 5),
    ]
    expected = 16 * 25 + 64 * 16 * 9 + 32 * 64 * 25 + 2 * (16 + 64 + 32) + 32 * 10 + 10
    assert parameters(model) == expected
    assert model.blocks(torch.zeros(2, 1, 8, 8)).shape == (2, 32, 4, 4)


@pytest.mark.parametrize("side", [1, 5, 8, 28])
def test_chains_accept_images_of_any_size(side):
    space = zoo.chain(channels=(2, 4), kernels=(3, 5), depth=(1, 3), classes=7, in_channels=3, image=side)
    rng = np.random.default_rng(0)
    for _ in range(20):
        model = space.sample(rng).build().eval()
        assert model(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_an_even_kernel_is_an_error():
    with pytest.raises(ValueError, match="odd kernel"):
        zoo.chain(kernels=(2,)).sample(np.random.default_rng(0)).build()


def test_the_baseline_accepts_digits():
    model = zoo.baselines.small_cnn()
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert parameters(model) == 65_834


def test_importing_the_packages_does_not_import_torch():
    program = (
        "import sys, ogive.zoo, ogive.hardware, ogive.supernet;"
        "assert 'torch' not in sys.modules; ogive.zoo.chain(); assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("package", ["zoo", "hardware", "supernet"])
def test_every_public_name_can_be_imported(package):
    module = __import__(f"ogive.{package}", fromlist=["__all__"])
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing
