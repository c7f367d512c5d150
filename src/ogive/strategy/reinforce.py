"""REINFORCE: a recurrent policy that is trained by policy gradients. The constructor of the strategy imports PyTorch.

Zoph and Le, "Neural Architecture Search with Reinforcement Learning" (ICLR 2017), section 3.2: the policy (the "controller"
of the paper) samples one decision after another. Its update follows the policy gradient, the mean over m architectures of

    sum_t grad log P(a_t | a_(t-1:1)) (R - b)

where b is an exponential moving average of earlier rewards. The entropy bonus is that of Mnih et al., "Asynchronous methods
for deep reinforcement learning" (ICML 2016).

Symbols of the paper: m architectures of a batch, a_t the action at decision t, R reward, b baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.registry import check_share, check_whole_number
from ogive.space import Architecture, Space
from ogive.space.domain import Label
from ogive.strategy.base import Strategy
from ogive.strategy.observations import CAUSED_BY_ARCHITECTURE
from ogive.strategy.ranking import rank_trials
from ogive.surrogates.policy_network import Actions, Policy, count_parts
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

NAME = "strategy 'reinforce'"

MAX_TRIES = 20
"""The policy samples at most this many architectures until the space's constraint allows one. If it allows none, an
architecture is sampled from the space."""

RECENT_SNAPSHOTS, SNAPSHOT_INTERVAL = 20, 50
"""Snapshots of the policy are kept for each of the 20 most recent batches, and for every 50th of the earlier batches."""


class Reinforce(Strategy):
    """Samples architectures from a policy, and increases the probability of those that were better than expected.

    Options:
        hidden: the width of the LSTM and of the embeddings.
        batch: m, the number of architectures of an update.
        learning_rate: the learning rate of Adam.
        entropy: the weight of the entropy bonus, which keeps the policy from converging too early.
        baseline_decay: the weight of the previous baseline in the moving average.
        window: the number of latest trials that a trial is compared with to compute its reward; raised to `batch` if lower.

    The reward of a trial is the share of the other trials in the window that it is better than; ties count half. (The
    paper's reward is the accuracy.) So rewards have the same scale for every metric, and several objectives and constraints
    need no weights: trials are ordered as in `ogive.objective.rank_costs`. A trial that failed because of its architecture
    has reward 0.

    The range of a number, and the subsets of many labels, are divided into up to 50 parts of equal size. The policy samples
    a part; within the part, the value is uniform. Trials of another strategy, or of a wrapper that replaced a duplicate,
    count in the window, but the policy does not learn from them.

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
        self.batch = check_whole_number(NAME, "batch", batch, at_least=1)
        self.window = max(self.batch, check_whole_number(NAME, "window", window, at_least=2))
        self.baseline_decay = check_share(NAME, "baseline_decay", baseline_decay)
        for option, value in (("learning_rate", learning_rate), ("entropy", entropy)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
                raise JobError(f"{NAME}: {option} is {value!r}, but must be a finite number of at least 0")
        self._part_counts = [count_parts(decision.domain) for decision in space.decisions]
        hidden = check_whole_number(NAME, "hidden", hidden, at_least=1)
        self._policy = Policy(self._part_counts, hidden, float(learning_rate), float(entropy))
        self._history: dict[TrialId, Trial] = {}  # trials that have a reward, in the order in which they first had one
        self._index: dict[TrialId, int] = {}  # the index of each trial in the history
        self._batch_rewards: list[list[float]] = []  # the rewards of each batch that the policy was trained on
        self._baseline: float | None = None
        self._snapshots = {0: _Snapshot(self._policy.state(), None)}  # by the number of batches trained on

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        # Section 3.2: sample an architecture from the policy. Its actions are needed for the update, so note them.
        for _ in range(MAX_TRIES):
            architecture, actions = self._sample(rng)
            if self.space.violation(architecture) is None:
                return Proposal(architecture, note={"origin": "controller", "actions": actions})
        return Proposal(self.space.sample(rng), note={"origin": "random", "instead_of_model": "none is allowed"})

    def tell(self, trial: Trial) -> None:
        index = self._index.get(trial.id)
        has_reward = trial.status in CAUSED_BY_ARCHITECTURE or (bool(trial.reports) and not trial.status.failed)
        # A changed or removed trial may change the rewards of earlier batches. In this case, restore the policy as it was
        # before the first of these batches.
        if has_reward:
            self._index.setdefault(trial.id, len(self._history))
            self._history[trial.id] = trial
            if index is not None:
                self._restore(self._first_changed_batch(index))
        elif index is not None:
            del self._history[trial.id]
            self._index = {trial_id: position for position, trial_id in enumerate(self._history)}
            self._restore(index // self.batch)
        # Train on each complete batch that the policy was not trained on, including those that it was restored before.
        while (len(self._batch_rewards) + 1) * self.batch <= len(self._history):
            self._train_on_next_batch()

    def probability(self, architecture: Architecture) -> float:
        """Return the probability with which the policy now samples this architecture.

        Raises:
            JobError: a decision has more than 50 values, so that the policy samples parts of it.
        """
        actions: Actions = []
        for decision, part_count in zip(self.space.decisions, self._part_counts, strict=True):
            if decision.name not in architecture:
                actions.append(None)
                continue
            labels = [decision.domain.pick((part + 0.5) / part_count) for part in range(part_count)]
            if part_count != decision.domain.size:
                raise JobError(
                    f"{NAME}: decision {decision.name!r} has more values than the {part_count} parts that are sampled, "
                    "so its values have no probability"
                )
            actions.append(labels.index(architecture[decision.name]))
        return float(np.exp(self._policy.compute_log_probability(actions)))

    def _sample(self, rng: np.random.Generator) -> tuple[Architecture, Actions]:
        """Sample an architecture from the policy, and return it with the action at each decision."""
        labels: dict[str, Label] = {}
        actions: Actions = []
        sampler = self._policy.start_sampler()
        for index, decision in enumerate(self.space.decisions):
            if not decision.is_active(labels):
                actions.append(None)
                continue
            # a_t ~ P(a_t | a_(t-1:1)), by inverse transform sampling.
            p = sampler.advance_to_decision(index)
            action = min(int(np.searchsorted(np.cumsum(p), rng.random() * p.sum(), "right")), len(p) - 1)
            sampler.set_next_input(index, action)
            actions.append(action)
            # Uniform within the part, which is a single label if there are as many parts as labels. The argument of `pick`
            # must be in the part, so the random number is limited to less than 1 even after rounding.
            labels[decision.name] = decision.domain.pick((action + min(rng.random(), 1 - 1e-9)) / len(p))
        return Architecture(self.space, labels), actions

    def _train_on_next_batch(self) -> None:
        """Update the policy by the policy gradient of the next batch (section 3.2)."""
        history = list(self._history.values())
        batch = len(self._batch_rewards)
        first = batch * self.batch
        rewards = self._compute_rewards(history, batch)
        samples, advantages = [], []
        for trial, reward in zip(history[first : first + self.batch], rewards, strict=True):
            actions = self._noted_actions(trial)
            # The policy learns only from its own proposals; the others only took part in the comparison.
            if actions is None:
                continue
            # The advantage R - b. The baseline b does not depend on the current action, so the gradient stays unbiased.
            baseline = reward if self._baseline is None else self._baseline
            samples.append(actions)
            advantages.append(reward - baseline)
            self._baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * reward
        if samples:
            self._policy.update(samples, advantages)
        self._batch_rewards.append(rewards)
        self._save_snapshot()

    def _first_changed_batch(self, index: int) -> int:
        """Return the first batch whose rewards changed when the trial at `index` of the history was replaced.

        If no rewards changed, return the number of batches that the policy was trained on.

        Most replacements change no reward, since trials are compared at the highest step that all of a window have reached.
        """
        history = list(self._history.values())
        # The batches whose window contains the trial: from its own batch to the last one whose window reaches back to it.
        in_window = range(index // self.batch, min(len(self._batch_rewards), (index + self.window) // self.batch))
        changed = (batch for batch in in_window if self._compute_rewards(history, batch) != self._batch_rewards[batch])
        return next(changed, len(self._batch_rewards))

    def _compute_rewards(self, history: Sequence[Trial], batch: int) -> list[float]:
        """Return the rewards [m] of a batch: for each trial, the share of the other trials in the window that are worse."""
        end = (batch + 1) * self.batch
        trials = history[max(0, end - self.window) : end]
        ranked = rank_trials([trial for trial in trials if not trial.status.failed], self.objectives, self.constraints)
        rewards = {trial.id: 0.0 for trial in trials}
        ranks = np.array([rank for rank, _ in ranked])
        failed = len(trials) - len(ranked)
        for rank, trial in ranked:
            # Failed trials are worse than all others. Ties count half; the trial's own rank is not a tie.
            worse = failed + (ranks > rank).sum() + 0.5 * ((ranks == rank).sum() - 1)
            rewards[trial.id] = float(worse) / max(1, len(trials) - 1)
        return [rewards[trial.id] for trial in history[end - self.batch : end]]

    def _noted_actions(self, trial: Trial) -> Actions | None:
        """Return the actions in the note of a trial; None if the policy did not propose it."""
        actions = trial.proposal.note.get("actions")
        return list(actions) if isinstance(actions, list) and len(actions) == len(self._part_counts) else None

    def _save_snapshot(self) -> None:
        self._snapshots[len(self._batch_rewards)] = _Snapshot(self._policy.state(), self._baseline)
        # Of the snapshots that are no longer recent, keep every 50th.
        oldest = len(self._batch_rewards) - RECENT_SNAPSHOTS
        if oldest % SNAPSHOT_INTERVAL and oldest in self._snapshots:
            del self._snapshots[oldest]

    def _restore(self, max_batches: int) -> None:
        """Restore the policy from the latest snapshot that was trained on no more than the first `max_batches` batches."""
        if max_batches >= len(self._batch_rewards):
            return
        count = max(batches for batches in self._snapshots if batches <= max_batches)
        del self._batch_rewards[count:]
        self._snapshots = {batches: snapshot for batches, snapshot in self._snapshots.items() if batches <= count}
        self._policy.load(self._snapshots[count].policy)
        self._baseline = self._snapshots[count].baseline


@dataclass(frozen=True)
class _Snapshot:
    """The state of the policy and the baseline after a number of batches."""

    policy: Any
    baseline: float | None
