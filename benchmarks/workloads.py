"""The workloads: what is asked, over how many connections, and of how many workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

SCALARS = [f"bench/scalars/{number}" for number in range(1, 5)]
ARRAYS = "bench/arrays/1"
SPREAD = [f"bench/spread/{number}" for number in range(1, 101)]
WALL = [f"bench/wall/{number}" for number in range(1, 21)]
EVENTS = "bench/events/1"
MANY, MORE = "bench/many", "bench/more"
LISTED = {MANY: 1_000, MORE: 10_000}
"""Devices that only the database knows: their domain and family, and how many there are."""

READABLE = [
    "double_scalar",
    "long_scalar",
    "short_scalar",
    "boolean_scalar",
    "float_scalar",
    "string_scalar",
    "uchar_scalar",
    "ushort_scalar",
    "ulong_scalar",
    "long64_scalar",
    "ulong64_scalar",
    "short_scalar_ro",
    "double_scalar_rww",
    "long_scalar_rww",
    "short_scalar_rww",
    "double_scalar_w",
    "long_scalar_w",
    "short_scalar_w",
    "ampli",
    "Status",
]

# The contestants that are asked besides the gateway: those that know Tango, and those that know only HTTP.
TANGO, HTTP, LOOP = ("bare_tango", "fastapi"), ("bare", "gunicorn"), "loop"

# The media types of answers.
JSON, RAW = "application/json", "application/octet-stream"


@dataclasses.dataclass(frozen=True)
class Request:
    """path: below the URL of the devices; call: the same in PyTango, as device, method of its proxy and arguments."""

    path: str
    call: tuple[str, str, list[Any]] | None
    method: str = "GET"
    body: str = ""


@dataclasses.dataclass(frozen=True)
class Events:
    """What a stream follows: so many attributes of each device, each with so many events a second."""

    transport: str
    devices: Sequence[str]
    attributes: int
    rate: int


@dataclasses.dataclass(frozen=True)
class Workload:
    """requests: asked in turn by each connection; values: that one of them reads; yardsticks: others asked besides.

    events: what is followed by as many streams as there are connections, in place of requests. A record counts as a
    request then, and its latency is the time from the event to the client. accept: the media type of the answers.
    link: between the gateway and the device servers. browser: whether requests have the headers that a browser sends.
    log: whether contestants write an access log.
    """

    name: str
    title: str
    requests: Sequence[Request] = ()
    connections: tuple[int, ...] = (32,)
    workers: int = 1
    values: int = 1
    yardsticks: tuple[str, ...] = TANGO
    accept: str = JSON
    events: Events | None = None
    link: str = "lan"
    browser: bool = True
    log: bool = True


def _read(device: str, attribute: str) -> Request:
    return Request(f"/{device}/attributes/{attribute}/value", (device, "read_attribute", [attribute]))


def _read_all(device: str, attributes: list[str]) -> Request:
    query = "&".join(f"attr={attribute}" for attribute in attributes)
    return Request(f"/{device}/attributes/value?{query}", (device, "read_attributes", [attributes]))


def _write(device: str) -> Request:
    call = (device, "write_read_attribute", ["double_scalar", 1.5])
    return Request(f"/{device}/attributes/double_scalar/value?v=1.5", call, "PUT")


def _command(device: str) -> Request:
    return Request(f"/{device}/commands/DevDouble", (device, "command_inout", ["DevDouble", 1.5]), "PUT", "1.5")


def _list(family: str) -> Request:
    call = ("sys/database/2", "command_inout", ["DbGetDeviceWideList", f"{family}/*"])
    return Request(f"?wildcard={family}/*", call)


def _mixed(device: str) -> list[Request]:
    """Return 70 % reads, 20 % writes and 10 % commands."""
    reads = (_read(device, attribute) for attribute in READABLE)
    changes = {"w": _write(device), "c": _command(device)}
    return [changes.get(kind) or next(reads) for kind in "rrwrrcrrwr"]


def _pages(device: str) -> list[Request]:
    """Return requests for the same twenty values in ten orders, no two of which share a Tango call."""
    return [_read_all(device, READABLE[start:] + READABLE[:start]) for start in range(10)]


_SCALAR = [_read(SCALARS[0], "double_scalar")]
_FORTY = [_read(device, attribute) for attribute in READABLE[:10] for device in SCALARS]
_WAIT = Request(f"/{ARRAYS}/attributes/count/change?timeout=10000", None)
_WALL_ATTRIBUTES, _WALL_RATE = 10, 10
_WALL = [_read(device, f"sent{number}") for number in range(_WALL_ATTRIBUTES) for device in WALL]
_WALL_EVENTS = Events("websocket", WALL, _WALL_ATTRIBUTES, _WALL_RATE)


def workloads(streams: int, attributes: int, rates: Sequence[int]) -> list[Workload]:
    """Return all workloads. The arguments are those of the streams: rates in events a second of each attribute."""
    followed = [
        Workload(
            transport,
            f"{streams} streams, {transport}, {attributes} x {rate} events/s",
            connections=(streams,),
            yardsticks=(),
            events=Events(transport, [EVENTS], attributes, rate),
        )
        for transport in ("sse", "websocket")
        for rate in rates
    ]
    return [*_WORKLOADS, *followed]


_WORKLOADS = [
    Workload("scalar", "one scalar", _SCALAR, connections=(1, 32, 256), yardsticks=(*TANGO, LOOP)),
    Workload("scalar2", "one scalar, two workers", _SCALAR, workers=2),
    Workload("forty", "forty scalars of four devices", _FORTY, yardsticks=(*TANGO, *HTTP)),
    Workload("header", "forty scalars, one header", _FORTY, browser=False),
    Workload("spread", "one scalar of each of 100 devices", [_read(device, "level") for device in SPREAD]),
    Workload("twenty", "twenty attributes in one request", [_read_all(SCALARS[0], READABLE)], values=20),
    Workload("pages", "twenty attributes, no two requests alike", _pages(SCALARS[0]), values=20),
    Workload("wall", "wall of 200 scalars of 20 devices, polled", _WALL, connections=(8,)),
    Workload("wallstream", "wall of 200 scalars by WebSocket", connections=(8,), yardsticks=(), events=_WALL_EVENTS),
    Workload("mix", "70 % reads, 20 % writes, 10 % commands", [each for name in SCALARS for each in _mixed(name)]),
    Workload("write", "PUT of a scalar", [_write(SCALARS[0])]),
    Workload("command", "a command", [_command(SCALARS[0])]),
    Workload("devices", "list of 1,000 devices", [_list(MANY)]),
    Workload("devices10k", "list of 10,000 devices", [_list(MORE)], connections=(8,)),
    Workload("spectrum", "spectrum of 4096 doubles", [_read(ARRAYS, "spectrum")]),
    Workload("image", "image of 251 x 251 doubles", [_read(ARRAYS, "image")]),
    Workload(
        "raw",
        "image of 251 x 251 doubles as octet-stream",
        [_read(ARRAYS, "image")],
        connections=(1, 32),
        yardsticks=("json",),
        accept=RAW,
    ),
    Workload("frame", "image of 1024 x 1024 ushorts", [_read(ARRAYS, "frame")], connections=(4,)),
    Workload("events", "waiting for events, 20 per second", [_WAIT], connections=(64,), yardsticks=("fastapi",)),
]
