"""Messages between a controller, its workers and their ranks: JSON objects in frames, over a stream socket.

A frame is `MAGIC`, the length of what follows (4 bytes, big-endian), and a JSON object in UTF-8. A process that runs user
code may stop in the middle of a frame, never read, or write anything to its end. So the controller's end (`Channel`) never
blocks, and bytes that are no frame are a `ProtocolError`. The end of the process that runs user code (`Line`) blocks.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import struct
from collections.abc import Mapping
from typing import Any

from ogive.errors import RunError

MAGIC = b"ogv1"
HEADER = struct.Struct(">4sI")
MAX_BYTES = 64 * 2**20
"""The largest message, without its header: about two million metrics."""
TURN_BYTES = 4 * 2**20
"""How much one call of `Channel.receive` reads, so that one process that floods its channel cannot occupy the controller."""
CHUNK_BYTES = 2**18


class ProtocolError(RunError):
    """The bytes in a channel are no message."""


class Disconnected(Exception):
    """The other end of a `Line` is closed, or user code has closed this one."""


def encode(message: Mapping[str, Any]) -> bytes:
    """The frame of a message.

    Raises:
        ProtocolError: it is larger than `MAX_BYTES`.
    """
    body = json.dumps(message).encode()
    if len(body) > MAX_BYTES:
        raise ProtocolError(f"a message of {len(body) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are allowed")
    return HEADER.pack(MAGIC, len(body)) + body


class Decoder:
    """Messages from bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def complete(self) -> bool:
        """Whether `next` returns a message, or raises."""
        try:
            end = self._end()
        except ProtocolError:
            return True
        return end is not None and len(self._buffer) >= end

    def next(self) -> dict[str, Any] | None:
        """Take the first message out of the buffer; None if it is not complete.

        Raises:
            ProtocolError: the bytes are no frame, the frame is too large, or its content is no JSON object.
        """
        end = self._end()
        if end is None or len(self._buffer) < end:
            return None
        body = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"found a message that is not JSON: {error}") from error
        if not isinstance(message, dict):
            raise ProtocolError(f"found a message that is a {type(message).__name__}, not a JSON object")
        return message

    def _end(self) -> int | None:
        """Where the first frame ends in the buffer; None before its header is complete."""
        if not MAGIC.startswith(self._buffer[: len(MAGIC)]):
            raise ProtocolError(f"found {bytes(self._buffer[:16])!r} where a message begins")
        if len(self._buffer) < HEADER.size:
            return None
        length: int = HEADER.unpack_from(self._buffer)[1]
        if length > MAX_BYTES:
            raise ProtocolError(
                f"found a message of {length / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are allowed"
            )
        return HEADER.size + length


class Channel:
    """The end that never blocks.

    Attributes:
        closed: nothing more will arrive.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.closed = False
        self._socket = connection
        self._decoder = Decoder()
        self._unsent = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def interest(self) -> int:
        """The events to select for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    @property
    def pending(self) -> bool:
        """Whether `receive` need not wait for the socket."""
        return not self.closed and self._decoder.complete

    @property
    def quiet(self) -> bool:
        """Whether there is nothing that `receive` could read now."""
        if self.closed or self.pending:
            return self.closed
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def receive(self) -> dict[str, Any] | None:
        """The next message; None if none is complete after `TURN_BYTES` or all that has arrived.

        Raises:
            ProtocolError: what has arrived is no message. The channel is closed.
        """
        count = 0
        try:
            while (message := self._decoder.next()) is None and not self.closed and count < TURN_BYTES:
                data = self._socket.recv(CHUNK_BYTES)
                self.closed = not data
                self._decoder.feed(data)
                count += len(data)
        except BlockingIOError:
            return None
        except (OSError, ProtocolError) as error:
            self.closed = True
            if isinstance(error, ProtocolError):
                raise
            return None
        return message

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message, as far as the other end has room for it; `flush` sends the rest.

        Raises:
            ProtocolError: it is too large, or the other end has not read many messages before it.
        """
        if len(self._unsent) > MAX_BYTES:
            raise ProtocolError(f"{len(self._unsent) / 2**20:.0f} MiB of answers were not read")
        self._unsent += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the other end has room for it."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # the other end is gone, which `receive` notices
            self._unsent.clear()

    def close(self) -> None:
        self.closed = True
        self._socket.close()


def _disconnected(error: OSError) -> Exception:
    """What an error means: that of another number was raised by a signal handler of the user's, such as a TimeoutError."""
    return Disconnected() if error.errno in (errno.EBADF, errno.EPIPE, errno.ECONNRESET) else error


class Line:
    """The end that blocks: of the process that runs user code, which may close its descriptor or use it for another file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._socket = os.fstat(descriptor)
        self._decoder = Decoder()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            ProtocolError: it is too large; nothing was sent.
            Disconnected: nobody would receive it.
        """
        data = memoryview(encode(message))
        try:
            while data:
                self._check()
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise _disconnected(error) from error

    def receive(self) -> dict[str, Any]:
        """Wait for a message.

        Raises:
            ProtocolError: what has arrived is no message.
            Disconnected: no message will arrive.
        """
        while (message := self._decoder.next()) is None:
            try:
                self._check()
                data = os.read(self._descriptor, CHUNK_BYTES)
            except OSError as error:
                raise _disconnected(error) from error
            if not data:
                raise Disconnected
            self._decoder.feed(data)
        return message

    def close(self) -> None:
        os.close(self._descriptor)

    def _check(self) -> None:
        if not os.path.samestat(os.fstat(self._descriptor), self._socket):
            raise Disconnected
