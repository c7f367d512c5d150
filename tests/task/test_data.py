"""Data sets: equal data from all sources, and errors for invalid data."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from ogive import task
from ogive.errors import JobError, MissingExtra
from ogive.task.datasets import from_arrays, read_data

X = np.random.default_rng(0).random((40, 1, 4, 4))
Y = np.arange(40) % 4


def test_digits_are_the_data_of_scikit_learn() -> None:
    data = task.load("digits")
    assert data.x.shape == (1797, 1, 8, 8)
    assert data.x.dtype == np.float32
    assert (data.x.min(), data.x.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(data.x[:, 0] * 16, load_digits().images)
    np.testing.assert_array_equal(data.y, load_digits().target)


def test_a_dataset_and_its_tensors_and_arrays_have_one_fingerprint() -> None:
    dataset = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(Y))
    sources = (dataset, (X, Y), dataset.tensors, (X.tolist(), Y.tolist()))
    fingerprints = {read_data(source).fingerprint for source in sources}
    assert len(fingerprints) == 1
    changed = X.copy()
    changed[3, 0, 1, 1] += 0.5
    assert from_arrays(changed, Y).fingerprint not in fingerprints
    assert from_arrays(X.reshape(40, 4, 4, 1), Y).fingerprint not in fingerprints
    assert from_arrays(X, Y[::-1]).fingerprint not in fingerprints


class Ragged(Dataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(1, 4 + index), index


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.zeros(1), 0)])


class Huge(Dataset):
    def __len__(self) -> int:
        return 10**12

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(3, 224, 224), 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((X, Y[:-1]), "40 examples but 39 labels"),
        ((np.where(X > 0.99, np.nan, X), Y), "have NaN or infinite features, the first is example"),
        ((X * 1e300, Y), "have NaN or infinite"),
        ((X.astype(str), Y), "features have dtype <U"),
        ((X[:, 0, 0, 0], Y), r"features have shape \(40,\)"),
        ((X, Y * 1.0), "labels have dtype float64, but must be integers"),
        ((X, Y + 1), r"4 different labels from 1 to 4, but they must be 0..3.*numpy.unique"),
        ((X, Y * 2), "4 different labels from 0 to 6"),
        ((X, Y * 0), "all labels are 0"),
        ((X, np.eye(4)[Y]), r"labels have shape \(40, 4\)"),
        (X, r"found ndarray of shape \(40, 1, 4, 4\)"),
        ("digit", "no data set 'digit' .did you mean 'digits'"),
        (Ragged(), r"item 1 has shape \(1, 5\), but item 0 has \(1, 4\)"),
        (Stream(), "found Stream"),
        (Huge(), "GiB as float32, but this machine has .* use a subset"),
        (TensorDataset(torch.zeros(4, 2)), "item 0 is tuple; items must be pairs"),
        ([(1, 2), (3, 4)], "found list"),
    ],
)
def test_invalid_data_are_an_error(source: object, message: str) -> None:
    with pytest.raises(JobError, match=message):
        read_data(source)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"'digits' needs the package 'scikit-learn': pip install 'ogive\[data\]'"):
        task.load("digits")


class Noisy(Dataset):
    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.rand(3), index % 2


def test_data_that_differ_between_processes_are_an_error() -> None:
    noisy = task.classification(Noisy(), test=0.2, validation=0.2)
    noisy.prepare()
    with pytest.raises(JobError, match="the data must be the same in every process"):
        pickle.loads(pickle.dumps(noisy)).prepare()


def test_a_pickled_task_is_small_and_has_the_same_split_in_another_process() -> None:
    digits = task.classification("digits", test=500, validation=500, train=300, seed=3)
    fingerprints = digits.fingerprints()
    pickled = pickle.dumps(digits)
    assert len(pickled) < 1000
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).fingerprints())"
    output = subprocess.run([sys.executable, "-c", code], input=pickled, capture_output=True, check=True).stdout
    assert output.decode().strip() == str(fingerprints)


def test_the_packages_do_not_import_torch() -> None:
    code = "import sys, ogive.task, ogive.estimate; assert not {'torch', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
