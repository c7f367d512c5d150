"""Hashes of values and contents: the first hexadecimal digits of SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import Any

DIGITS = 16
"""By default, a hash has this many hexadecimal digits."""
ALL_DIGITS = 64
"""The number of hexadecimal digits of a complete SHA-256 hash."""


def hash_bytes(*parts: bytes | memoryview, digits: int = DIGITS) -> str:
    """Return the hash of the concatenated `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:digits]


def hash_text(text: str, digits: int = DIGITS) -> str:
    """Return the hash of `text` in UTF-8."""
    return hash_bytes(text.encode(), digits=digits)


def hash_json(value: Any, digits: int = DIGITS) -> str:
    """Return the hash of `value` as JSON with sorted keys."""
    return hash_text(json.dumps(value, sort_keys=True), digits)
