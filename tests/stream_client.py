"""A client of the WebSocket at /tango/stream."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy
import websocket

HEADER = struct.Struct("<BBBBIIIqqII")
TYPES = {1: "u1", 2: "<i2", 3: "<u2", 4: "<i4", 5: "<u4", 6: "<i8", 7: "<u8", 8: "<f4", 9: "<f8", 10: "?"}
SECONDS = 15


class BinaryRecord(NamedTuple):
    version: int
    kind: int
    dimensions: int
    quality: int
    id: int
    sequence: int
    missed: int
    time: int
    came: int
    width: int
    height: int
    data: numpy.ndarray


class StreamClient:
    """records: all that have come; size: bytes of the frames."""

    def __init__(self, port: int, path: str = "/tango/stream", **options: Any) -> None:
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{port}{path}", timeout=SECONDS, **options)
        self.records = list[dict[str, Any]]()
        self.configurations = list[dict[str, Any]]()
        self.failures = list[dict[str, Any]]()
        self.binary = list[BinaryRecord]()
        self.pongs = list[Any]()
        self.size = self.frames = 0
        self.closed: tuple[int, str] | None = None

    def __enter__(self) -> StreamClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.socket.shutdown()

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def follow(self, device: str, *attributes: str, first: int = 1, **more: Any) -> None:
        """Subscribe to attributes; their ids are counted from `first`."""
        wishes = [
            {"id": number, "device": device, "attribute": name, **more} for number, name in enumerate(attributes, first)
        ]
        self.send(subscribe=wishes)

    def receive(self) -> None:
        """Take one frame; the sequence number of one with data is the next one."""
        opcode, data = self.socket.recv_data(control_frame=True)
        if opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):  # a ping is answered already
            return
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self.closed = struct.unpack("!H", data[:2])[0], data[2:].decode()
            return
        self.frames += 1
        self.size += len(data)
        if opcode == websocket.ABNF.OPCODE_BINARY:
            kind = TYPES[data[1]]
            self.binary.append(BinaryRecord(*HEADER.unpack_from(data), numpy.frombuffer(data, kind, -1, HEADER.size)))
            assert self.binary[-1].sequence == self.frames
            return
        frame = json.loads(data)
        assert frame["seq"] == self.frames
        self.records += frame.get("records", [])
        self.configurations += frame.get("configurations", [])
        self.failures += frame.get("failures", [])
        self.pongs += [frame["pong"]] if "pong" in frame else []

    def receive_until(self, done: Callable[[], object], seconds: float = SECONDS) -> None:
        until = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < until, (self.records[-5:], self.failures[-5:], self.closed)
            assert self.closed is None, self.closed
            self.receive()

    def receive_close(self) -> tuple[int, str]:
        until = time.monotonic() + SECONDS
        while self.closed is None:
            assert time.monotonic() < until
            self.receive()
        return self.closed

    def of(self, number: int) -> list[dict[str, Any]]:
        """The records of a subscription."""
        return [record for record in self.records if record["id"] == number]

    def values(self, number: int) -> list[Any]:
        return [record["value"] for record in self.of(number) if "value" in record]
