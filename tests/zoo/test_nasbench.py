"""NAS-Bench-201, compared with published tables and the numbers in its paper."""

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ogive.zoo as zoo
from ogive.errors import SpaceError
from ogive.hardware import measure, parameters

# architecture, mflops and mparams on CIFAR-10, of the 725 cells that NAS-Bench-Suite-Zero publishes.
PUBLISHED = Path(__file__).parent / "data" / "nasbench201_published_costs.csv.gz"


@pytest.fixture(scope="module")
def space():
    return zoo.nasbench201()


@pytest.fixture(scope="module")
def published():
    with gzip.open(PUBLISHED, "rt") as file:
        return list(csv.DictReader(file))


def test_the_numbers_of_architectures_are_those_of_the_paper(space):
    architectures = list(space.grid())
    assert space.size() == len(architectures) == 15_625
    assert len({architecture.id for architecture in architectures}) == 6_466


def test_cells_of_one_id_compute_the_same_function(space):
    def value(architecture):  # the cell as a function of a number, for arbitrary functions with f(0) = 0
        functions = {
            "none": lambda x: 0.0,
            "skip_connect": lambda x: x,
            "nor_conv_1x1": math.sin,
            "nor_conv_3x3": lambda x: x * math.sqrt(1 + x * x),
            "avg_pool_3x3": lambda x: x / 3,
        }
        f = [functions[architecture[f"edge{e}"]] for e in range(6)]
        node1 = f[0](1.0)
        node2 = f[1](1.0) + f[2](node1)
        return round(f[3](1.0) + f[4](node1) + f[5](node2), 9)

    values = {}
    for architecture in space.grid():
        values.setdefault(architecture.id, set()).add(value(architecture))
    assert all(len(distinct) == 1 for distinct in values.values())


def test_strings_are_the_published_names(space, published):
    for row in published:
        architecture = space.architecture(zoo.nasbench201_choices(row["architecture"]))
        assert zoo.nasbench201_string(architecture) == row["architecture"]
    text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
    edges = ["nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "none"]
    assert zoo.nasbench201_choices(text) == {f"edge{e}": operation for e, operation in enumerate(edges)}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "|none~0|+|none~0|none~1|",
        "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "x|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_an_invalid_name_is_an_error(wrong):
    with pytest.raises(SpaceError, match="is not the name of a NAS-Bench-201 cell"):
        zoo.nasbench201_choices(wrong)


def test_parameters_equal_the_published_ones_for_all_cells(space, published):
    assert len(published) == 725
    for row in published:
        with torch.device("meta"):
            model = space.architecture(zoo.nasbench201_choices(row["architecture"])).build()
        assert parameters(model) == round(float(row["mparams"]) * 1e6), row["architecture"]


def test_flops_equal_the_published_ones(space, published):
    for row in published[::50]:
        with torch.device("meta"):
            model = space.architecture(zoo.nasbench201_choices(row["architecture"])).build()
            assert published_flops(model) == round(float(row["mflops"]) * 1e6), row["architecture"]


def published_flops(model):
    """Return FLOPs by the formula of the published `mflops`, which counts more operations than PyTorch's counter."""
    total = 64 * 10 + 64 * (8 + 1) ** 2  # the classifier, and global pooling as counted by the authors

    def count(module, args, output):
        nonlocal total
        match module:
            case nn.Conv2d():
                total += output.numel() * module.weight[0].numel()
            case nn.BatchNorm2d():
                total += 2 * output.numel()
            case nn.ReLU():
                total += output.numel()
            case nn.AvgPool2d():
                total += (9 if module.kernel_size == 3 else 4) * output.numel()

    for module in model.modules():
        module.register_forward_hook(count)
    model.eval()(torch.zeros(1, 3, 32, 32))
    return total


@pytest.mark.parametrize(
    ("operation", "parameters", "flops"),
    [("nor_conv_3x3", 1_531_546, 440_239_360), ("skip_connect", 73_306, 15_566_080), ("none", 73_306, 15_566_080)],
)
def test_costs_of_single_operation_cells(space, operation, parameters, flops):
    with torch.device("meta"):
        model = space.architecture({f"edge{e}": operation for e in range(6)}).build()
        cost = measure(model, torch.zeros(1, 3, 32, 32))
    assert (cost.parameters, cost.flops) == (parameters, flops)


def test_a_node_is_the_sum_of_operations_on_all_earlier_nodes():
    space = zoo.nasbench201(channels=4, cells=1)
    edges = ["skip_connect", "none", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "skip_connect"]
    model = space.architecture({f"edge{e}": operation for e, operation in enumerate(edges)}).build(seed=0).eval()
    cell = model[1]
    x = torch.randn(2, 4, 8, 8)
    pooled = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    with torch.no_grad():
        assert torch.allclose(cell(x), x + cell.edges[4](x) + pooled)


def test_every_parameter_of_a_connected_cell_has_a_gradient():
    space = zoo.nasbench201(channels=4, cells=1, image=16)
    model = space.architecture({f"edge{e}": "nor_conv_3x3" for e in range(6)}).build(seed=0)
    model(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_widths_and_depth_are_options():
    space = zoo.nasbench201(channels=2, cells=2, classes=3, in_channels=1, image=8)
    model = space.sample(np.random.default_rng(0)).build()
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 3)
    with pytest.raises(SpaceError, match="multiple of 4"):
        zoo.nasbench201(image=10)
