"""Pickles from outside, read without running code: plain containers and numbers, NumPy's arrays, and listed stand-ins.

A pickle may name any importable callable and call it. Here a name that is not on the list is an error before it is
imported, so a file that was tampered with cannot do more than be refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ogive.errors import JobError

_ARRAY = np.zeros(1).__reduce__()[0]
_SCALAR = np.float64(1).__reduce__()[0]
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
"""What files of `torch.save` began with before PyTorch 1.6, when they became zip archives."""


def _latin1(text: str, encoding: str) -> bytes:
    """The bytes that pickles of protocol 2 hold as text; any other encoding would be none of theirs."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}, which no table of numbers needs")
    return text.encode("latin1")


_SAFE: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "list"): list,
    ("builtins", "dict"): dict,
    ("builtins", "tuple"): tuple,
    ("_codecs", "encode"): _latin1,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _ARRAY for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
}


class Record:
    """Stands in for a class of the file's writer: keeps the attributes, none of the behaviour."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], stand_ins: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file)
        self._allowed = {**_SAFE, **stand_ins}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no table of numbers needs")
        return self._allowed[module, name]


def load_pickle(file: IO[bytes], where: Path, stand_ins: Mapping[tuple[str, str], Any] | None = None) -> Any:
    """What a pickle holds, if it holds nothing but data.

    Args:
        file: open for reading bytes.
        where: the file's name, for errors.
        stand_ins: what takes the place of a class of the writer's, by (module, name), such as `WalkRecord`.

    Raises:
        JobError: the file asks for anything else, or cannot be read.
    """
    try:
        return _Unpickler(file, stand_ins or {}).load()
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise JobError(f"{where}: cannot be read as a table: {error}; download it again from its publisher") from error


def load_saved(path: Path) -> Any:
    """What a file of `torch.save` holds, if that is nothing but data without tensors; PyTorch is not needed.

    PyTorch's own reader of untrusted files (`weights_only`) is written in Python, and many times slower.

    Raises:
        JobError: it is no such file, asks for anything else, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                return _load_legacy(file, path)
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(found) != 1:
                raise JobError(f"{path}: is no file that torch.save wrote: the archive has no data.pkl")
            with archive.open(found[0]) as member:
                return load_pickle(member, path)
    except (OSError, zipfile.BadZipFile) as error:
        raise JobError(f"{path}: cannot be read: {error}") from error


def _load_legacy(file: IO[bytes], path: Path) -> Any:
    try:
        head = [_Unpickler(file, {}).load() for _ in range(3)]  # the third tells the machine's sizes of integers
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise JobError(f"{path}: is no file that torch.save wrote: {error}") from error
    if head[:2] != [_MAGIC, _VERSION]:
        raise JobError(f"{path}: is no file that torch.save wrote: it begins with another pickle")
    return load_pickle(file, path)
