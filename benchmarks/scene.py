"""The Tango of a run: an embedded one with devices to read, and a thousand more that are only known to its database."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.link import DELAYS, Link
from benchmarks.workloads import ARRAYS, MANY, SCALARS, SPREAD
from mtango_gevent.demo.embedded import EmbeddedTango

CPP_SERVER = shutil.which("TangoTest", path=f"{os.environ.get('PATH', '')}:/usr/lib/tango")
PYTHON_SERVER = [sys.executable, str(Path(__file__).parent / "devices.py")]


@contextlib.contextmanager
def prepared(link_name: str) -> Iterator[EmbeddedTango]:
    """TANGO_HOST names it. The scalars are those of the C++ TangoTest, where that is installed."""
    link = Link(3, DELAYS[link_name])
    scalars = dict.fromkeys(SCALARS, "TangoTest")
    with link.relayed(), EmbeddedTango() as system:
        os.environ["TANGO_HOST"] = system.tango_host
        link.add_server(system, [*PYTHON_SERVER, "arrays"], "MtangoBench/arrays", {ARRAYS: "Arrays"})
        link.add_server(system, [*PYTHON_SERVER, "plain"], "MtangoBench/plain", dict.fromkeys(SPREAD, "Plain"))
        if CPP_SERVER:
            link.add_server(system, [CPP_SERVER, "bench"], "TangoTest/bench", scalars)
        else:
            link.add_server(system, [*PYTHON_SERVER, "scalars"], "MtangoBench/scalars", scalars)
        _make_many_known()
        yield system


def _make_many_known() -> None:
    import tango

    devices = []
    for name in MANY:
        info = tango.DbDevInfo()
        info.name, info._class, info.server = name, "Many", "Many/bench"
        devices.append(info)
    database = tango.Database()
    database.set_timeout_millis(60_000)
    database.add_server("Many/bench", devices, with_dserver=True)
