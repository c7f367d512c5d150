"""Proxies of the built-in trainer, and the fidelities of a schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trial_driver import SPACE, Driver

import ogive as og
from ogive.errors import JobError
from ogive.estimate import load_checkpoint
from ogive.job.execution import run_job
from ogive.job.job import load_job
from ogive.task import Recipe
from ogive.task.proxy import Proxy
from ogive.trial import Status

TASK = og.task.classification("digits", test=500, validation=300, train=200)
CHAIN = og.zoo.chain(channels=(8, 12), kernels=(3,), depth=(2, 4))
ARCHITECTURE = CHAIN.architecture(
    {"depth": 4, **{f"channels{i}": 8 for i in range(4)}, **{f"kernel{i}": 3 for i in range(4)}}
)


def list_block_shapes(state: dict[str, Any]) -> list[list[int]]:
    """Return the shapes of the convolutions in a checkpoint of a chain."""
    return [list(value.shape) for name, value in state["model"].items() if value.ndim == 4 and "blocks" in name]


def test_multipliers_reduce_scaled_values_only() -> None:
    assert CHAIN.multipliers == {"width", "depth"}
    full = ARCHITECTURE.build(seed=1)
    assert [list(b[0].weight.shape) for b in full.blocks] == [[8, 1, 3, 3], *[[8, 8, 3, 3]] * 3]
    half = ARCHITECTURE.build(seed=1, multipliers={"width": 0.5, "depth": 0.5})
    assert [list(b[0].weight.shape) for b in half.blocks] == [[4, 1, 3, 3], [4, 4, 3, 3]]
    cell = og.zoo.nasbench201(channels=8, cells=2)
    smaller = cell.sample(np.random.default_rng(0)).build(multipliers={"width": 0.5, "depth": 0.1})
    assert (
        len(smaller) == len(cell.sample(np.random.default_rng(0)).build()) - 3
    )  # one of two cells remains in each stage
    assert smaller[0][0].out_channels == 4


@pytest.mark.parametrize(
    ("name", "factor"), [("width", 0), ("width", 1.5), ("depth", True), ("width", "0.5"), ("height", 0.5)]
)
def test_invalid_multipliers_are_errors(name: str, factor: Any) -> None:
    with pytest.raises(og.OgiveError, match="above 0 and at most 1" if name != "height" else "scaled by 'height'"):
        ARCHITECTURE.build(multipliers={name: factor})


def build_with_computed_rates(bias: bool, rates: int) -> nn.Module:
    """A model that computes with values while it is built, as models with stochastic depth do."""
    drop = [rate.item() for rate in torch.linspace(0, 0.1, rates)]
    return nn.Sequential(nn.Flatten(), nn.Dropout(drop[-1]), nn.LazyLinear(10, bias=bias))


def test_models_that_compute_while_they_are_built_accept_multipliers() -> None:
    space = og.Space(
        og.layer(build_with_computed_rates, og.one_of(True, False), og.scaled(4, "depth")), example_input=(1, 8, 8)
    )
    og.estimate.classifier(TASK, depth=0.5).check(space, {}, {})


def test_scaled_values_do_not_change_the_space() -> None:
    def declare(width: Any, times: Any) -> og.Space:
        return og.Space(og.layer(nn.Sequential, og.repeat(og.layer(nn.Linear, width, width), times)))

    def choices() -> tuple[Any, Any]:
        return og.one_of(2, 4, name="w"), og.integer(1, 3)

    plain = declare(*choices())
    width, times = choices()
    scaled = declare(og.scaled(width, "width"), og.scaled(times, "depth"))
    assert scaled.fingerprint == plain.fingerprint
    assert [d.describe() for d in scaled.decisions] == [d.describe() for d in plain.decisions]
    assert scaled.restricted({"w": [4]}).multipliers == {"width", "depth"}
    assert plain.scaling_hash == "" != scaled.scaling_hash
    for wrong, message in (((3, "height"), "multipliers are 'width' and 'depth'"), ((1.5, "width"), "whole number")):
        with pytest.raises(og.OgiveError, match=message):
            og.scaled(*wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("times", [4, og.integer(1, 4, name="times")])
def test_a_number_of_repetitions_can_be_scaled_twice(times: Any) -> None:
    choice = og.one_of(2, 4, name="w")
    blocks = og.repeat(og.layer(nn.Linear, choice, 3), og.scaled(og.scaled(times, "width"), "depth"))
    space = og.Space(og.layer(nn.Sequential, blocks))
    architecture = space.architecture({"w": 2, "times": 4} if not isinstance(times, int) else {"w": 2})
    factors: list[dict[str, float]] = [{}, {"depth": 0.5}, {"depth": 0.5, "width": 0.5}]
    assert [len(architecture.build(multipliers=multipliers)) for multipliers in factors] == [4, 2, 1]


def test_a_proxy_trains_a_smaller_model_on_smaller_images(tmp_path: Path) -> None:
    proxy = og.estimate.classifier(TASK, epochs=1, data_fraction=0.5, resolution=0.5, width=0.5, depth=0.5)
    (metrics,) = Driver(tmp_path, ARCHITECTURE).run(proxy).values()
    assert list_block_shapes(load_checkpoint(tmp_path)) == [[4, 1, 3, 3], [4, 4, 3, 3]]
    assert metrics["parameters"] == sum(p.numel() for p in ARCHITECTURE.build().parameters()), (
        "the parameters of the architecture in full size"
    )
    (x, y), (u, _) = proxy.examples()
    full = TASK.subset(0.5).train()[0]
    assert (x.shape, u.shape, len(y)) == ((100, 1, 4, 4), (300, 1, 4, 4), 100)
    torch.testing.assert_close(x[:, :, 0, 0], full[:, :, :2, :2].mean((2, 3)))
    assert Proxy(resolution=0.5).scale_recipe(Recipe(shift=2, cutout=4)) == Recipe(shift=1, cutout=2)
    assert proxy.full_training({}).proxy == Proxy()
    assert proxy.fingerprints()["recipe"] != og.estimate.classifier(TASK, epochs=1, data_fraction=0.5).fingerprints()


def test_a_schedule_of_a_job_increases_several_fidelities_at_once(tmp_path: Path) -> None:
    """Three trials train at the lowest rung, and one of them at full fidelity: it starts again with a larger model."""
    job = tmp_path / "job.yaml"
    job.write_text(
        """
space: {zoo: {chain: {channels: [8], kernels: [3], depth: [2, 4]}}}
task: {data: digits, test: 500, validation: 300, train: 200}
schedule: {asha: {eta: 3, min_epochs: 1, fidelities: {data_fraction: 0.25, resolution: 0.5, width: 0.5, depth: 0.5}}}
epochs: 3
max_trials: 3
executor: inline
strategy: random
cache: false
"""
    )
    run = run_job(load_job(job))
    assert {trial.status for trial in run.trials} <= {Status.FINISHED, Status.PAUSED}
    best = next(trial for trial in run.trials if trial.status is Status.FINISHED)
    assert [report.step for report in best.reports] == [1, 2, 3, 4]
    paused = next(trial for trial in run.trials if trial.status is Status.PAUSED)
    assert dict(paused.fidelity) == {"epochs": 1, "data_fraction": 0.25, "resolution": 0.5, "width": 0.5, "depth": 0.5}
    folder = run.folder / f"trials/{paused.id:06d}"
    assert {shape[0] for shape in list_block_shapes(load_checkpoint(folder))} == {4}
    folder = run.folder / f"trials/{best.id:06d}/from-1"
    assert {shape[0] for shape in list_block_shapes(load_checkpoint(folder))} == {8}
    assert len(list_block_shapes(load_checkpoint(folder))) == best.architecture["depth"]
    assert len({trial.metrics["parameters"] for trial in run.trials if trial.architecture == best.architecture}) == 1


FLAT = og.Space(og.layer(nn.Sequential, og.layer(nn.Flatten), og.layer(nn.Linear, 64, 10, bias=og.one_of(True, False))))


@pytest.mark.parametrize(
    ("space", "fidelities", "message"),
    [
        (SPACE, {"width": 0.5}, r"width=0.5: nothing in the space is scaled by 'width'.*og.scaled\(value, 'width'\)"),
        (FLAT, {"resolution": 0.5}, r"resolution=0.5: none of 5 sampled models accepts .* 1 x 4 x 4 .*global pooling"),
        (
            CHAIN,
            {"resolution": 0.01},
            r"reduce images of 8 x 8 pixels to 1 x 1, but .* at least 4 pixels; use at least 0\.5",
        ),
        (SPACE, {"data_fraction": 0.01}, "0.01 of train has 2 examples for 10 classes"),
        (
            CHAIN,
            {"patience": 0.5},
            r"'patience', which .* \(it supports epochs, data_fraction, resolution, width, depth\)",
        ),
    ],
)
def test_invalid_fidelities_are_errors_before_anything_is_written(
    tmp_path: Path, space: og.Space, fidelities: dict[str, float], message: str
) -> None:
    with pytest.raises(JobError, match=message):
        og.search(
            space,
            og.estimate.classifier(TASK, epochs=3),
            schedule={"asha": {"fidelities": fidelities}},
            run=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_resolution_needs_images() -> None:
    clouds = og.task.classification((np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2))
    with pytest.raises(JobError, match=r"resolution=0.5 needs images .* have the shape \[3\]"):
        og.estimate.classifier(clouds, resolution=0.5).check(SPACE, {}, {})
    with pytest.raises(JobError, match=r"resolution is 1\.5, but must be a share"):
        og.estimate.classifier(clouds, resolution=1.5)


def test_the_error_of_a_job_names_the_key_of_an_invalid_proxy(tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(
        "import ogive as og\nfrom torch import nn\n"
        "space = og.Space(og.layer(nn.Sequential, og.layer(nn.Flatten), og.layer(nn.LazyLinear, 10, "
        "bias=og.one_of(True, False))), example_input=(1, 8, 8))\n"
    )
    job = tmp_path / "job.yaml"
    job.write_text("space: space.py:space\ntask: {data: digits}\nproxy: {resolution: 0.5, depth: 0.5}\n")
    with pytest.raises(
        JobError, match=r"job.yaml:3: proxy.depth: depth=0.5: nothing in the space is scaled by 'depth'"
    ):
        load_job(job)
    job.write_text("space: space.py:space\ntask: {data: digits}\nproxy: {resolution: 0.5}\n")
    assert load_job(job).estimator.proxy == Proxy(resolution=0.5)  # type: ignore[attr-defined]


def test_population_based_training_of_the_built_in_trainer(tmp_path: Path) -> None:
    """A child continues with the weights of its parent, at the same epoch of the decay of the learning rate."""
    ranges = {"learning_rate": [1e-5, 0.03], "weight_decay": [1e-4, 0.3]}
    recipe = Recipe(epochs=6)
    for name in ("first", "second"):  # in the second run, trials from the evaluation cache have no weights to inherit
        run = og.search(
            CHAIN,
            og.estimate.classifier(TASK, recipe),
            objectives="log_loss",
            strategy="random",
            schedule={"pbt": {"settings": ranges, "population": 4, "interval": 2, "quantile": 0.25}},
            max_trials=12,
            executor="inline",
            run=tmp_path / name,
        )
    trials = {trial.id: trial for trial in run.trials}
    assert not [trial.reason for trial in run.trials if trial.status.failed]
    children = [trial for trial in run.trials if trial.proposal.inherit is not None]
    assert children
    for child in children:
        parent, step = child.proposal.inherit  # type: ignore[misc]
        assert child.architecture == trials[parent].architecture
        assert dict(child.proposal.settings) != dict(trials[parent].proposal.settings)
        first = child.reports[0]
        assert first.step == step + 1
        untrained = max(trial.reports[0].metrics["train_loss"] for trial in run.trials if not trial.step_offset)
        assert first.metrics["train_loss"] < untrained
    done = [trial for trial in run.trials if trial.status is Status.FINISHED]
    assert {trial.step for trial in done} == {6}
    for trial in done:
        folder = run.folder / f"trials/{trial.id:06d}" / (f"from-{trial.step_offset}" if trial.step_offset else "")
        (group,) = load_checkpoint(folder)["optimizer"]["param_groups"]
        settings = trial.proposal.settings
        assert group["weight_decay"] == pytest.approx(settings["weight_decay"])
        batches = -(-200 // recipe.batch_size)
        last = 0.5 * (1 + np.cos(np.pi * (6 * batches - 1) / (6 * batches)))  # children also reach the end of the decay
        assert group["lr"] == pytest.approx(settings["learning_rate"] * last)
    assert any(trial.step_offset for trial in done), "a child has finished"


def test_unknown_settings_are_errors_before_anything_is_written(tmp_path: Path) -> None:
    schedule = {"pbt": {"settings": {"lr": [0.001, 0.1]}, "population": 4}}
    with pytest.raises(JobError, match="there is no setting 'lr'; the settings are epochs, optimizer, learning_rate"):
        og.search(CHAIN, og.estimate.classifier(TASK, epochs=3), schedule=schedule, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
