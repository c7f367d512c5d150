"""The controller: its probabilities, its gradient, and its convergence to the best architecture."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from ogive.seeds import generator
from ogive.space import Space, layer, one_of
from ogive.strategy import create
from ogive.strategy.reinforce import Reinforce
from ogive.surrogates.policy_network import Policy
from ogive.testing.spaces import tiny
from ogive.trial import Pending, Proposal, Report, Status, Trial

BEST = (1, 3, 0, 2, 2)
SPACE = Space(layer(dict, *(one_of(0, 1, 2, 3, name=f"d{i}") for i in range(5))))


def finished_trial(number: int, proposal: Proposal, value: float, status: Status = Status.FINISHED) -> Trial:
    return Trial(number, proposal, status=status, reports=(Report(1, {"accuracy": value}),))


def trained_strategy(trials: int, seed: int = 0) -> Reinforce:
    strategy = create("reinforce", SPACE)
    assert isinstance(strategy, Reinforce)
    for number in range(trials):
        proposal = strategy.ask(generator(seed, number), Pending(), {})
        correct = sum(a == b for a, b in zip(proposal.architecture.values(), BEST, strict=True))
        strategy.tell(finished_trial(number, proposal, correct / 5))
    return strategy


@pytest.mark.parametrize("seed", range(3))
def test_the_controller_converges_to_the_best_architecture(seed: int) -> None:
    best = SPACE.architecture({f"d{i}": label for i, label in enumerate(BEST)})
    assert trained_strategy(400, seed).probability(best) > 0.9


def test_probabilities_sum_to_one_over_a_conditional_space_and_samples_follow_them() -> None:
    space = tiny()
    strategy = create("reinforce", space, batch=2)
    assert isinstance(strategy, Reinforce)
    for number in range(20):
        proposal = strategy.ask(generator(0, number), Pending(), {})
        strategy.tell(finished_trial(number, proposal, float(proposal.architecture["a"] == 3)))
    p = {a: strategy.probability(a) for a in space.grid()}
    assert sum(p.values()) == pytest.approx(1.0, abs=1e-5)
    samples = [strategy.ask(generator(1, i), Pending(), {}).architecture for i in range(4000)]
    assert sum(abs(samples.count(a) / 4000 - share) for a, share in p.items()) < 0.08, "total variation"


def test_the_update_is_along_the_policy_gradient() -> None:
    """With one decision, the gradient by the bias of the logits is -gain * (one-hot - p)."""
    policy = Policy([3], hidden=2, learning_rate=0.0, entropy=0.0)
    head = policy._network["heads"][0]
    p = policy.start_sampler().advance_to_decision(0)
    policy.update([[2], [0]], [0.5, -0.25])
    expected = -(0.5 * (np.eye(3)[2] - p) - 0.25 * (np.eye(3)[0] - p)) / 2
    assert head.bias.grad.numpy() == pytest.approx(expected, abs=1e-6)
    entropic = Policy([3], hidden=2, learning_rate=0.0, entropy=1.0)
    with torch.no_grad():
        entropic._network["heads"][0].bias[:] = torch.tensor([2.0, 0.0, 0.0])
    entropic._weights = None
    q = entropic.start_sampler().advance_to_decision(0)
    entropic.update([[0]], [0.0])
    entropy = -(q * np.log(q)).sum()
    gradient = q * (np.log(q) + entropy)  # of minus the entropy, by the logits
    assert entropic._network["heads"][0].bias.grad.numpy() == pytest.approx(gradient, abs=1e-6)


def test_advantages_are_rewards_minus_their_moving_average(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward is the share of other trials that are worse, ties count half; b is the first reward, then 0.5 b + 0.5 R."""
    all_gains: list[float] = []
    monkeypatch.setattr(Policy, "update", lambda policy, samples, gains: all_gains.extend(gains))
    strategy = create("reinforce", SPACE, batch=2, window=4, baseline_decay=0.5)
    values = [0.2, 0.1, 0.2, None]
    for number, value in enumerate(values):
        proposal = strategy.ask(generator(3, number), Pending(), {})
        failed_trial = Trial(number, proposal, status=Status.OUT_OF_MEMORY)
        strategy.tell(failed_trial if value is None else finished_trial(number, proposal, value))
    rewards = [1.0, 0.0, 2.5 / 3, 0.0]
    baselines = [1.0, 1.0, 0.5, 0.5 * 0.5 + 0.5 * 2.5 / 3]
    assert all_gains == pytest.approx([r - b for r, b in zip(rewards, baselines, strict=True)])


def test_a_changed_trial_is_learned_as_if_it_had_the_new_value_from_the_start() -> None:
    changed, expected = create("reinforce", SPACE), create("reinforce", SPACE)
    proposals = [changed.ask(generator(2, n), Pending(), {}) for n in range(23)]
    for number, proposal in enumerate(proposals):
        changed.tell(finished_trial(number, proposal, number / 23))
        changed.ask(generator(0), Pending(), {})
    for number, proposal in enumerate(proposals):
        expected.tell(finished_trial(number, proposal, 1.0 if number == 3 else number / 23))
    changed.tell(finished_trial(3, proposals[3], 1.0))
    assert isinstance(changed, Reinforce)
    assert isinstance(expected, Reinforce)
    for proposal in proposals:
        assert changed.probability(proposal.architecture) == expected.probability(proposal.architecture)


def test_the_controller_is_not_trained_again_if_no_reward_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With early stopping most trials stay at the lowest rung, at which all trials of a window are compared."""
    updates = []
    update = Policy.update
    monkeypatch.setattr(Policy, "update", lambda *arguments: (updates.append(1), update(*arguments)))
    strategy, fresh = create("reinforce", SPACE), create("reinforce", SPACE)
    proposals = [strategy.ask(generator(5, n), Pending(), {}) for n in range(120)]
    for number, proposal in enumerate(proposals):
        strategy.tell(finished_trial(number, proposal, number % 7, Status.PAUSED))
    assert len(updates) == 24
    records = []
    for number, proposal in enumerate(proposals):
        reports = (Report(1, {"accuracy": number % 7}), Report(3, {"accuracy": 9.0}))[: 1 + (number % 3 == 0)]
        records.append(Trial(number, proposal, status=Status.FINISHED, reports=reports))
        strategy.tell(records[-1])
    assert len(updates) == 24
    for record in records:
        fresh.tell(record)
    assert isinstance(strategy, Reinforce)
    assert isinstance(fresh, Reinforce)
    assert [strategy.probability(p.architecture) for p in proposals] == [
        fresh.probability(p.architecture) for p in proposals
    ]


def test_a_window_holds_at_least_a_batch() -> None:
    strategy = create("reinforce", SPACE, batch=8, window=2)
    for number in range(16):
        strategy.tell(finished_trial(number, strategy.ask(generator(6, number), Pending(), {}), number))


def test_torch_is_loaded_by_the_constructor_and_not_before() -> None:
    program = (
        "import sys; import ogive.strategy.reinforce; from ogive import strategy; from ogive.testing.spaces import tiny\n"
        "assert 'torch' not in sys.modules; strategy.create('reinforce', tiny()); assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
