"""TFRecord files and the one protocol-buffer message that NAS-Bench-101 keeps in them, read without TensorFlow.

A record is: length (8 bytes), masked CRC-32C of the length (4), data, masked CRC-32C of the data (4), little-endian.
Checksums of the lengths are verified, which finds truncated and foreign files at once; those of the data are left to the
JSON and the protocol buffer inside, for verifying gigabytes in Python takes hours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ogive.errors import JobError

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8


def _table() -> list[int]:
    entries = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
        entries.append(byte)
    return entries


_CRC = _table()


def masked_crc(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`, rotated and offset as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file.

    Raises:
        JobError: the file is truncated, or is none.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise JobError(f"{path}: {error}") from error
    with file:
        number = 0
        while head := file.read(12):
            number += 1
            yield _record(file, head, f"{path}: record {number}")


def _record(file: IO[bytes], head: bytes, where: str) -> bytes:
    if len(head) < 12:
        raise JobError(f"{where} is cut off; download the file again")
    length, check = struct.unpack("<QI", head)
    if masked_crc(head[:8]) != check:
        raise JobError(f"{where} has a wrong checksum; this is no TFRecord file, or it is damaged")
    body = file.read(length + 4)
    if len(body) < length + 4:
        raise JobError(f"{where} is cut off; download the file again")
    return body[:length]


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol-buffer message: numbers with an int (varint), a float (double) or bytes.

    Raises:
        JobError: it is no such message.
    """
    place = 0
    try:
        while place < len(message):
            tag, place = _varint(message, place)
            match tag & 7:
                case 0:
                    value, place = _varint(message, place)
                    yield tag >> 3, value
                case 1:
                    yield tag >> 3, struct.unpack_from("<d", message, place)[0]
                    place += 8
                case 2:
                    length, place = _varint(message, place)
                    yield tag >> 3, message[place : place + length]
                    place += length
                case other:
                    raise JobError(f"a protocol-buffer field has wire type {other}, which NAS-Bench-101 does not use")
    except (IndexError, struct.error) as error:
        raise JobError(f"a protocol-buffer message is cut off: {error}") from error


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
