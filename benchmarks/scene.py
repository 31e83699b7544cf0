"""The Tango of a run: an embedded one with devices to read, and thousands more that are only known to its database."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.link import DELAYS, Link
from benchmarks.workloads import ARRAYS, EVENTS, LISTED, SCALARS, SPREAD, WALL
from mtango_gevent.demo.embedded import EmbeddedTango

CPP_SERVER = shutil.which("TangoTest", path=f"{os.environ.get('PATH', '')}:/usr/lib/tango")
PYTHON_SERVER = [sys.executable, str(Path(__file__).parent / "devices.py")]


@contextlib.contextmanager
def prepared(link_name: str) -> Iterator[EmbeddedTango]:
    """TANGO_HOST names it. The scalars are those of the C++ TangoTest, where that is installed."""
    link = Link(4, DELAYS[link_name])
    scalars = dict.fromkeys(SCALARS, "TangoTest")
    with link.relayed(), EmbeddedTango() as system:
        os.environ["TANGO_HOST"] = system.tango_host
        # Where opentelemetry-api is installed, PyTango spends 0.08 ms of each call on it unless that is off. The
        # gateway has it off by itself: without this line it would be compared with yardsticks that are slower.
        os.environ["PYTANGO_DISABLE_TELEMETRY_PATCHING"] = "on"
        _make_known(system.folder, "MtangoBench/plain", SPREAD, "Plain")
        for family, count in LISTED.items():
            server = f"Many/{family.rpartition('/')[2]}"
            _make_known(system.folder, server, [f"{family}/{number:05}" for number in range(count)], "Many")
        link.add_server(system, [*PYTHON_SERVER, "arrays"], "MtangoBench/arrays", {ARRAYS: "Arrays"})
        link.add_server(system, [*PYTHON_SERVER, "plain"], "MtangoBench/plain", dict.fromkeys(SPREAD, "Plain"))
        link.add_server(
            system, [*PYTHON_SERVER, "events"], "MtangoBench/events", dict.fromkeys([EVENTS, *WALL], "Events")
        )
        if CPP_SERVER:
            link.add_server(system, [CPP_SERVER, "bench"], "TangoTest/bench", scalars)
        else:
            link.add_server(system, [*PYTHON_SERVER, "scalars"], "MtangoBench/scalars", scalars)
        yield system


def _make_known(folder: Path, server: str, devices: Sequence[str], class_name: str) -> None:
    """Write devices into the file of the database, as its commands take 10 ms for each."""
    named = [(f"dserver/{server}", "DServer"), *((device, class_name) for device in devices)]
    rows = [(device, *device.split("/", 2), server, of_class) for device, of_class in named]
    columns = "(name, domain, family, member, server, class, ior, version)"
    with contextlib.closing(sqlite3.connect(folder / "tango.sqlite", timeout=60)) as connection, connection:
        connection.executemany(f"insert into device {columns} values (?, ?, ?, ?, ?, ?, 'nada', '0')", rows)
