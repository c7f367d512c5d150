"""The supernet, compared with the standalone models of the same declaration."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ogive.zoo as zoo
from ogive.errors import SpaceError
from ogive.space import Space, integer, layer, one_of, real, repeat, some_of
from ogive.supernet import Mixture, relax


class Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def conv(kernel):
    return layer(nn.Sequential, layer(nn.Conv2d, 4, 4, kernel, padding="same"), layer(nn.BatchNorm2d, 4))


def chain():
    """A chain of choices; the alternative `residual` contains another choice, which is active only if it is chosen."""

    def position(i):
        inner = one_of(plain=conv(3), gated=layer(nn.Sequential, conv(1), layer(nn.Sigmoid)))
        return one_of(skip=layer(nn.Identity), conv=conv(5), residual=layer(Residual, inner))

    net = layer(
        nn.Sequential,
        layer(nn.Conv2d, 1, 4, 3),
        repeat(position, times=3),
        layer(nn.AdaptiveAvgPool2d, 1),
        layer(nn.Flatten),
        one_of(
            linear=layer(nn.LazyLinear, 5), deep=layer(nn.Sequential, layer(nn.LazyLinear, 8), layer(nn.LazyLinear, 5))
        ),
    )
    return Space(net, example_input=(1, 8, 8))


SPACES = {"chain": chain, "nasbench201": lambda: zoo.nasbench201(channels=4, cells=2, in_channels=1, image=8)}


def random_supernet(space):
    """A supernet with random parameters and buffers, in float64."""
    torch.manual_seed(0)
    supernet = relax(space).double()
    for parameter in supernet.net.parameters():
        parameter.data.uniform_(-0.5, 0.5)
    for name, buffer in supernet.net.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return supernet


def inputs():
    return torch.randn(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("training", [False, True])
def test_activated_and_extracted_architectures_have_equal_outputs_and_gradients(name, training):
    space = SPACES[name]()
    supernet = random_supernet(space).train(training)
    rng, x = np.random.default_rng(0), inputs()
    for _ in range(8):
        architecture = space.sample(rng)
        model = supernet.extract(architecture)
        standalone = architecture.build(seed=0).double()
        assert list(model.state_dict()) == list(standalone.state_dict())
        standalone.load_state_dict(model.state_dict())
        supernet.zero_grad()
        activated = supernet.activate(architecture)(x)
        outputs = model(x)
        torch.testing.assert_close(activated, outputs, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(standalone.train(training)(x), outputs, rtol=1e-6, atol=1e-6)
        activated.square().sum().backward()
        outputs.square().sum().backward()
        expected = sum(p.grad.square().sum() for p in model.parameters() if p.grad is not None)
        shared = sum(p.grad.square().sum() for p in supernet.net.parameters() if p.grad is not None)
        torch.testing.assert_close(shared, expected)


@pytest.mark.parametrize("name", SPACES)
def test_batch_norm_statistics_are_updated_as_in_the_standalone_model(name):
    space = SPACES[name]()
    supernet = random_supernet(space).train()
    architecture = space.sample(np.random.default_rng(3))
    model = supernet.extract(architecture)
    supernet.activate(architecture)(inputs())
    model(inputs())
    for after, shared in zip(
        model.state_dict().values(), supernet.extract(architecture).state_dict().values(), strict=True
    ):
        torch.testing.assert_close(after, shared)


@pytest.mark.parametrize("name", SPACES)
def test_a_mixture_with_one_hot_weights_is_a_single_path(name):
    space = SPACES[name]()
    supernet = random_supernet(space).eval()
    supernet.mixture = lambda alpha: nn.functional.one_hot(alpha.argmax(), len(alpha)).to(alpha)
    rng, x = np.random.default_rng(1), inputs()
    for _ in range(5):
        architecture = space.sample(rng)
        for decision, alpha in supernet.architecture_parameters().items():
            labels = next(d.domain.labels for d in space.decisions if d.name == decision)
            alpha.data = torch.tensor([float(label == architecture.get(decision)) for label in labels]).double()
        mixed = supernet.activate(None)(x)
        torch.testing.assert_close(mixed, supernet.activate(architecture)(x), rtol=1e-6, atol=1e-6)


def test_a_mixture_is_the_sum_weighted_by_softmax():
    space = Space(layer(nn.Sequential, one_of(a=layer(nn.Linear, 3, 2), b=layer(nn.Linear, 3, 2), name="op")))
    supernet = relax(space)
    x, alpha = torch.randn(4, 3), torch.tensor([0.3, -1.2])
    supernet.architecture_parameters()["op"].data.copy_(alpha)
    a, b = (supernet.activate(space.architecture({"op": label}))(x) for label in "ab")
    weight = alpha.exp() / alpha.exp().sum()
    torch.testing.assert_close(supernet.activate(None)(x), weight[0] * a + weight[1] * b)


@pytest.mark.parametrize("name", SPACES)
def test_decisions_have_architecture_parameters_with_gradients(name):
    space = SPACES[name]()
    supernet = random_supernet(space)
    alphas = supernet.architecture_parameters()
    assert list(alphas) == [decision.name for decision in space.decisions]
    assert [len(alpha) for alpha in alphas.values()] == [decision.domain.size for decision in space.decisions]
    weights = supernet.weight_parameters()
    assert len(list(supernet.parameters())) == len(alphas) + len(weights)
    supernet(inputs()).square().sum().backward()
    assert all(alpha.grad is not None and alpha.grad.abs().sum() > 0 for alpha in alphas.values())


def test_all_cells_of_nasbench201_share_their_decisions():
    supernet = relax(zoo.nasbench201(channels=2, cells=5))
    mixtures = [module for module in supernet.modules() if isinstance(module, Mixture)]
    assert len(mixtures) == 15 * 6
    assert len({id(mixture.decision) for mixture in mixtures}) == len(supernet.architecture_parameters()) == 6


def test_only_the_chosen_layers_are_evaluated():
    calls = []

    class Spy(nn.Identity):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            calls.append(self.name)
            return x

    positions = [
        one_of(name="op", **{label: layer(Spy, f"{label}{position}") for label in "abc"}) for position in range(2)
    ]
    space = Space(layer(nn.Sequential, *positions))
    supernet = relax(space)
    supernet.activate(space.architecture({"op": "b"}))(torch.zeros(1))
    assert calls == ["b0", "b1"]
    calls.clear()
    supernet.activate(None)(torch.zeros(1))
    assert calls == ["a0", "b0", "c0", "a1", "b1", "c1"]


def test_extracted_weights_are_a_copy():
    space = SPACES["chain"]()
    supernet = random_supernet(space)
    architecture = space.sample(np.random.default_rng(0))
    before = supernet.extract(architecture)
    for parameter in supernet.extract(architecture).parameters():
        parameter.data.zero_()
    for first, second in zip(before.parameters(), supernet.extract(architecture).parameters(), strict=True):
        assert torch.equal(first, second)


def test_a_supernet_can_be_copied_and_loaded_from_its_state():
    space = SPACES["nasbench201"]()
    supernet = random_supernet(space).eval()
    architecture = space.sample(np.random.default_rng(0))
    twin = copy.deepcopy(supernet)
    twin.architecture_parameters()["edge0"].data[3] += 5.0
    assert not torch.equal(twin(inputs()), supernet(inputs()))
    fresh = relax(space).double().eval()
    fresh.load_state_dict(supernet.state_dict())
    torch.testing.assert_close(fresh(inputs()), supernet(inputs()))
    torch.testing.assert_close(fresh.activate(architecture)(inputs()), supernet.activate(architecture)(inputs()))


def test_lazy_layers_of_all_alternatives_are_materialized():
    supernet = relax(SPACES["chain"]())
    assert not any(nn.parameter.is_lazy(parameter) for parameter in supernet.parameters())


def test_tied_weights_stay_tied_when_extracted():
    class Tied(nn.Module):
        def __init__(self, body):
            super().__init__()
            self.first = body
            self.second = body

        def forward(self, x):
            return self.second(self.first(x))

    space = Space(layer(Tied, one_of(a=layer(nn.Linear, 3, 3), b=layer(nn.Identity))), example_input=(3,))
    supernet = relax(space).double()
    architecture = space.architecture({space.decisions[0].name: "a"})
    model = supernet.extract(architecture)
    assert model.first.weight is model.second.weight
    x = torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(model(x), supernet.activate(architecture)(x))


def test_a_decision_inside_its_own_alternative_needs_no_mixture():
    inner = one_of(a=layer(nn.Linear, 2, 2), b=layer(nn.Identity), name="op")
    space = Space(one_of(a=layer(nn.Sequential, inner), b=layer(nn.Identity), name="op"))
    supernet = relax(space)
    assert sum(isinstance(module, Mixture) for module in supernet.modules()) == 1
    architecture = space.architecture({"op": "a"})
    torch.testing.assert_close(
        supernet.activate(architecture)(torch.ones(2)), supernet.extract(architecture)(torch.ones(2))
    )


ELASTIC = {
    "one_of values": (
        layer(nn.Linear, 3, one_of(4, 8, name="width")),
        r"'width' at 'out_features' chooses between values",
    ),
    "integer": (layer(nn.Linear, 3, integer(1, 8)), r"'out_features' at 'out_features' chooses between values"),
    "real": (layer(nn.Dropout, real(0.1, 0.5, name="rate")), r"'rate' at 'p' chooses between values"),
    "derived": (layer(nn.Linear, 3, 2 * integer(1, 8, name="w")), r"'w' at .* chooses between values.*elastic layer"),
    "some_of": (layer(nn.ModuleList, some_of(1, a=layer(nn.Identity), b=layer(nn.ReLU), name="ops")), r"'ops'"),
    "open repeat": (
        layer(nn.Sequential, repeat(layer(nn.ReLU), times=integer(1, 3, name="depth"))),
        r"repeat at '.*' has an open number of times, the decision 'depth': .*elastic layer",
    ),
    "open repeat of one_of": (
        layer(nn.Sequential, repeat(layer(nn.ReLU), times=one_of(1, 3, name="depth"))),
        r"repeat at '.*' has an open number of times, the decision 'depth'",
    ),
    "none": (
        layer(nn.Sequential, one_of(none=None, relu=layer(nn.ReLU))),
        r"alternative 'none' .* is None.*nn.Identity",
    ),
}


@pytest.mark.parametrize("case", ELASTIC)
def test_a_choice_between_values_needs_an_elastic_layer(case):
    expression, message = ELASTIC[case]
    with pytest.raises(SpaceError, match=message):
        relax(Space(expression))


def test_alternatives_with_different_output_shapes_are_errors():
    supernet = relax(Space(one_of(a=layer(nn.Linear, 3, 2), b=layer(nn.Linear, 3, 1), name="op")))
    with pytest.raises(SpaceError, match=r"alternative 'b' of 'op' .* \[4, 1\].* \[4, 2\]"):
        supernet(torch.zeros(4, 3))


def test_a_mixture_called_outside_of_its_supernet_is_an_error():
    supernet = relax(Space(one_of(a=layer(nn.ReLU), b=layer(nn.Identity))))
    with pytest.raises(SpaceError, match="outside of its supernet"):
        supernet.net(torch.zeros(1))


def test_an_architecture_of_another_space_is_an_error():
    supernet = relax(SPACES["nasbench201"]())
    other = zoo.chain().sample(np.random.default_rng(0))
    for use in (supernet.activate, supernet.extract):
        with pytest.raises(SpaceError, match="does not belong to the space of this supernet"):
            use(other)


def test_a_layer_that_inspects_its_arguments_is_an_error():
    def peek(module):
        return module if isinstance(module, nn.Linear) else nn.Sequential(module, nn.Linear(2, 2))

    space = Space(layer(peek, one_of(a=layer(nn.Linear, 2, 2), b=layer(nn.Identity), name="op")))
    supernet = relax(space)
    with pytest.raises(SpaceError, match="treats a mixture of layers differently from a single layer"):
        supernet.extract(space.architecture({"op": "a"}))
