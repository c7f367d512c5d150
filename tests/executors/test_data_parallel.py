"""Several processes train a trial: the curves are those of one process, and a fault of one rank ends the attempt."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from faults import left_running
from torch import distributed, nn
from torch.distributed.distributed_c10d import _set_pg_timeout
from torch.nn.parallel import DistributedDataParallel

import ogive as og
from ogive.errors import JobError
from ogive.estimate import load_checkpoint
from ogive.estimate.process_group import process_group
from ogive.estimate.user_functions import PlainFunctionEstimator
from ogive.job import load_job
from ogive.run.estimator import Team
from ogive.run.unsaved_weights import UNSAVED_PREFIX
from ogive.task import Recipe
from ogive.task.trainer import Training
from ogive.trial import Status

BEHAVIOURS = (
    "good",
    "only_rank_0_reports",
    "reports_without_epochs",
    "raises",
    "is_killed",
    "kills_worker",
    "ignores_ranks",
    "exits",
    "interrupts",
    "writes_garbage",
    "last",
)


def normalised(with_norm: bool) -> nn.Module:
    """Return a network with odd sizes, and optionally three kinds of batch norm."""
    norm: tuple[nn.Module, ...] = (nn.Identity(), nn.Identity(), nn.Identity())
    if with_norm:
        norm = (nn.BatchNorm2d(6), nn.BatchNorm1d(20, momentum=None), nn.BatchNorm2d(6, affine=False))
    convolution = nn.Sequential(nn.Conv2d(1, 6, 3, stride=2), norm[0], norm[2], nn.ReLU(inplace=True), nn.Flatten())
    return nn.Sequential(convolution, nn.Linear(54, 20), norm[1], nn.ReLU(), nn.Linear(20, 10))


def test_two_processes_give_the_curves_of_one(tmp_path: Path) -> None:
    """With the same global batch, augmentation, gradient clipping, a last batch of three examples, and a pause."""
    space = og.Space(og.layer(normalised, og.one_of(False, True, name="normalised")), example_input=(1, 8, 8))
    task = og.task.classification("digits", test=500, validation=501, train=131)
    recipe = Recipe(epochs=4, batch_size=64, shift=1, gradient_clip=1.0, label_smoothing=0.1)
    runs = [
        og.search(
            space,
            og.estimate.classifier(task, recipe),
            objectives="log_loss",
            strategy={"grid": {"order": "lexicographic"}},
            schedule={"asha": {"eta": 2}},
            max_trials=2,
            workers_per_trial=ranks,
            cache=False,
            run=tmp_path / f"{ranks} ranks",
        )
        for ranks in (1, 2)
    ]
    for one, two in zip(*(run.trials for run in runs), strict=True):
        assert two.reason is None
        assert len(one.reports) == len(two.reports) >= 1
        rel = 1e-3 if one.architecture["normalised"] else 1e-5  # batch norm of few values amplifies rounding errors
        for alone, together in zip(one.reports, two.reports, strict=True):
            for metric in ("train_loss", "log_loss"):
                assert together.metrics[metric] == pytest.approx(alone.metrics[metric], rel=rel), metric
    assert {len(trial.reports) for trial in runs[1].trials} == {1, 4}
    best = [trial.id for trial in runs[1].trials if trial.status is Status.FINISHED]
    weights = [load_checkpoint(run.folder / f"trials/{best[0]:06d}")["model"] for run in runs]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)
    assert not list(tmp_path.rglob("rendezvous"))
    assert left_running(runs[1].folder) == []


def train_one_epoch(team: Team, results: Any) -> None:
    """Train a model with a layer that computes statistics of its rank's share of each batch."""
    with process_group(team):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True), nn.Flatten())
        model.append(nn.Linear(8, 2))
        examples = torch.randn(12, 1, 4, 4), torch.arange(12) % 2
        Training(model, examples, 2, Recipe(epochs=1, batch_size=6), 0, team).train_epoch(1)
        results.put([buffer.tolist() for buffer in model.buffers()])


def test_all_ranks_have_the_buffers_that_rank_0_would_save(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    teams = [Team(rank, 2, rank, tmp_path / "rendezvous") for rank in (0, 1)]
    processes = [context.Process(target=train_one_epoch, args=(team, results)) for team in teams]
    for process in processes:
        process.start()
    first, second = results.get(timeout=300), results.get(timeout=300)
    for process in processes:
        process.join()
    assert first == second
    assert first[0] != [0.0, 0.0], "the buffers have been trained"


def wait_long(team: Team, results: Any) -> None:
    """Let rank 0 wait longer than the timeout of the process group, while the other rank waits for it."""
    with process_group(team) as any_of:
        _set_pg_timeout(timedelta(seconds=1), distributed.group.WORLD)
        for wait in (lambda: any_of(team.rank == 0), lambda: distributed.all_reduce(torch.zeros(1))):
            time.sleep(0 if team.rank else 4)
            try:
                results.put((team.rank, wait()))
            except RuntimeError as error:
                results.put((team.rank, "Timed out" in str(error)))


def test_ranks_wait_for_the_controller_longer_than_for_each_other(tmp_path: Path) -> None:
    """The second wait shows that the timeout is short, and that it applies to training."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    teams = [Team(rank, 2, rank, tmp_path / "rendezvous") for rank in (0, 1)]
    processes = [context.Process(target=wait_long, args=(team, results)) for team in teams]
    for process in processes:
        process.start()
    answers = [results.get(timeout=100) for _ in range(3)]
    for process in processes:
        process.kill()
    assert sorted(answers[:2]) == [(0, True), (1, True)]
    assert answers[2] == (1, True), "the second wait timed out"


def build(behaviour: str) -> nn.Module:
    model = nn.Linear(3, 1)
    model.behaviour = behaviour  # type: ignore[assignment]
    return model


def train(model: Any, trial: Any) -> None:
    """Fit a line to this rank's share of 7 points. Some behaviours are faults, which a second attempt does not repeat."""
    if model.behaviour == "ignores_ranks":
        for _ in trial.epochs():
            trial.report(loss=1.0)
        return
    state = trial.restore()
    if state is not None:
        model.load_state_dict(state["model"])
    together = DistributedDataParallel(model) if trial.ranks > 1 else model
    x = torch.arange(21.0).reshape(7, 3) / 21
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if model.behaviour == "reports_without_epochs":
        for _ in range(99):
            optimizer.zero_grad()
            together(x[trial.rank :: trial.ranks]).square().mean().backward()
            trial.report(loss=1.0)
        return
    (trial.folder / f"pids-{trial.rank}").open("a").write(f"{os.getpid()}\n")
    for epoch in trial.epochs():
        optimizer.zero_grad()
        together(x[trial.rank :: trial.ranks]).square().mean().backward()
        optimizer.step()
        if epoch == 2 and (trial.rank == 1 or model.behaviour == "interrupts"):
            cause_fault(model.behaviour, trial.folder)
        if model.behaviour == "exits" and epoch == 2 and trial.rank == 0:
            time.sleep(1000)  # like a call that does not notice a broken connection
        if model.behaviour == "only_rank_0_reports" and trial.rank > 0:
            continue
        trial.checkpoint(model=model.state_dict())
        trial.report(loss=float(epoch), rank=trial.rank, orphans=len(orphans(trial.folder)))


def cause_fault(behaviour: str, folder: Path) -> None:
    if behaviour == "interrupts":
        raise KeyboardInterrupt
    if behaviour == "raises":
        raise ZeroDivisionError("on this rank only")
    if behaviour == "exits":
        os._exit(3)
    if behaviour == "writes_garbage":
        for number in range(3, 64):
            with suppress(OSError), socket.socket(fileno=os.dup(number)) as end:
                if end.family == socket.AF_UNIX:
                    end.send(b"garbage")
        time.sleep(1000)
    is_first_attempt = len((folder / "pids-1").read_text().split()) == 1
    if behaviour == "is_killed" and is_first_attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "kills_worker" and is_first_attempt:
        os.kill(os.getppid(), signal.SIGKILL)


def orphans(folder: Path) -> list[int]:
    """Return the ids of processes of earlier attempts that are still running."""
    former = [int(pid) for path in folder.glob("pids-*") for pid in path.read_text().split()[:-1]]
    return [pid for pid in former if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_a_train_function_with_several_ranks_and_faults_of_ranks(tmp_path: Path) -> None:
    run = og.search(
        og.Space(og.layer(build, og.one_of(*BEHAVIOURS, name="behaviour"))),
        train,
        objectives="loss",
        strategy={"grid": {"order": "lexicographic"}},
        epochs=3,
        max_trials=len(BEHAVIOURS),
        max_failed_trials=99,
        workers_per_trial=2,
        time_limit=300,
        memory_limit=3,
        run=tmp_path / "run",
    )
    trials = {str(trial.architecture["behaviour"]): trial for trial in run.trials}
    expected = dict.fromkeys(BEHAVIOURS, (Status.FINISHED, 1))
    expected |= {"raises": (Status.ERROR, 1), "ignores_ranks": (Status.ERROR, 1), "exits": (Status.EXITED, 1)}
    expected |= {"interrupts": (Status.ERROR, 1), "writes_garbage": (Status.EXITED, 1)}
    expected |= {"is_killed": (Status.FINISHED, 2), "kills_worker": (Status.FINISHED, 2)}
    assert {behaviour: (trial.status, trial.attempts) for behaviour, trial in trials.items()} == expected
    assert trials["raises"].reason == "rank 1 of 2: ZeroDivisionError: on this rank only"
    assert "in cause_fault" in trials["raises"].traceback
    assert trials["exits"].reason == "the evaluation ended rank 1 of 2 with exit code 3"
    assert "wrote bytes to rank 1's channel that are not a message: found b'garbage'" in trials["writes_garbage"].reason
    assert trials["interrupts"].reason == "KeyboardInterrupt"
    assert "uses neither trial.rank nor trial.ranks" in trials["ignores_ranks"].reason
    for behaviour, (status, _) in expected.items():
        if status is Status.FINISHED:
            assert [report.step for report in trials[behaviour].reports] == [1, 2, 3], behaviour
            assert trials[behaviour].metrics.get("rank", 0) == trials[behaviour].metrics.get("orphans", 0) == 0, (
                behaviour
            )
    assert run.state.lost_attempt_counts == {trials["is_killed"].id: 1, trials["kills_worker"].id: 1}
    assert not [message for message, _ in run.state.warnings if not message.startswith(UNSAVED_PREFIX)]
    assert left_running(run.folder) == []


def multiplies(model: Any, trial: Any) -> None:
    """Give each process a batch of its own, as `DistributedSampler` does: the global batch of two is twice as large."""
    for _ in trial.epochs():
        trial.report(loss=8.0 * trial.ranks)


def test_results_of_one_process_and_of_two_are_cached_separately(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    space = og.Space(og.layer(nn.Linear, 2, og.one_of(1, 2, 3, name="width")))
    estimator = og.estimate.train(multiplies, recipe={"batch": 8})

    def losses(name: str, ranks: int, trials: int = 2) -> tuple[list[float], list[bool]]:
        run = og.search(
            space,
            estimator,
            objectives="loss",
            strategy="random",
            epochs=1,
            max_trials=trials,
            workers_per_trial=ranks,
            run=tmp_path / name,
        )
        return [trial.metrics["loss"] for trial in run.trials], [trial.cached for trial in run.trials]

    assert losses("one", 1) == ([8.0, 8.0], [False, False])
    assert losses("two", 2) == ([16.0, 16.0], [False, False])
    assert losses("two, second time", 2) == ([16.0, 16.0], [True, True])
    assert losses("two", 1, trials=3) == ([16.0, 16.0, 8.0], [False, False, False]), "trials may have begun with two"
    messages = [message for message, _ in og.open_run(tmp_path / "two").state.warnings]
    assert any("workers_per_trial was 2 and is 1: " in message for message in messages)
    assert losses("one, second time", 1, trials=3)[1] == [True, True, False], (
        "results of a run with both numbers are not shared"
    )


def test_results_of_the_built_in_trainer_are_shared_between_numbers_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OGIVE_CACHE", str(tmp_path / "cache"))
    space = og.Space(og.layer(normalised, og.one_of(False, True, name="normalised")), example_input=(1, 8, 8))
    estimator = og.estimate.classifier(og.task.classification("digits", test=500, validation=500, train=100), epochs=1)
    runs = [
        og.search(space, estimator, max_trials=2, workers_per_trial=ranks, run=tmp_path / str(ranks))
        for ranks in (1, 2)
    ]
    assert [[trial.cached for trial in run.trials] for run in runs] == [[False, False], [True, True]]


class OwnEstimator(PlainFunctionEstimator):
    """A class of the user."""


def test_estimators_that_cannot_train_in_parallel_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    space = og.Space(og.layer(build, og.one_of(*BEHAVIOURS)))
    plain = og.estimate.function(lambda architecture: {"loss": 1.0})
    own = OwnEstimator(lambda architecture: {"loss": 1.0}, None)
    for estimator, name in (
        (plain, "an estimator made by og.estimate.function"),
        (own, "the estimator OwnEstimator"),
    ):
        with pytest.raises(JobError, match=f"workers_per_trial=2, but {name} evaluates in one process"):
            og.search(space, estimator, objectives="loss", workers_per_trial=2, run=tmp_path / "run")
    with pytest.raises(JobError, match="workers_per_trial=2, but executor='inline' has only one process"):
        og.search(space, train, objectives="loss", workers_per_trial=2, executor="inline", run=tmp_path / "run")
    with pytest.raises(
        JobError, match=r"workers_per_trial: found 4096 processes for each of 2 trials at a time, and \d"
    ):
        og.search(space, train, objectives="loss", workers=2, workers_per_trial=4096, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    job = tmp_path / "job.yaml"
    job.write_text("space: {zoo: chain}\ntask: {data: digits}\nworkers_per_trial: 4096\n")
    with pytest.raises(JobError, match=r"job.yaml:3: workers_per_trial: found 4096 processes for each of 1 trial"):
        load_job(job)
