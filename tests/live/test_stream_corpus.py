"""Every file of frames in tests/corpus against a real gunicorn; its README tells how they are written."""

from __future__ import annotations

import base64
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.stream_client import StreamClient

from .conftest import COMMAND, Gateway, served

FILES = sorted((Path(__file__).parents[1] / "corpus").glob("frames.*.ws"))
HANDSHAKE = (
    "GET /tango/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
MASK = b"\x01\x02\x03\x04"


@pytest.fixture(scope="module")
def streaming(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with served(COMMAND, tmp_path_factory.mktemp("frames") / "log") as gateway:
        yield gateway


def expand(text: str) -> str:
    return re.sub(r"<<(.+?)\*([0-9]+)>>", lambda part: part[1] * int(part[2]), text)


def read_frames(path: Path) -> Iterator[bytes]:
    for line in path.read_text("utf-8").splitlines():
        words = line.split(" ")
        if words[0] == "raw":
            yield bytes.fromhex(expand("".join(words[1:])))
            continue
        times = int(words.pop(0)[1:]) if words[0].startswith("x") else 1
        masked = words[0] != "unmasked"
        first, payload = bytes.fromhex(words[not masked]), expand(" ".join(words[1 + (not masked) :])).encode()
        yield times * (first + length(len(payload), masked) + (mask(payload) if masked else payload))


def length(size: int, masked: bool) -> bytes:
    bit = 0x80 * masked
    if size < 126:
        return bytes([size | bit])
    return (
        bytes([126 | bit]) + struct.pack("!H", size) if size < 65536 else bytes([127 | bit]) + struct.pack("!Q", size)
    )


def mask(payload: bytes) -> bytes:
    key = MASK * (len(payload) // 4 + 1)
    return MASK + bytes(one ^ other for one, other in zip(payload, key, strict=False))


def open_stream(gateway: Gateway) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
    connection.sendall(HANDSHAKE.encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"extensions" not in head.lower()
    return connection


def close_code(connection: socket.socket) -> int:
    """Read to the end, and return the code of the close frame, which is the last one."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    found = re.search(rb"\x88([\x02-\x7d])(..)[^\x88]*\Z", received, re.DOTALL)
    return struct.unpack("!H", found[2])[0] if found else 0


SLOW = "frames.fragments-empty-without-end.1009.ws"
"""Frames without number, of which the gateway takes seconds' worth before it closes."""


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] if path.name == SLOW else []) for path in FILES],
    ids=lambda path: path.name,
)
def test_hostile_frames_end_their_connection_alone(streaming: Gateway, path: Path) -> None:
    *_, wanted, _ = path.name.split(".")
    worker = streaming.worker().pid
    with StreamClient(streaming.port) as other, open_stream(streaming) as connection:
        sending = threading.Thread(target=send_all, args=(connection, list(read_frames(path))))
        sending.start()
        began = time.monotonic()
        other.send(ping=1)
        other.receive_until(lambda: other.pongs)
        assert time.monotonic() - began < 3 * 1.0
        if wanted == "open":
            sending.join()
            answers_ping(connection)
        else:
            assert close_code(connection) == int(wanted)
            sending.join()
        other.send(ping=2)
        other.receive_until(lambda: other.pongs == [1, 2])
    assert streaming.worker().pid == worker
    assert "Traceback" not in streaming.log.read_text("utf-8")


def send_all(connection: socket.socket, frames: list[bytes]) -> None:
    try:
        for frame in frames:
            connection.sendall(frame)
    except OSError:  # the gateway has closed it
        pass


def answers_ping(connection: socket.socket) -> None:
    """The last pong comes, whatever was refused before."""
    connection.sendall(b"\x89" + length(3, True) + mask(b"end"))
    received = b""
    while b"\x8a\x03end" not in received:
        more = connection.recv(65536)
        assert more, received[-200:]
        received += more
