"""After `ogive finalize`, every command names and exports the winner of full training, by its trial number in the search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from ogive.api import open_run

torch = pytest.importorskip("torch")
Ogive = Callable[..., Any]

CODE = """
import ogive as og
from torch import nn

def net(width):
    return nn.Linear(4, width)

space = og.Space(og.layer(net, og.one_of(2, 3, name="width")), example_input=(4,))

def train(model, trial):
    for epoch in trial.epochs():  # width 2 leads after one epoch, width 3 after two
        accuracy = 0.6 if model.out_features == 2 else 0.5 if epoch == 1 else 0.9
        trial.checkpoint(model=model.state_dict())
        trial.report(accuracy=accuracy)
"""
JOB = """\
space: {module}.py:space
train: {module}.py:train
epochs: 1
max_trials: 2
executor: inline
cache: false
"""


def write(folder: Path, code: str) -> Path:
    """A job and its code, in a module whose name no other test imports; the module's file."""
    module = f"code_of_{folder.name}"
    (folder / "win.yaml").write_text(JOB.format(module=module))
    path = folder / f"{module}.py"
    path.write_text(code)
    return path


@pytest.fixture
def finalized(ogive: Ogive, tmp_path: Path) -> dict[int, int]:
    """A finalized search in runs/win; the trials' numbers by width."""
    write(tmp_path, CODE)
    assert ogive("search", "win.yaml", "--quiet").code == 0
    done = ogive("finalize", "win.yaml", "--top", "2", "--epochs", "2")
    assert done.code == 0, done.err
    assert "export:   ogive export runs/win --to torch" in done.out
    return {trial.architecture["width"]: trial.id for trial in open_run(tmp_path / "runs" / "win").trials}


def test_every_command_uses_the_winner(ogive: Ogive, finalized: dict[int, int], tmp_path: Path) -> None:
    ogive("export", "win.yaml", "--to", "torch", "-o", "model")
    about = json.loads((tmp_path / "model" / "architecture.json").read_text())
    for exported in (about, ogive("export", "runs/win").json):
        assert exported["architecture"] == {"width": 3}
        assert exported["metrics"] == {"accuracy": 0.9}
        assert (exported["trial"], exported["step"], exported["stage"]) == (finalized[3], 2, "full training")
    assert load_file(tmp_path / "model" / "weights.safetensors")["weight"].shape == (3, 4)
    best = ogive("export", "runs/win", "--trial", "best").json
    assert (best["architecture"], best["metrics"], best["stage"]) == ({"width": 2}, {"accuracy": 0.6}, "search")

    first, second = ogive("top", "runs/win", "--json").json
    training = open_run(tmp_path / "runs" / "win").delivery().training
    assert (first["step"], first["seconds"], first["attempts"]) == (2, training.seconds, 1)
    assert first["seconds"] == about["seconds"]
    assert first["seconds"] != open_run(tmp_path / "runs" / "win").trials[finalized[3]].seconds
    assert (first["trial"], first["metrics"], first["winner"]) == (finalized[3], {"accuracy": 0.9}, True)
    assert (second["trial"], second["stage"], second["winner"]) == (finalized[2], "full training", False)
    assert "winner, full training" in ogive("top", "runs/win").out.splitlines()[1]
    assert (
        f"winner    accuracy 0.9: trial {finalized[3]}, full training of 2 epochs, width=3"
        in ogive("status", "runs/win").out
    )
    again = ogive("search", "win.yaml", "--quiet").out
    assert "ogive export runs/win --to torch" in again
    assert ogive("status", "runs/win", "--json").json["winners"][0]["trial"] == finalized[3]

    ogive("report", "runs/win", "--to", "md")
    page = (tmp_path / "runs" / "win" / "report.md").read_text()
    assert f"Trial {finalized[3]} is the winner of full training, of 2 finalists: accuracy 0.9" in page
    assert f"In the search the winner had accuracy 0.5; the best was trial {finalized[2]} with 0.6." in page
    assert "accuracy of the winner, trained in full" in page
    assert f"1. trial {finalized[3]}, the winner" in page
    assert "--to torch" in page
    card = (tmp_path / "runs" / "win" / "final" / "MODEL_CARD.md").read_text()
    assert f"# Model card: trial {finalized[3]} of run win" in card
    # the run of full training names networks by their numbers in the search, too
    assert f": trial {finalized[3]}, seed 0" in ogive("status", "runs/win/final").out


def test_a_changed_train_function_is_named_from_a_job(ogive: Ogive, finalized: dict[int, int], tmp_path: Path) -> None:
    write(tmp_path, CODE.replace("else 0.9", "else 0.8"))
    command = [sys.executable, "-m", "ogive", "finalize", "win.yaml", "--top", "2", "--epochs", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "warning: the code of the train function has changed" in done.stderr
    assert "whose values were measured with the previous version: finalize uses the present version" in done.stderr
    assert "its files are kept in final-1" in done.stderr
    assert ogive("export", "win.yaml").json["metrics"] == {"accuracy": 0.8}
    assert ogive("export", "win.yaml").json["trial"] == finalized[3]


def test_sigterm_ends_an_export_and_leaves_nothing_half_written(
    ogive: Ogive, finalized: dict[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts: list[Path] = []

    def terminate(*arguments: Any) -> None:
        drafts.extend(tmp_path.glob(".ogive-export-*"))
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the export continued")

    monkeypatch.setattr("ogive.export.torch_export.trace", terminate)
    assert ogive("export", "win.yaml", "--to", "torch", "-o", "model").code == 128 + signal.SIGTERM
    assert len(drafts) == 1
    assert not drafts[0].exists()
    assert not (tmp_path / "model").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_no_code_of_a_runs_folder_is_run_without_trust(ogive: Ogive, finalized: dict[int, int], tmp_path: Path) -> None:
    (tmp_path / "runs" / "win" / "payload.pkl").write_bytes(b"not a pickle")
    for command in ("status", "top", "report"):
        assert ogive(command, "runs/win").code == 0
    for command in (["report", "runs/win", "--trust"], ["report", "win.yaml"], ["export", "runs/win", "--to", "torch"]):
        done = ogive(*command)
        assert done.code == 2
        assert "the space and the estimator of this run cannot be loaded" in done.err


def test_a_search_without_weights_shows_the_reason_at_its_end(ogive: Ogive, tmp_path: Path) -> None:
    write(tmp_path, CODE.replace("trial.checkpoint(model=model.state_dict())", "pass"))
    done = ogive("search", "win.yaml")
    reason = "the train function finished a trial without calling trial.checkpoint()"
    assert f"no weights: {reason}" in done.out
    assert "--to torch" not in done.out
    assert f"no weights are kept: {reason}" in done.err  # the live view's last line
    for command in ("status", "top"):
        assert f"has no weights: {reason}" in ogive(command, "win.yaml").out
    ogive("report", "win.yaml", "--to", "md")
    assert f"has no weights: {reason}" in (tmp_path / "runs" / "win" / "report.md").read_text()
    done = ogive("finalize", "win.yaml", "--epochs", "1")
    assert done.err.startswith(f"warning: full training will save no weights either: {reason}")
    assert f"weights:  none: {reason}" in done.out
    done = ogive("finalize", "win.yaml", "--epochs", "1", "--retrain")
    assert "0 of 2 trainings are reused; 2 without weights are repeated" in done.err
    assert ogive("export", "win.yaml", "--to", "torch").code == 2
