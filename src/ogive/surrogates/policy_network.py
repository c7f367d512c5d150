"""The controller of `reinforce`: a recurrent network that samples one decision after another.

Zoph and Le (ICLR 2017), section 3.1. PyTorch is loaded when a `Policy` is made, and by nothing before.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from ogive.arrays import FloatArray
from ogive.errors import MissingExtra
from ogive.seeds import generator
from ogive.space.domain import Domain

Sample = list[int | None]
"""For each decision which of its parts was sampled; None where it is not active."""

MOST_PARTS = 50
"""The largest number of alternatives of one decision between which the controller tells a difference."""

INITIAL = 0.08
"""Weights are drawn from (-INITIAL, INITIAL), as in the paper."""


def parts(domain: Domain) -> int:
    """In how many parts of equal size a decision is sampled: its labels, where these are not too many."""
    return int(min(domain.size, MOST_PARTS))


class Policy:
    """An LSTM; each decision has an output layer, and each of its parts an embedding that is the next input.

    Args:
        parts: of each decision.
        hidden: width of the LSTM and of the embeddings.
        learning_rate: of Adam.
        entropy: weight of the mean entropy of the sampled decisions.
    """

    def __init__(self, parts: Sequence[int], hidden: int, learning_rate: float, entropy: float) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("torch", "torch", "the strategy 'reinforce'") from error
        self._torch = torch
        self._entropy = entropy
        first = np.concatenate([[1], 1 + np.cumsum(parts)])  # row 0 is the first input
        self.first = [int(row) for row in first[:-1]]
        self._network: Any = torch.nn.ModuleDict(
            {
                "embedding": torch.nn.Embedding(int(first[-1]), hidden),
                "cell": torch.nn.LSTMCell(hidden, hidden),
                "heads": torch.nn.ModuleList(torch.nn.Linear(hidden, n) for n in parts),
            }
        )
        rng = generator(0, "controller")
        with torch.no_grad():
            for weights in self._network.parameters():
                weights.copy_(torch.from_numpy(rng.uniform(-INITIAL, INITIAL, tuple(weights.shape))))
        self._adam = torch.optim.Adam(self._network.parameters(), lr=learning_rate)
        self._hidden = hidden
        self._weights: dict[str, FloatArray] | None = None  # a cache

    def walk(self) -> Walk:
        """The way through the decisions of one architecture."""
        return Walk(self)

    def weights(self) -> dict[str, FloatArray]:
        """All weights by name."""
        if self._weights is None:
            self._weights = {name: w.double().numpy() for name, w in self._network.state_dict().items()}
        return self._weights

    def update(self, samples: Sequence[Sample], gains: Sequence[float]) -> None:
        """One step of Adam along the policy gradient: `gains` are rewards less the baseline."""
        log_p, entropy = self._log_probabilities(samples)
        gain = self._torch.tensor(gains, dtype=log_p.dtype)
        loss = -(gain * log_p).mean() - self._entropy * entropy.mean()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._weights = None

    def log_probability(self, sample: Sample) -> float:
        """Of one architecture."""
        with self._torch.no_grad():
            return float(self._log_probabilities([sample])[0])

    def state(self) -> Any:
        """A copy of all that is learned."""
        return copy.deepcopy((self._network.state_dict(), self._adam.state_dict()))

    def load(self, state: Any) -> None:
        """Go back to what `state` returned."""
        network, adam = copy.deepcopy(state)
        self._network.load_state_dict(network)
        self._adam.load_state_dict(adam)
        self._weights = None

    def _log_probabilities(self, samples: Sequence[Sample]) -> tuple[Any, Any]:
        """[n] samples -> [n] log probabilities and [n] entropies, both summed over active decisions."""
        torch, network = self._torch, self._network
        n = len(samples)
        h = c = torch.zeros(n, self._hidden)
        rows = torch.zeros(n, dtype=torch.long)
        log_p, entropy = torch.zeros(n), torch.zeros(n)
        for number, first in enumerate(self.first):
            taken = [sample[number] for sample in samples]
            active = torch.tensor([action is not None for action in taken])
            actions = torch.tensor([action or 0 for action in taken])
            new_h, new_c = network["cell"](network["embedding"](rows), (h, c))
            logs = network["heads"][number](new_h).log_softmax(dim=-1)
            log_p = log_p + torch.where(active, logs.gather(1, actions[:, None])[:, 0], 0.0)
            entropy = entropy - torch.where(active, (logs.exp() * logs).sum(dim=-1), 0.0)
            h, c = torch.where(active[:, None], new_h, h), torch.where(active[:, None], new_c, c)
            rows = torch.where(active, first + actions, rows)
        return log_p, entropy


class Walk:
    """The state of the LSTM while one architecture is sampled; in NumPy, which is quicker for one row."""

    def __init__(self, policy: Policy) -> None:
        self._weights = policy.weights()
        self._first = policy.first
        self._h = self._c = np.zeros(self._weights["cell.weight_hh"].shape[1])
        self._row = 0

    def probabilities(self, number: int) -> FloatArray:
        """Of the parts of decision `number`, given what was taken before."""
        w = self._weights
        x = w["embedding.weight"][self._row]
        gates = w["cell.weight_ih"] @ x + w["cell.bias_ih"] + w["cell.weight_hh"] @ self._h + w["cell.bias_hh"]
        i, f, g, o = np.split(gates, 4)
        self._c = expit(f) * self._c + expit(i) * np.tanh(g)
        self._h = expit(o) * np.tanh(self._c)
        return np.asarray(softmax(w[f"heads.{number}.weight"] @ self._h + w[f"heads.{number}.bias"]))

    def take(self, number: int, part: int) -> None:
        """Go on with this part of decision `number`."""
        self._row = self._first[number] + part
