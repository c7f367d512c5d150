"""The policy of `reinforce`: a recurrent network that samples the labels of one decision after another.

Zoph and Le, "Neural Architecture Search with Reinforcement Learning" (ICLR 2017), section 3.1. The paper calls this network
the controller; in Ogive, the controller is a process. PyTorch is imported when the first `Policy` is created.

In shapes, n is the number of sampled architectures.
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

Actions = list[int | None]
"""For each decision, the index of the sampled part, in the order of the decisions; None for an inactive decision."""

MAX_PARTS = 50
"""A decision is divided into at most this many parts."""

INITIAL_BOUND = 0.08
"""The initial weights are uniform in (-INITIAL_BOUND, INITIAL_BOUND); the value is that of the paper."""


def count_parts(domain: Domain) -> int:
    """Return the number of equal parts that a decision is divided into for sampling: one per label, at most `MAX_PARTS`."""
    return int(min(domain.size, MAX_PARTS))


class Policy:
    """An LSTM with an output layer for each decision. The embedding of the sampled part is the next input.

    Args:
        parts: the number of parts of each decision.
        hidden: the width of the LSTM and of the embeddings.
        learning_rate: the learning rate of Adam.
        entropy: the weight of the entropy bonus.

    Raises:
        MissingExtra: PyTorch is not installed.
    """

    def __init__(self, parts: Sequence[int], hidden: int, learning_rate: float, entropy: float) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("torch", "torch", "the strategy 'reinforce'") from error
        self._torch = torch
        self._entropy = entropy
        # Row 0 of the embedding is the input of the first decision. The rows of the parts of each decision follow.
        first_rows = np.concatenate([[1], 1 + np.cumsum(parts)])
        self.first_rows = [int(row) for row in first_rows[:-1]]
        row_count = int(first_rows[-1])
        self._network: Any = torch.nn.ModuleDict(
            {
                "embedding": torch.nn.Embedding(row_count, hidden),
                "cell": torch.nn.LSTMCell(hidden, hidden),
                "heads": torch.nn.ModuleList(torch.nn.Linear(hidden, n) for n in parts),
            }
        )
        # The initial weights do not depend on the run, so that a continued search starts with the same policy.
        rng = generator(0, "controller")
        with torch.no_grad():
            for weights in self._network.parameters():
                weights.copy_(torch.from_numpy(rng.uniform(-INITIAL_BOUND, INITIAL_BOUND, tuple(weights.shape))))
        self._adam = torch.optim.Adam(self._network.parameters(), lr=learning_rate)
        self._hidden = hidden
        self._weights: dict[str, FloatArray] | None = None  # a cache of `weights`

    def start_sampler(self) -> Sampler:
        """Return a sampler for one architecture, which starts at the first decision."""
        return Sampler(self)

    def weights(self) -> dict[str, FloatArray]:
        """Return all weights by name."""
        if self._weights is None:
            self._weights = {name: w.double().numpy() for name, w in self._network.state_dict().items()}
        return self._weights

    def update(self, samples: Sequence[Actions], advantages: Sequence[float]) -> None:
        """Take one step of Adam along the policy gradient; `advantages` [n] are the rewards minus the baseline."""
        log_p, entropy = self._log_probabilities(samples)
        advantage = self._torch.tensor(advantages, dtype=log_p.dtype)
        # Section 3.2: the gradient of this loss is minus the mean of sum_t grad log P(a_t | a_(t-1:1)) (R - b).
        loss = -(advantage * log_p).mean() - self._entropy * entropy.mean()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._weights = None

    def compute_log_probability(self, actions: Actions) -> float:
        """Return the log probability of the actions of one architecture."""
        with self._torch.no_grad():
            return float(self._log_probabilities([actions])[0])

    def state(self) -> Any:
        """Return a copy of the weights and of the state of Adam."""
        return copy.deepcopy((self._network.state_dict(), self._adam.state_dict()))

    def load(self, state: Any) -> None:
        """Restore `state`, a value that the method `state` returned."""
        network, adam = copy.deepcopy(state)
        self._network.load_state_dict(network)
        self._adam.load_state_dict(adam)
        self._weights = None

    def _log_probabilities(self, samples: Sequence[Actions]) -> tuple[Any, Any]:
        """Return the log probabilities [n] and entropies [n] of n architectures, both summed over active decisions."""
        torch, network = self._torch, self._network
        n = len(samples)
        h = c = torch.zeros(n, self._hidden)
        rows = torch.zeros(n, dtype=torch.long)
        log_p, entropy = torch.zeros(n), torch.zeros(n)
        for index, first_row in enumerate(self.first_rows):
            actions_of_decision = [actions[index] for actions in samples]
            active = torch.tensor([action is not None for action in actions_of_decision])
            # An inactive decision gets the index 0, whose results `torch.where` replaces below.
            action_index = torch.tensor([action or 0 for action in actions_of_decision])
            new_h, new_c = network["cell"](network["embedding"](rows), (h, c))
            logs = network["heads"][index](new_h).log_softmax(dim=-1)
            log_p = log_p + torch.where(active, logs.gather(1, action_index[:, None])[:, 0], 0.0)
            entropy = entropy - torch.where(active, (logs.exp() * logs).sum(dim=-1), 0.0)
            # Where the decision is inactive, the state and the next input do not change.
            h, c = torch.where(active[:, None], new_h, h), torch.where(active[:, None], new_c, c)
            rows = torch.where(active, first_row + action_index, rows)
        return log_p, entropy


class Sampler:
    """The state of the LSTM while one architecture is sampled. It uses NumPy, which is faster than PyTorch for one row."""

    def __init__(self, policy: Policy) -> None:
        self._weights = policy.weights()
        self._first_rows = policy.first_rows
        self._h = self._c = np.zeros(self._weights["cell.weight_hh"].shape[1])
        self._row = 0

    def advance_to_decision(self, index: int) -> FloatArray:
        """Return the probabilities of the parts of the decision at `index`, given the parts of the decisions before it.

        This advances the LSTM, so it must be called once for each active decision, in order.
        """
        w = self._weights
        # An LSTM cell, as in `torch.nn.LSTMCell`: input gate, forget gate, cell candidate, output gate.
        x = w["embedding.weight"][self._row]
        gates = w["cell.weight_ih"] @ x + w["cell.bias_ih"] + w["cell.weight_hh"] @ self._h + w["cell.bias_hh"]
        i, f, g, o = np.split(gates, 4)
        self._c = expit(f) * self._c + expit(i) * np.tanh(g)
        self._h = expit(o) * np.tanh(self._c)
        return np.asarray(softmax(w[f"heads.{index}.weight"] @ self._h + w[f"heads.{index}.bias"]))

    def set_next_input(self, index: int, part: int) -> None:
        """Make the embedding of this part of the decision at `index` the next input."""
        self._row = self._first_rows[index] + part
