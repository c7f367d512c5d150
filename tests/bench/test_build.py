"""Building tables of learning curves: from trainings to a file, and back to a problem with the same values."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ogive as og
from ogive.bench import curve_file, digits
from ogive.errors import JobError
from ogive.seeds import derive
from ogive.task import Recipe
from ogive.task.trainer import Training, evaluate

SPACE = """
import ogive as og
space = og.zoo.chain(channels=(2, 8), kernels=(1, 3), depth=(1, 1))
"""


def build(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "ogive", "bench", "build", "t.npz", "--space", "tiny.py:space", "--train", "60"]
    return subprocess.run([*words, *arguments], cwd=folder, capture_output=True, text=True, env=os.environ, check=False)


def test_the_command_builds_a_table_of_the_metrics_that_training_gives(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(SPACE)
    done = build(tmp_path, "--epochs", "3", "--seeds", "2")
    assert done.returncode in (0, 1), done.stderr
    assert "4 architectures x 2 seeds x 3 epochs -> t.npz" in done.stdout
    match = re.search(r"between single seeds, log_loss, by epoch: .*3: (-?\d\.\d+)", done.stdout)
    assert match is not None
    assert done.returncode == (0 if float(match[1]) >= 0.7 else 1)
    repeated = build(tmp_path, "--epochs", "3", "--seeds", "2")
    assert repeated.stdout == done.stdout, "finished trials are not trained again"
    table = curve_file.load(tmp_path / "t.npz", ["log_loss", "accuracy"])
    run = og.open_run(tmp_path / "t.run")
    for trial in run.trials:
        for seed in (0, 1):
            results = list(table.evaluate(trial.architecture, {"epochs": 3}, seed))
            for report, result in zip(trial.reports, results, strict=True):
                assert result.metrics["accuracy"] == pytest.approx(report.metrics[f"accuracy_seed{seed}"])
                assert result.metrics["log_loss"] == pytest.approx(report.metrics[f"log_loss_seed{seed}"], rel=6e-4)
        test = np.mean([trial.metrics[f"test_accuracy_seed{seed}"] for seed in (0, 1)])
        assert table.truth(trial.architecture)["test_accuracy"] == pytest.approx(test)
    _assert_trained(run.trials[0])


def _assert_trained(trial: og.Trial) -> None:
    """Check that a curve is that of the built-in trainer."""
    task = og.task.classification("digits", test=997, validation=500, train=60)
    space = og.zoo.chain(channels=(2, 8), kernels=(1, 3), depth=(1, 1))
    seed = derive(trial.seed, "curve", 1)
    model = space.architecture(trial.architecture.to_json()).build(seed=seed)
    training = Training(model, task.train(), 10, Recipe(epochs=3, learning_rate=0.01), seed)
    for report in trial.reports:
        training.train_epoch(report.step)
        assert report.metrics["log_loss_seed1"] == pytest.approx(
            evaluate(model, task.validation(), 10)["log_loss"], rel=1e-4
        )
        test_metrics = evaluate(model, task.test(lambda fingerprint: None), 10)
        assert report.metrics["test_log_loss_seed1"] == pytest.approx(test_metrics["log_loss"], rel=1e-4)


def test_an_unknown_metric_is_an_error_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(SPACE)
    done = build(tmp_path, "--metric", "log_los")
    assert done.returncode == 2
    assert "metric is 'log_los', but must be one of log_loss, accuracy (did you mean 'log_loss'?)" in done.stderr
    assert not (tmp_path / "t.run").exists()


def test_other_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(JobError, match="is not a file of learning curves"):
        curve_file.load(path)
    np.savez(path, meta=np.array([{"format": 1}], dtype=object))
    with pytest.raises(JobError, match="is not a file of learning curves"):
        curve_file.load(path)


def test_the_bundled_table_is_complete_and_small_and_ranks_architectures() -> None:
    table = digits.load().check_complete()
    assert digits.TABLE_FILE.stat().st_size < 2_000_000
    assert (table.size, table.repetitions, table.epochs) == (1554, 3, 32)
    assert [d.describe() for d in table.space.decisions] == [d.describe() for d in digits.make_space().decisions]
    for metric in ("log_loss", "accuracy"):
        correlations = curve_file.compute_seed_correlations(table, metric)
        assert correlations[32] >= 0.7
        assert 0.3 < curve_file.compute_level_correlations(table, metric)[1] < 0.99, (
            "the first epoch predicts the last, but not perfectly"
        )
    assert table.bounds["log_loss"].best < 0.3 < 1.0 < table.bounds["log_loss"].worst


def test_without_its_file_the_benchmark_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(digits, "TABLE_FILE", tmp_path / "digits.npz")
    with pytest.raises(JobError, match=r"is missing; build it with `ogive bench build .*digits.npz`"):
        digits.load()
