"""The first commands of a new user, in processes: init, check, search, status, top, report, export."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def ogive(folder: Path, *arguments: str) -> str:
    """Run the command in `folder`, and return its output."""
    command = [sys.executable, "-m", "ogive", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `init`, `check` and a short `search` have been run."""
    folder = tmp_path_factory.mktemp("first")
    assert "ogive search digits/job.yaml" in ogive(folder, "init", "digits")
    checked = json.loads(ogive(folder, "check", "digits/job.yaml", "--samples", "20", "--json"))
    assert checked["ok"]
    assert checked["size"] == 3 * 2 * (2 + 4 + 8)
    done = ogive(folder, "search", "digits/job.yaml", "--max-trials", "4")
    assert "the search ended: all 4 trials are done" in done
    assert "Conv" in done or "block" in done  # the drawing
    return folder


def test_the_best_is_shown(searched: Path) -> None:
    (best,) = json.loads(ogive(searched, "top", "digits/job.yaml", "-k", "1", "--json"))
    status = json.loads(ogive(searched, "status", "digits/runs/job", "--json"))
    assert status["best"] == best
    assert best["metrics"]["parameters"] > 1000
    assert 0.1 < best["metrics"]["accuracy"] <= 1


def test_a_report_is_written_from_anywhere(searched: Path, tmp_path: Path) -> None:
    path = Path(ogive(tmp_path, "report", str(searched / "digits" / "runs" / "job"), "-o", "page.html").strip())
    assert "<svg" in (tmp_path / path).read_text()


def test_the_best_model_is_exported_from_anywhere(searched: Path, tmp_path: Path) -> None:
    run = str(searched / "digits" / "runs" / "job")
    written = ogive(
        tmp_path, "export", run, "--trial", "best", "--to", "torch", "--input", "1,8,8", "-o", "model"
    ).split()
    assert {"model.pt2", "weights.safetensors", "predict.py"} <= {Path(path).name for path in written}
    description = json.loads(ogive(tmp_path, "export", run, "--trial", "best", "--to", "json"))
    assert "width" in json.dumps(description)


def test_init_does_not_replace_files(searched: Path) -> None:
    before = (searched / "digits" / "space.py").read_text()
    command = [sys.executable, "-m", "ogive", "init", "digits"]
    done = subprocess.run(command, cwd=searched, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "job.yaml, space.py, train.py exist already" in done.stderr
    assert (searched / "digits" / "space.py").read_text() == before


def test_a_preflight_that_fails_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(
        "import ogive as og\nfrom torch import nn\n\n"
        "net = og.layer(nn.Sequential, og.layer(nn.Conv2d, 1, 4, og.one_of(3, 9, name='kernel')))\n"
        "space = og.Space(net, example_input=(1, 8, 8))\n\n"
        "def train(model, trial):\n    pass\n"
    )
    (tmp_path / "job.yaml").write_text("space: space.py:space\ntrain: space.py:train\n")
    command = [sys.executable, "-m", "ogive", "check", "job.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "smallest architecture with this failure: Architecture(kernel=9)" in done.stdout
    assert "Conv2d" in done.stdout
