"""What is asked, over how many connections, and of how many workers."""

from __future__ import annotations

import dataclasses
from typing import Any

SCALARS = [f"bench/scalars/{number}" for number in range(1, 5)]
ARRAYS = "bench/arrays/1"
SPREAD = [f"bench/spread/{number}" for number in range(1, 101)]
MANY = [f"bench/many/{number:04}" for number in range(1, 1001)]

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

SERVED = ("bare", "gunicorn", "fastapi")
LOOP = "loop"

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
class Workload:
    """requests: asked in turn by each connection; values: that one of them reads; yardsticks: servers asked besides.

    accept: the media type of the answers.
    """

    name: str
    title: str
    requests: list[Request]
    connections: tuple[int, ...] = (32,)
    workers: int = 1
    values: int = 1
    yardsticks: tuple[str, ...] = (*SERVED, LOOP)
    accept: str = JSON

    def over(self, link: str, alone: bool = False, connections: tuple[int, ...] = ()) -> Workload:
        """Return the same over a link. alone: without yardsticks; connections: their numbers, () for its own."""
        named = (
            self
            if link == "loopback"
            else dataclasses.replace(self, name=f"{self.name}@{link}", title=f"{self.title}, {link}")
        )
        driven = dataclasses.replace(named, connections=connections or self.connections)
        return dataclasses.replace(driven, yardsticks=()) if alone else driven


def _read(device: str, attribute: str) -> Request:
    return Request(f"/{device}/attributes/{attribute}/value", (device, "read_attribute", [attribute]))


def _read_all(device: str, attributes: list[str]) -> Request:
    query = "&".join(f"attr={attribute}" for attribute in attributes)
    return Request(f"/{device}/attributes/value?{query}", (device, "read_attributes", [attributes]))


_SCALAR = [_read(SCALARS[0], "double_scalar")]
_FORTY = [_read(device, attribute) for attribute in READABLE[:10] for device in SCALARS]
_SPREAD = [_read(device, "level") for device in SPREAD]
_WRITE = Request(
    f"/{SCALARS[0]}/attributes/double_scalar/value?v=1.5",
    (SCALARS[0], "write_read_attribute", ["double_scalar", 1.5]),
    "PUT",
)
_COMMAND = Request(f"/{SCALARS[0]}/commands/DevDouble", (SCALARS[0], "command_inout", ["DevDouble", 1.5]), "PUT", "1.5")
_LIST = Request("?wildcard=bench/many/*", ("sys/database/2", "command_inout", ["DbGetDeviceWideList", "bench/many/*"]))
_WAIT = Request(f"/{ARRAYS}/attributes/count/change?timeout=10000", None)

WORKLOADS = [
    Workload("scalar", "one scalar", _SCALAR, connections=(1, 16, 32, 64, 256)),
    Workload("scalar2", "one scalar, two workers", _SCALAR, workers=2, yardsticks=SERVED),
    Workload("scalar4", "one scalar, four workers", _SCALAR, workers=4, yardsticks=SERVED),
    Workload("forty", "forty scalars of four devices", _FORTY),
    Workload("spread", "one scalar of each of 100 devices", _SPREAD),
    Workload("twenty", "twenty attributes in one request", [_read_all(SCALARS[0], READABLE)], values=20),
    Workload("spectrum", "spectrum of 4096 doubles", [_read(ARRAYS, "spectrum")]),
    Workload("image", "image of 251 x 251 doubles", [_read(ARRAYS, "image")]),
    Workload(
        "raw",
        "image of 251 x 251 doubles as octet-stream",
        [_read(ARRAYS, "image")],
        connections=(1, 32),
        yardsticks=("json", "bare", LOOP),
        accept=RAW,
    ),
    Workload("frame", "image of 1024 x 1024 ushorts", [_read(ARRAYS, "frame")], connections=(4,)),
    Workload("devices", "list of 1,000 devices", [_LIST]),
    Workload("write", "PUT of a scalar", [_WRITE]),
    Workload("command", "a command", [_COMMAND]),
    Workload("events", "waiting for events, 20 per second", [_WAIT], connections=(64,), yardsticks=("fastapi",)),
]
