"""Messages between the controller, its workers and their ranks: JSON objects in frames, over a stream socket.

A frame consists of `MAGIC`, the length of the body (4 bytes, big-endian), and the body, a JSON object in UTF-8.

A process that runs user code may stop in the middle of a frame, never read, or write anything to its socket. So the
controller uses a `Channel`, which never blocks, and which raises a `ProtocolError` for bytes that are not a frame. The
process that runs user code uses a `BlockingChannel`.
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
"""A message has at most this many bytes, without its header. This is enough for about two million metrics."""
MAX_RECEIVE_BYTES = 4 * 2**20
"""At most about this many bytes are read by one call of `Channel.receive`. So a process that floods its channel cannot block
the controller.
"""
CHUNK_BYTES = 2**18
"""The number of bytes that are read from a socket at a time."""


class ProtocolError(RunError):
    """The error for bytes in a channel that are not a valid message."""


class Disconnected(Exception):
    """The other end of a `BlockingChannel` is closed, or user code has closed this end."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the frame of a message.

    Raises:
        ProtocolError: the message is larger than `MAX_BYTES`.
    """
    body = json.dumps(message).encode()
    if len(body) > MAX_BYTES:
        raise ProtocolError(f"a message of {len(body) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} MiB are allowed")
    return HEADER.pack(MAGIC, len(body)) + body


class Decoder:
    """Decodes messages from bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        self._buffer += data

    @property
    def has_message(self) -> bool:
        """Whether `next` would return a message, or raise an error."""
        try:
            end = self._find_end()
        except ProtocolError:
            return True
        return end is not None and len(self._buffer) >= end

    def next(self) -> dict[str, Any] | None:
        """Remove the first message from the buffer and return it; None if it is not complete.

        Raises:
            ProtocolError: the bytes are not a frame, the frame is too large, or its body is not a JSON object.
        """
        end = self._find_end()
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

    def _find_end(self) -> int | None:
        """Return the position in the buffer at which the first frame ends; None if its header is not complete yet.

        Raises:
            ProtocolError: the bytes are not the beginning of a frame, or the frame is too large.
        """
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
    """The controller's end of a connection. It never blocks.

    Attributes:
        is_closed: whether no more messages will arrive.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.is_closed = False
        self._socket = connection
        self._decoder = Decoder()
        self._unsent = bytearray()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def interest(self) -> int:
        """The `selectors` events to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    @property
    def has_message(self) -> bool:
        """Whether the bytes that were read from the socket contain a complete message, which `receive` will return."""
        return not self.is_closed and self._decoder.has_message

    @property
    def is_drained(self) -> bool:
        """Whether there is nothing to read now."""
        if self.is_closed:
            return True
        if self.has_message:
            return False
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)  # no bytes: the other end is closed
        except OSError:  # no bytes have arrived, or the connection has failed
            return True

    def receive(self) -> dict[str, Any] | None:
        """Read from the socket and return the next message; None if it is not complete yet, or the channel is closed.

        At most about `MAX_RECEIVE_BYTES` are read.

        Raises:
            ProtocolError: the bytes that have arrived are not a message. The channel is then closed.
        """
        received_bytes = 0
        try:
            while (
                (message := self._decoder.next()) is None and not self.is_closed and received_bytes < MAX_RECEIVE_BYTES
            ):
                data = self._socket.recv(CHUNK_BYTES)
                self.is_closed = not data
                self._decoder.feed(data)
                received_bytes += len(data)
        except BlockingIOError:
            return None
        except (OSError, ProtocolError) as error:
            self.is_closed = True
            if isinstance(error, ProtocolError):
                raise
            return None
        return message

    def send(self, message: Mapping[str, Any]) -> None:
        """Send as many bytes of a message as the socket accepts; `flush` sends the remaining ones later.

        Raises:
            ProtocolError: the message is too large, or the other end has stopped reading its messages.
        """
        if len(self._unsent) > MAX_BYTES:
            raise ProtocolError(f"{len(self._unsent) / 2**20:.0f} MiB of answers were not read")
        self._unsent += encode(message)
        self.flush()

    def flush(self) -> None:
        """Send as many of the unsent bytes as the socket accepts."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # the other end is closed, which `receive` will notice
            self._unsent.clear()

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()


def _convert_error(error: OSError) -> Exception:
    """Return Disconnected for an error of a closed connection, else the error itself.

    Any other OSError, such as a TimeoutError, was raised by a signal handler of user code.
    """
    return Disconnected() if error.errno in (errno.EBADF, errno.EPIPE, errno.ECONNRESET) else error


class BlockingChannel:
    """The end of a connection in the process that runs user code. It blocks.

    User code may close the file descriptor of the socket, or open another file with the same descriptor. Both count as a
    closed connection.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._status = os.fstat(descriptor)
        self._decoder = Decoder()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            ProtocolError: the message is too large; nothing was sent.
            Disconnected: the other end is closed.
        """
        data = memoryview(encode(message))
        try:
            while data:
                self._check_descriptor()
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise _convert_error(error) from error

    def receive(self) -> dict[str, Any]:
        """Wait for a message and return it.

        Raises:
            ProtocolError: the bytes that have arrived are not a message.
            Disconnected: the other end is closed.
        """
        while (message := self._decoder.next()) is None:
            try:
                self._check_descriptor()
                data = os.read(self._descriptor, CHUNK_BYTES)
            except OSError as error:
                raise _convert_error(error) from error
            if not data:
                raise Disconnected
            self._decoder.feed(data)
        return message

    def close(self) -> None:
        os.close(self._descriptor)

    def _check_descriptor(self) -> None:
        """Raise Disconnected if user code has opened another file with this descriptor, an OSError if it has closed it."""
        if not os.path.samestat(os.fstat(self._descriptor), self._status):
            raise Disconnected
