"""Networks of a user's module: some can be traced, some can only be exported as source, and some not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

import ogive as og
from ogive.zoo.layers import ConvBlock

FACTORS = {"one": 1.0}
FACTORS["two"] = 2.0


class Mode(Enum):
    PLAIN = "plain"


@dataclass(frozen=True)
class Config:
    width: int
    activation: type[nn.Module] = nn.ReLU


def factor(name: str) -> float:
    return FACTORS[name]


class Branch(nn.Module):
    """A data-dependent branch, which cannot be traced."""

    def __init__(self, config: Config, mode: Mode, tail: list[nn.Module]) -> None:
        super().__init__()
        if config.width > 100:
            raise og.Infeasible("too wide")
        self.lazy = nn.LazyLinear(config.width)
        self.conv = ConvBlock(1, 2)
        self.tail = nn.Sequential(config.activation(), *tail)
        self.mode = mode

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.lazy(x)
        if x.sum() > 0 and self.mode is Mode.PLAIN:
            return {"y": self.tail(y) * factor("two")}
        return {"y": self.tail(y)}


class Meta(nn.Module):
    """An attribute with the name of one of torch.fx: it can be traced, but its program cannot be loaded."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.meta = nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.meta(x)
        return y


class Text(nn.Module):
    """Token ids and features in, a dict out; the embedding is shared with the output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, width)
        self.features = nn.Linear(3, width)
        self.words = nn.Linear(width, 50, bias=False)
        self.words.weight = self.tokens.weight

    def forward(self, tokens: Tensor, features: Tensor) -> dict[str, object]:
        y = self.tokens(tokens).mean(1) + self.features(features)
        return {"scores": self.words(y), "hidden": (y, y.sum(-1))}


class Nested(nn.Module):
    """A dict as the only argument."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, width)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        y: Tensor = self.linear(batch["x"]) * batch["scale"]
        return y


class Disagrees(nn.Module):
    """Computes another function while it is traced."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return 2 * y if torch.compiler.is_compiling() else y


class Clock(Disagrees):
    """An output that depends on the time."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y * (time.perf_counter_ns() % 1_000_003)


class Fixed(Disagrees):
    """An output that depends on the batch size, which torch.export treats as a constant."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y + 1 if x.shape[0] > 3 else y


class Unkept(nn.Module):
    """Random weights that its state dict does not contain."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = torch.randn(4, width)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return x
        return x @ self.projection


def branch() -> og.Space:
    tail = [og.repeat(og.one_of(og.layer(nn.Tanh), og.layer(nn.Dropout, 0.5)), og.one_of(1, 2))]
    return og.Space(og.layer(Branch, Config(5), Mode.PLAIN, tail), example_input=(4,))


class OfBatch(nn.Module):
    """A dict as the argument, with the keys of two inputs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(4, width)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        y: Tensor = self.inner(batch["a"]) - self.inner(batch["b"])
        return y


class Branching(Disagrees):
    """A data-dependent branch, and an argument of any kind."""

    def __init__(self, width: int, extra: object = None) -> None:
        super().__init__(width)
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y if x.sum() > 0 else -y


class Talkative(Branching):
    """Prints the shape of its input; has complex outputs, and outputs that are not finite."""

    def forward(self, x: Tensor) -> Any:
        print("given", list(x.shape))
        y = super().forward(x)
        return {"complex": torch.complex(y, 2 * y).conj(), "bounds": torch.stack([y / 0, 0 * y], -1)}
