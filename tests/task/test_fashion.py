"""Fashion-MNIST: its data, its official test split, and the checks of downloads."""

from __future__ import annotations

import functools
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ogive as og
from ogive.errors import JobError
from ogive.task import fashion

needs_data = pytest.mark.skipif(
    not fashion.is_available(),
    reason="Fashion-MNIST is missing: install Debian's package dataset-fashion-mnist, or use the data set once online",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL at which it is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@needs_data
def test_the_data_are_the_published_ones_with_the_official_test_split() -> None:
    task = og.task.fashion_mnist()
    assert task.example_input == (1, 28, 28)
    assert task.data.class_counts.tolist() == [7000] * 10
    assert (task.data.x.min(), task.data.x.max()) == (0.0, 1.0)
    assert sorted(task.split.test) == list(range(60_000, 70_000))
    assert len(task.split.train) == 54_000
    # Xiao et al. (2017): the first training example is an ankle boot; mean pixel 0.2860 of the 60,000
    assert task.data.y[0] == 9
    assert task.data.x[:60_000].mean() == pytest.approx(0.2860, abs=5e-5)
    assert task.warnings() == []


@needs_data
def test_another_test_split_needs_an_argument_and_gives_a_warning() -> None:
    task = og.task.fashion_mnist(split="70/15/15")
    assert [task.describe()["sizes"][part] for part in ("train", "validation", "test")] == [49_000, 10_500, 10_500]
    assert "official test split" in task.warnings()[0]


@needs_data
def test_a_download_is_stored_and_used_again(server: tuple[Path, str], tmp_path: Path) -> None:
    served, url = server
    for name in fashion.CHECKSUMS:
        source = (
            next(p for p in (fashion.DEBIAN_FOLDER, fashion._get_default_cache_folder()) if p.is_dir()) / f"{name}.gz"
        )
        (served / source.name).write_bytes(source.read_bytes())
    no_package, cache = tmp_path / "no package", tmp_path / "cache"
    x, y, test_size = fashion.load_arrays(no_package, cache, url)
    assert (x.shape, y.shape, test_size) == ((70_000, 28, 28), (70_000,), 10_000)
    assert fashion.is_available(no_package, cache)
    np.testing.assert_array_equal(
        x, fashion.load_arrays(no_package, cache, "http://127.0.0.1:9")[0]
    )  # no network is used


def test_files_that_are_not_the_published_ones_are_errors(server: tuple[Path, str], tmp_path: Path) -> None:
    served, url = server
    name = next(iter(fashion.CHECKSUMS))
    (served / f"{name}.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(JobError, match=r"train-images.* is not the published file: its SHA-256 starts with"):
        fashion.load_arrays(tmp_path / "none", tmp_path / "cache", url)
    assert not (tmp_path / "cache").exists()
    (served / f"{name}.gz").write_bytes(b"half of i")
    with pytest.raises(JobError, match="is damaged"):
        fashion.load_arrays(tmp_path / "none", tmp_path / "cache", url)


def test_without_network_the_error_says_how_to_install_the_data(tmp_path: Path) -> None:
    with pytest.raises(
        JobError, match=r"cannot be downloaded .* install Debian's package dataset-fashion-mnist, or put"
    ):
        fashion.load_arrays(tmp_path / "none", tmp_path / "cache", "http://127.0.0.1:9")
