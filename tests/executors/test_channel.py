"""Messages in frames: they are decoded correctly however their bytes are split, and other bytes cause a clear error."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogive.executors import channel as framing
from ogive.executors.channel import (
    MAGIC,
    MAX_BYTES,
    BlockingChannel,
    Channel,
    Decoder,
    Disconnected,
    ProtocolError,
    encode,
)
from ogive.executors.messages import check_message
from ogive.run.executor import Assignment

MESSAGES = st.lists(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()), max_size=5)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted(cut % (len(data) + 1) for cut in cuts)
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def decode(parts: list[bytes], received: list[object]) -> None:
    decoder = Decoder()
    for part in parts:
        decoder.feed(part)
        while (message := decoder.next()) is not None:
            received.append(message)
        assert not decoder.has_message


@given(MESSAGES, st.lists(st.integers(0), max_size=20))
def test_messages_do_not_depend_on_how_their_bytes_are_split(messages: list[object], cuts: list[int]) -> None:
    data = b"".join(encode(message) for message in messages)  # type: ignore[arg-type]
    received: list[object] = []
    decode(pieces(data, cuts), received)
    assert received == messages


@given(MESSAGES, st.binary(min_size=1), st.lists(st.integers(0), max_size=20))
def test_bytes_between_messages_are_an_error_however_they_are_split(
    messages: list[object], garbage: bytes, cuts: list[int]
) -> None:
    data = b"".join(encode(message) for message in messages)  # type: ignore[arg-type]
    if MAGIC.startswith(garbage[: len(MAGIC)]):
        garbage = b"\0" + garbage
    received: list[object] = []
    with pytest.raises(ProtocolError, match=r"found .* where a message begins"):
        decode(pieces(data + garbage, cuts), received)
    assert received == messages


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (MAGIC + struct.pack(">I", MAX_BYTES + 1), "a message of 64 MiB; at most 64 MiB"),
        (MAGIC + struct.pack(">I", 5) + b"hello", "not JSON"),
        (MAGIC + struct.pack(">I", 2) + b"\xff\xff", "not JSON"),
        (MAGIC + struct.pack(">I", 100_000) + b"[" * 100_000, "not JSON"),
        (MAGIC + struct.pack(">I", 2) + b"[]", "a list, not a JSON object"),
    ],
    ids=["too large", "no JSON", "no UTF-8", "too deep", "no object"],
)
def test_a_frame_without_a_message_is_an_error(frame: bytes, match: str) -> None:
    with pytest.raises(ProtocolError, match=match):
        decode([frame], [])


REPORT = {"is": "report", "step": 1, "metrics": {"loss": float("nan")}, "seconds": 0.5}


@pytest.mark.parametrize(
    "change",
    [
        {"is": "ready"},
        {"is": ["report"]},
        {"step": "1"},
        {"step": True},
        {"step": 0},
        {"step": 10},
        {"metrics": [0.5]},
        {"metrics": {"loss": "0.5"}},
        {"metrics": {"loss": 10**40}},
        {"seconds": float("inf")},
        {"seconds": -1.0},
        {"seconds": 10**40},
        {"status": "running"},
    ],
    ids=str,
)
def test_a_message_that_the_worker_would_not_send_now_is_an_error(change: dict[str, object]) -> None:
    assignment = Assignment(
        trial=0, attempt=1, choices={}, id="id", fidelity={"epochs": 9}, seed=0, folder="folder", max_step=20
    )
    check_message(json.loads(json.dumps(REPORT)), ("report", "end"), assignment)
    with pytest.raises(ProtocolError, match=r"found [\s\S]*expected"):
        check_message({**REPORT, **change}, ("report", "end"), assignment)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def test_a_channel_never_blocks(ends: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    channel, other = ends
    assert channel.receive() is None
    assert channel.is_drained
    frame = encode({"is": "ready"})
    other.send(frame[:-1])
    assert not channel.is_drained
    assert channel.receive() is None
    other.send(frame[-1:] + frame)
    assert channel.receive() == {"is": "ready"}
    assert channel.has_message
    assert channel.receive() == {"is": "ready"}
    large = {"settings": "x" * 3_000_000}
    channel.send(large)  # more than the socket has room for
    assert channel.interest & framing.selectors.EVENT_WRITE
    received = b""
    while len(received) < len(encode(large)):
        received += other.recv(2**20)
        channel.flush()
    assert received == encode(large)
    other.close()
    assert channel.receive() is None
    assert channel.is_closed
    channel.send(large)  # the other end is closed

    monkeypatch.setattr(framing, "MAX_BYTES", 1000)
    with pytest.raises(ProtocolError, match="at most"):
        encode(large)


def test_a_flood_of_bytes_is_read_in_turns(
    ends: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "MAX_RECEIVE_BYTES", 1000)
    monkeypatch.setattr(framing, "CHUNK_BYTES", 500)
    channel, other = ends
    frame = encode({"text": "x" * 5000})
    other.send(frame)
    turns = 1
    while channel.receive() is None:
        turns += 1
    assert turns == len(frame) // 1000 + 1


def test_a_blocking_channel_notices_that_its_descriptor_is_closed_or_reused() -> None:
    ours, theirs = socket.socketpair()
    descriptor = theirs.detach()
    channel = BlockingChannel(descriptor)
    channel.send({"is": "ready"})
    with open(os.devnull, "r+b") as file:
        os.dup2(file.fileno(), descriptor)
    for closed in (False, True):
        if closed:
            os.close(descriptor)
        with pytest.raises(Disconnected):
            channel.send({"is": "ready"})
        with pytest.raises(Disconnected):
            channel.receive()
    assert ours.recv(100) == encode({"is": "ready"})
    ours.close()


def test_a_report_may_be_beyond_the_fidelity_while_a_metric_is_missing() -> None:
    assignment = Assignment(
        trial=0,
        attempt=1,
        choices={},
        id="id",
        fidelity={"epochs": 9},
        seed=0,
        folder="folder",
        missing_metrics=("accuracy",),
        max_step=20,
    )
    check_message({**REPORT, "step": 20}, ("report",), assignment)
    with pytest.raises(ProtocolError, match="found step=21 in a message 'report'; expected 1 to 20"):
        check_message({**REPORT, "step": 21}, ("report",), assignment)
