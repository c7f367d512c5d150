"""Reading TFRecord files, and the protocol-buffer messages of NAS-Bench-101 inside them, without TensorFlow.

A record consists of its length (8 bytes), the masked CRC-32C of the length (4), the data, and the masked CRC-32C of the data
(4), all little-endian. The checksums of the lengths are verified, which detects truncated files and other formats early.
The checksums of the data are not verified, because that would take hours for gigabytes in Python; damaged JSON or messages
raise errors anyway.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ogive.errors import JobError

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8


def _make_crc_table() -> list[int]:
    """Return the CRC-32C of each of the 256 bytes."""
    entries = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (_POLYNOMIAL if remainder & 1 else 0)
        entries.append(remainder)
    return entries


_CRC_TABLE = _make_crc_table()


def compute_masked_crc(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`, masked as in TFRecord: rotated by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the data of each record of a TFRecord file.

    Raises:
        JobError: the file cannot be read, is truncated, or has another format.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise JobError(f"{path}: {error}") from error
    with file:
        number = 0
        while header := file.read(12):
            number += 1
            yield _read_record(file, header, f"{path}: record {number}")


def _read_record(file: IO[bytes], header: bytes, location: str) -> bytes:
    """Return the data of the record that starts with `header`, the 12 bytes of length and checksum.

    Raises:
        JobError: the record is truncated, or the checksum of its length is wrong.
    """
    if len(header) < 12:
        raise JobError(f"{location} is truncated; download the file again")
    length, checksum = struct.unpack("<QI", header)
    if compute_masked_crc(header[:8]) != checksum:
        raise JobError(f"{location} has a wrong checksum; the file is damaged, or is not a TFRecord file")
    body = file.read(length + 4)
    if len(body) < length + 4:
        raise JobError(f"{location} is truncated; download the file again")
    return body[:length]


def read_fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value) of each field of a protocol-buffer message.

    The value is an int (wire type varint), a float (64-bit, read as a double) or bytes (length-delimited).

    Raises:
        JobError: the message is truncated, or uses another wire type.
    """
    offset = 0
    try:
        while offset < len(message):
            tag, offset = _read_varint(message, offset)
            match tag & 7:
                case 0:
                    value, offset = _read_varint(message, offset)
                    yield tag >> 3, value
                case 1:
                    yield tag >> 3, struct.unpack_from("<d", message, offset)[0]
                    offset += 8
                case 2:
                    length, offset = _read_varint(message, offset)
                    yield tag >> 3, message[offset : offset + length]
                    offset += length
                case wire_type:
                    raise JobError(
                        f"a protocol-buffer field has wire type {wire_type}, which NAS-Bench-101 does not use"
                    )
    except (IndexError, struct.error) as error:
        raise JobError(f"a protocol-buffer message is truncated: {error}") from error


def _read_varint(message: bytes, offset: int) -> tuple[int, int]:
    """Return the varint at `offset`, and the offset behind it."""
    value = shift = 0
    while True:
        byte = message[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
