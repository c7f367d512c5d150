"""Fashion-MNIST: 70,000 grey-scale images of clothes in ten classes, with an official test split of 10,000.

Xiao, Rasul and Vollgraf (2017), "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms". The
data are read from Debian's package `dataset-fashion-mnist` if it is installed. Otherwise they are downloaded once into a
cache folder.
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

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
"""The server of the authors. It has no https, so downloads are checked against `CHECKSUMS`."""
TIMEOUT_SECONDS = 30.0
"""The maximum time to wait for an answer of the server."""

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

CHECKSUMS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""The SHA-256 of each decompressed file. The compressed files of Debian differ from those of the authors."""


def load_arrays(
    package_folder: Path = DEBIAN_FOLDER, cache_folder: Path | None = None, url: str = URL
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Return images uint8 [70000, 28, 28], classes uint8 [70000], and the size of the test split, which comes last.

    Args:
        package_folder: the folder of Debian's package.
        cache_folder: the folder of downloaded files. By default it is `fashion-mnist` in the folder that the environment
            variable `OGIVE_CACHE` names or, if the variable is not set, in the user's cache folder.
        url: the server to download from.

    Raises:
        JobError: the files are missing and cannot be downloaded, or are not the published ones.
    """
    folder = package_folder if package_folder.is_dir() else cache_folder or _get_default_cache_folder()
    parts = [_parse_idx(_read_content(folder, name, url)) for name in CHECKSUMS]
    # In `CHECKSUMS`, files of images and files of labels alternate. The last file has the labels of the test split.
    return np.concatenate(parts[0::2]), np.concatenate(parts[1::2]), len(parts[3])


def is_available(package_folder: Path = DEBIAN_FOLDER, cache_folder: Path | None = None) -> bool:
    """Return whether all files are on this machine, so that nothing needs to be downloaded."""
    folder = package_folder if package_folder.is_dir() else cache_folder or _get_default_cache_folder()
    return all((folder / f"{name}.gz").is_file() for name in CHECKSUMS)


def _get_default_cache_folder() -> Path:
    import platformdirs

    return Path(os.environ.get("OGIVE_CACHE") or platformdirs.user_cache_dir("ogive")) / "fashion-mnist"


def _read_content(folder: Path, name: str, url: str) -> bytes:
    """Return the decompressed content of a file; download and store the file if it is missing.

    Raises:
        JobError: the file cannot be downloaded, is damaged, or has another checksum.
    """
    path = folder / f"{name}.gz"
    is_stored = path.is_file()
    compressed = path.read_bytes() if is_stored else _download(f"{url}/{name}.gz", folder)
    source = path if is_stored else f"{url}/{name}.gz"
    try:
        content = gzip.decompress(compressed)
    except (OSError, EOFError, zlib.error) as error:
        raise JobError(f"data 'fashion_mnist': {source} is damaged: {error}; {_format_remedy(path)}") from error
    checksum = hash_bytes(content, digits=ALL_DIGITS)
    if checksum != CHECKSUMS[name]:
        raise JobError(
            f"data 'fashion_mnist': {source} is not the published file: its SHA-256 starts with {checksum[:16]} instead of "
            f"{CHECKSUMS[name][:16]}; {_format_remedy(path)}"
        )
    if not is_stored:
        _store_download(path, compressed)
    return content


def _download(url: str, folder: Path) -> bytes:
    """Return the content of a URL.

    Raises:
        JobError: the URL cannot be downloaded; the message names `folder`, where the user can put the files.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            return bytes(response.read())
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        raise JobError(
            f"data 'fashion_mnist': {url} cannot be downloaded ({error}), and the files are neither in {DEBIAN_FOLDER} nor "
            f"in {folder}; install Debian's package dataset-fashion-mnist, or put the four .gz files into {folder}"
        ) from error


def _store_download(path: Path, compressed: bytes) -> None:
    """Write the file in one step, so that other processes never read an incomplete file."""
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(compressed), temporary)
    except OSError as error:
        raise JobError(
            f"data 'fashion_mnist': cannot be stored in {path.parent}: {error}; choose another folder by the environment "
            "variable OGIVE_CACHE"
        ) from error


def _format_remedy(path: Path) -> str:
    return f"reinstall dataset-fashion-mnist, or remove {path} to download it again"


def _parse_idx(content: bytes) -> NDArray[np.uint8]:
    """Parse an array in the IDX format: two zeros, the type (8: bytes), the number of dimensions, their sizes, the data."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
