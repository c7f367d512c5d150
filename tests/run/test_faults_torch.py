"""Faults while PyTorch trains: kills, with rungs and checkpoints, and too little memory."""

from __future__ import annotations

import random
import time
from pathlib import Path

from faults import SCRIPT as SEARCH_SCRIPT
from faults import events, finish, kill_tree, start, wait_for
from torch import nn

import ogive as og
from ogive.estimate.checkpoint import load_checkpoint
from ogive.run.events import Kind
from ogive.testing.journals import comparable_events
from ogive.trial import Status

SCRIPT = SEARCH_SCRIPT.with_name("torch_script.py")


def test_a_search_with_rungs_and_checkpoints_survives_kills(tmp_path: Path) -> None:
    rng = random.Random(0)
    folder, uninterrupted = tmp_path / "run", tmp_path / "uninterrupted"
    for _ in range(3):
        process = start(folder, 1, pause=0.02, script=SCRIPT)
        wait_for(process, "started")
        time.sleep(rng.uniform(0.05, 0.4))
        assert process.poll() is None
        kill_tree(process)
    for path, workers in ((folder, 1), (uninterrupted, 0)):
        code, _, err = finish(start(path, workers, pause=0.0, script=SCRIPT))
        assert code == 0, err
    journalled = events(folder)
    assert comparable_events(journalled) == comparable_events(events(uninterrupted))
    assert any(event.kind is Kind.PROMOTED for event in journalled)
    state, other = (og.open_run(path).state for path in (folder, uninterrupted))
    assert len(state.sessions) == 4
    best = next(trial.id for trial in state.trials.values() if trial.status is Status.FINISHED)
    weights = [load_checkpoint(path / f"trials/{best:06d}")["model"] for path in (folder, uninterrupted)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[1]), "the weights are equal bit for bit"
    assert other.failed_count == state.failed_count == 0


def greedy(model: nn.Module, trial: object) -> None:
    import torch

    tensors = []
    while True:
        tensors.append(torch.ones(25_000_000))


def test_pytorch_beyond_the_memory_limit_is_out_of_memory(tmp_path: Path) -> None:
    space = og.Space(og.layer(nn.Linear, 4, og.one_of(2, 3)), example_input=(4,))
    run = og.search(
        space, greedy, run=tmp_path / "run", strategy="random", memory_limit=1, max_trials=2, max_failed_trials=9
    )
    assert [trial.status for trial in run.trials] == [Status.OUT_OF_MEMORY] * 2
    assert all(trial.reason.startswith("RuntimeError: ") for trial in run.trials)
    assert len({trial.worker for trial in run.trials}) == 1
