"""A recurrent controller that is trained by REINFORCE. The one strategy that needs PyTorch, which its constructor loads.

Zoph and Le, "Neural Architecture Search with Reinforcement Learning" (ICLR 2017), section 3.2: the controller samples one
decision after another, and the policy gradient is the mean over m architectures of
sum_t grad log P(a_t | a_(t-1:1)) (R - b), b an exponential moving average of rewards. The entropy bonus is that of Mnih et
al. (2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import share, whole
from ogive.space import Architecture, Space
from ogive.space.domain import Label
from ogive.strategy.base import Strategy
from ogive.strategy.observations import CAUSED
from ogive.strategy.ranking import ranked
from ogive.surrogates.policy_network import Policy, Sample, parts
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'reinforce'"

TRIES = 20
"""Architectures that are sampled until the space's constraint allows one; then one is drawn uniformly."""

KEPT, EVERY = 20, 50
"""The controller is kept after each of the last batches, and after every so many earlier ones, to go back to."""


class Reinforce(Strategy):
    """Sample from a controller, and make more probable what was better than expected.

    Options:
        hidden: width of the LSTM and of the embeddings.
        batch: m, architectures in an update.
        learning_rate: of Adam.
        entropy: weight of the entropy of the sampled decisions, which keeps the controller from settling too early.
        baseline_decay: share of the old baseline in the new one.
        window: a reward is the share of the last so many trials that a trial is better than (ties count half); at least
            a batch.

    So rewards have the same scale whatever the metric is, and several objectives and constraints need no weights: trials are
    ordered as by `ogive.objective.rank`. (The paper takes the accuracy itself.) A trial that fails by what it is has reward
    0. Numbers, and subsets of many labels, are sampled in up to 50 parts of equal size, and evenly within a part. What
    another strategy proposed, or a wrapper drew instead of a duplicate, is compared with, but not learned from.

    Raises:
        MissingExtra: PyTorch is not installed.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        hidden: int = 32,
        batch: int = 5,
        learning_rate: float = 0.01,
        entropy: float = 0.01,
        baseline_decay: float = 0.9,
        window: int = 100,
    ) -> None:
        super().__init__(space, objectives, constraints)
        self.batch = whole(NAME, "batch", batch, at_least=1)
        self.window = max(self.batch, whole(NAME, "window", window, at_least=2))
        self.baseline_decay = share(NAME, "baseline_decay", baseline_decay)
        for option, value in (("learning_rate", learning_rate), ("entropy", entropy)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
                raise JobError(f"{NAME}: {option} is {value!r}, but must be a finite number of at least 0")
        self._parts = [parts(decision.domain) for decision in space.decisions]
        hidden = whole(NAME, "hidden", hidden, at_least=1)
        self._policy = Policy(self._parts, hidden, float(learning_rate), float(entropy))
        self._order: dict[TrialId, Trial] = {}  # all with a value or a failure of their own, in the order of joining
        self._place: dict[TrialId, int] = {}
        self._rewarded: list[list[float]] = []  # the rewards of each batch that was learned from
        self._baseline: float | None = None
        self._kept = {0: _Kept(self._policy.state(), None)}  # the controller after so many batches

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        for _ in range(TRIES):
            architecture, actions = self._sample(rng)
            if self.space.violation(architecture) is None:
                return Proposal(architecture, note={"origin": "controller", "actions": actions})
        return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "none is allowed"})

    def tell(self, trial: Trial) -> None:
        known = self._place.get(trial.id)
        joins = trial.status in CAUSED or (bool(trial.reports) and not trial.status.failed)
        if joins:
            self._place.setdefault(trial.id, len(self._order))
            self._order[trial.id] = trial
            if known is not None:
                self._learn_anew(known)
        elif known is not None:
            del self._order[trial.id]
            self._place = {number: place for place, number in enumerate(self._order)}
            self._go_back(known // self.batch)
        self._learn()

    def probability(self, architecture: Architecture) -> float:
        """With which the controller samples this architecture now; of a part of equal size for a number.

        Raises:
            JobError: its parts are not known: it has a number or a subset of more than 50 values.
        """
        sample: Sample = []
        for decision, n in zip(self.space.decisions, self._parts, strict=True):
            if decision.name not in architecture:
                sample.append(None)
                continue
            labels = [decision.domain.pick((k + 0.5) / n) for k in range(n)]
            if n != decision.domain.size:
                raise JobError(f"{NAME}: decision {decision.name!r} is sampled in {n} parts")
            sample.append(labels.index(architecture[decision.name]))
        return float(np.exp(self._policy.log_probability(sample)))

    def _sample(self, rng: np.random.Generator) -> tuple[Architecture, Sample]:
        choices: dict[str, Label] = {}
        actions: Sample = []
        walk = self._policy.walk()
        for number, decision in enumerate(self.space.decisions):
            if not decision.active(choices):
                actions.append(None)
                continue
            p = walk.probabilities(number)
            action = min(int(np.searchsorted(np.cumsum(p), rng.random() * p.sum(), "right")), len(p) - 1)
            walk.take(number, action)
            actions.append(action)
            choices[decision.name] = decision.domain.pick((action + min(rng.random(), 1 - 1e-9)) / len(p))
        return Architecture(self.space, choices), actions

    def _learn(self) -> None:
        """Update the controller with every batch that is full."""
        while (len(self._rewarded) + 1) * self.batch <= len(self._order):
            order = list(self._order.values())
            first = len(self._rewarded) * self.batch
            rewards = self._rewards(order, len(self._rewarded))
            samples, gains = [], []
            for trial, reward in zip(order[first : first + self.batch], rewards, strict=True):
                sample = self._actions(trial)
                if sample is None:
                    continue
                baseline = reward if self._baseline is None else self._baseline
                samples.append(sample)
                gains.append(reward - baseline)
                self._baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * reward
            if samples:
                self._policy.update(samples, gains)
            self._rewarded.append(rewards)
            self._keep()

    def _learn_anew(self, place: int) -> None:
        """Go back to the first batch that the trial at this place, told again, gives other rewards; mostly there is none,
        since trials are compared where all of them have been.
        """
        order = list(self._order.values())
        beside = range(place // self.batch, min(len(self._rewarded), (place + self.window) // self.batch))
        changed = (batch for batch in beside if self._rewards(order, batch) != self._rewarded[batch])
        self._go_back(next(changed, len(self._rewarded)))

    def _rewards(self, order: Sequence[Trial], batch: int) -> list[float]:
        """Of a batch, from 0 to 1: the share of the other trials of its window that each is better than."""
        last = (batch + 1) * self.batch
        trials = order[max(0, last - self.window) : last]
        valued = ranked([trial for trial in trials if not trial.status.failed], self.objectives, self.constraints)
        rewards = {trial.id: 0.0 for trial in trials}
        ranks = np.array([rank for rank, _ in valued])
        failed = len(trials) - len(valued)
        for rank, trial in valued:
            worse = failed + (ranks > rank).sum() + 0.5 * ((ranks == rank).sum() - 1)
            rewards[trial.id] = float(worse) / max(1, len(trials) - 1)
        return [rewards[trial.id] for trial in order[last - self.batch : last]]

    def _actions(self, trial: Trial) -> Sample | None:
        """What the controller had sampled of it; None where it was not the controller."""
        actions = trial.proposal.note.get("actions")
        return list(actions) if isinstance(actions, list) and len(actions) == len(self._parts) else None

    def _keep(self) -> None:
        self._kept[len(self._rewarded)] = _Kept(self._policy.state(), self._baseline)
        old = len(self._rewarded) - KEPT
        if old % EVERY and old in self._kept:
            del self._kept[old]

    def _go_back(self, batches: int) -> None:
        """To the controller before batch number `batches`, or earlier: what follows is learned again."""
        if batches >= len(self._rewarded):
            return
        del self._rewarded[max(number for number in self._kept if number <= batches) :]
        self._kept = {number: kept for number, kept in self._kept.items() if number <= len(self._rewarded)}
        kept = self._kept[len(self._rewarded)]
        self._policy.load(kept.state)
        self._baseline = kept.baseline


@dataclass(frozen=True)
class _Kept:
    state: Any
    baseline: float | None
