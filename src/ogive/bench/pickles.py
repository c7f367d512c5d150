"""Reading untrusted pickles that contain containers, numbers and NumPy arrays, without running code.

A pickle can name any importable callable and call it. Here only listed names are allowed, and classes can be replaced. Any
other name is an error before it is imported, so a malicious file cannot run code.
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

_RECONSTRUCT_ARRAY = np.zeros(1).__reduce__()[0]
_RECONSTRUCT_SCALAR = np.float64(1).__reduce__()[0]
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
"""The first two values in files that `torch.save` wrote before PyTorch 1.6; newer files are zip archives."""


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Encode text as Latin-1. Unpickling calls this function in place of `_codecs.encode`.

    Pickles of protocol 2 store bytes as text, always in Latin-1.
    """
    if encoding != "latin1":
        raise pickle.UnpicklingError(
            f"the file requests the encoding {encoding!r}, which a table of numbers does not need"
        )
    return text.encode("latin1")


_SAFE_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "list"): list,
    ("builtins", "dict"): dict,
    ("builtins", "tuple"): tuple,
    ("_codecs", "encode"): _encode_latin1,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT_ARRAY for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _RECONSTRUCT_SCALAR for core in ("core", "_core")},
}


class Record:
    """A replacement for a class in the file: it has the attributes, but no methods."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class _Unpickler(pickle.Unpickler):
    """An unpickler that allows only the names in `_SAFE_NAMES` and `replacements`."""

    def __init__(self, file: IO[bytes], replacements: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file)
        self._allowed = {**_SAFE_NAMES, **replacements}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"the file requests {module}.{name}, which a table of numbers does not need")
        return self._allowed[module, name]


def load_pickle(file: IO[bytes], path: Path, replacements: Mapping[tuple[str, str], Any] | None = None) -> Any:
    """Return the object in a pickle that contains data only.

    Args:
        file: the file, open for reading bytes.
        path: the path of the file, for error messages.
        replacements: for each (module, name) of a class in the file, the class to use instead, such as `Record`.

    Raises:
        JobError: the pickle requests a name that is not allowed, or cannot be read.
    """
    try:
        return _Unpickler(file, replacements or {}).load()
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise JobError(f"{path}: cannot be read as a table: {error}; download it again from its publisher") from error


def load_torch_file(path: Path) -> Any:
    """Return the object in a file of `torch.save` that contains data without tensors; PyTorch is not needed.

    PyTorch can read untrusted files as well (`weights_only`), but its reader is written in Python and many times slower.

    Raises:
        JobError: it is not such a file, requests a name that is not allowed, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                return _load_legacy_file(file, path)
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(members) != 1:
                raise JobError(f"{path}: is not a file of torch.save: the archive has no data.pkl")
            with archive.open(members[0]) as member:
                return load_pickle(member, path)
    except (OSError, zipfile.BadZipFile) as error:
        raise JobError(f"{path}: cannot be read: {error}") from error


def _load_legacy_file(file: IO[bytes], path: Path) -> Any:
    """Return the object in a file of PyTorch before version 1.6: three pickles, then the object."""
    try:
        # The third value, the sizes of integers, is not needed.
        header_values = [_Unpickler(file, {}).load() for _ in range(3)]
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise JobError(f"{path}: is not a file of torch.save: {error}") from error
    if header_values[:2] != [_MAGIC, _VERSION]:
        raise JobError(f"{path}: is not a file of torch.save: it does not start with the magic number of torch.save")
    return load_pickle(file, path)
