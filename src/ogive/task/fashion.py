"""Fashion-MNIST: 70,000 small grey pictures of clothes in ten classes, with an official test split of 10,000.

Xiao, Rasul and Vollgraf (2017), "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms". Read
from Debian's package `dataset-fashion-mnist` where it is installed; else downloaded once into the user's cache folder.
"""

from __future__ import annotations

import gzip
import http.client
import os
import urllib.request
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ogive.errors import JobError
from ogive.files import replace_file
from ogive.hashing import ALL_DIGITS, hash_bytes

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"  # the authors' own; it has no https, hence checksums
TIMEOUT = 30.0  # seconds without an answer

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

CONTENTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""The files, and the SHA-256 of what is in them: packages compress them anew, so the compressed files differ."""


def arrays(
    packaged: Path = DEBIAN, cache: Path | None = None, url: str = URL
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Pictures uint8 [70000, 28, 28], classes uint8 [70000], and how many of the last ones are the official test split.

    Args:
        packaged: where Debian's package puts the files.
        cache: where downloaded files are kept. Default: the user's cache folder, or below `OGIVE_CACHE`.
        url: where they are downloaded from.

    Raises:
        JobError: the files are nowhere and cannot be downloaded, or are not what was published.
    """
    folder = packaged if packaged.is_dir() else cache or _cache()
    parts = [_idx(_content(folder, name, url)) for name in CONTENTS]
    return np.concatenate(parts[0::2]), np.concatenate(parts[1::2]), len(parts[3])


def available(packaged: Path = DEBIAN, cache: Path | None = None) -> bool:
    """Whether all files are here, so that nothing would be downloaded."""
    folder = packaged if packaged.is_dir() else cache or _cache()
    return all((folder / f"{name}.gz").is_file() for name in CONTENTS)


def _cache() -> Path:
    import platformdirs

    return Path(os.environ.get("OGIVE_CACHE") or platformdirs.user_cache_dir("ogive")) / "fashion-mnist"


def _content(folder: Path, name: str, url: str) -> bytes:
    """What is in one file, downloaded if need be, and seen to be what was published."""
    path = folder / f"{name}.gz"
    here = path.is_file()
    packed = path.read_bytes() if here else _download(f"{url}/{name}.gz", folder)
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise JobError(f"data 'fashion_mnist': {path if here else url} is damaged: {error}; {_remedy(path)}") from error
    found = hash_bytes(content, digits=ALL_DIGITS)
    if found != CONTENTS[name]:
        raise JobError(
            f"data 'fashion_mnist': {path if here else f'{url}/{name}.gz'} is not what was published: its SHA-256 begins "
            f"with {found[:16]}, not {CONTENTS[name][:16]}; {_remedy(path)}"
        )
    if not here:
        _keep(path, packed)
    return content


def _download(url: str, folder: Path) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return bytes(answer.read())
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise JobError(
            f"data 'fashion_mnist': {url} cannot be downloaded ({error}), and the files are neither in {DEBIAN} nor in "
            f"{folder}; install Debian's package dataset-fashion-mnist, or put the four .gz files into {folder}"
        ) from error


def _keep(path: Path, packed: bytes) -> None:
    """Write the file in one step, so that other processes never see half of it."""
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(packed), draft)
    except OSError as error:
        raise JobError(
            f"data 'fashion_mnist': cannot be kept in {path.parent}: {error}; name another folder with OGIVE_CACHE"
        ) from error


def _remedy(path: Path) -> str:
    return f"reinstall dataset-fashion-mnist, or remove {path} to download it again"


def _idx(content: bytes) -> NDArray[np.uint8]:
    """An array of bytes in the IDX format: two zeros, the type (8), the number of dimensions, their sizes, the bytes."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
