"""A Tango whose servers can be killed, frozen and started again, and a gateway that runs on."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, ServerProcess
from tests.http_clients import Answer, Connection
from tests.live.conftest import Gateway, free_port, served, wait_until
from tests.tracked_server import TrackedServer

COMMAND = [sys.executable, "-m", "mtango_gevent", "serve"]
DEVICES = [f"test/mortal/{number}" for number in range(1, 33)]
NEIGHBOUR, FIXED, SENDER = "test/mortal/neighbour", "test/fixed/1", "test/mortal/sender"


@dataclasses.dataclass
class Tango:
    """fixed: the server that comes back on the same port; the others find another one."""

    system: EmbeddedTango
    database: TrackedServer
    server: TrackedServer
    fixed: TrackedServer

    def mend(self) -> None:
        for lives in (self.database, self.server, self.fixed):
            lives.server.thaw()
            lives.server.start()

    def path(self, device: str, what: str = "attributes/life/value") -> str:
        return f"{self.base}/devices/{device}/{what}"

    @property
    def base(self) -> str:
        return "/tango/rest/rc3/hosts/" + self.system.tango_host.replace(":", "/")

    def lives(self, path: str) -> TrackedServer:
        """Those that a `life` comes from."""
        return self.fixed if FIXED in path else self.server


def _add(system: EmbeddedTango, instance: str, devices: dict[str, str], port: int = 0) -> TrackedServer:
    command = [sys.executable, str(Path(__file__).parents[1] / "devices.py"), instance]
    return TrackedServer(system.add_server(command, f"Slow/{instance}", devices, port))


@pytest.fixture(scope="session")
def mortal() -> Iterator[Tango]:
    with EmbeddedTango() as system:
        devices = {**dict.fromkeys([*DEVICES, NEIGHBOUR], "Slow"), SENDER: "Sender"}
        server, fixed = _add(system, "mortal", devices), _add(system, "fixed", {FIXED: "Slow"}, free_port())
        yield Tango(system, TrackedServer(system.database), server, fixed)


@pytest.fixture
def tango(mortal: Tango) -> Iterator[Tango]:
    """All of it is there when a test begins, and again when it has ended."""
    yield mortal
    mortal.mend()


@pytest.fixture
def gateway(tango: Tango, tmp_path: Path) -> Iterator[Gateway]:
    """One that has not spoken to any device. Afterwards it is the same worker, and no call is left behind."""
    with served(COMMAND, tmp_path / "log", TANGO_HOST=tango.system.tango_host) as gateway:
        worker = gateway.worker().pid
        yield gateway
        tango.mend()
        assert gateway.worker().pid == worker
        is_calm = _calmness(gateway)
        wait_until(is_calm)
        assert "Traceback" not in gateway.log.read_text()


@dataclasses.dataclass
class Redundant:
    """A Tango whose database has two servers, on one file. databases: first and second of TANGO_HOST."""

    system: EmbeddedTango
    tango_host: str
    databases: tuple[TrackedServer, TrackedServer]

    @property
    def base(self) -> str:
        return "/tango/rest/rc3/hosts/" + self.tango_host.split(",")[0].replace(":", "/")

    def mend(self) -> None:
        for lives in self.databases:
            lives.server.thaw()
            lives.server.start()


@pytest.fixture(scope="module")
def pair() -> Iterator[Redundant]:
    with EmbeddedTango() as system:
        port = free_port()
        address = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "databaseds.database", "--host", "127.0.0.1", "--port", str(port), "2"]
        file = str(system.folder / "tango.sqlite")
        environment = {**os.environ, "TANGO_HOST": address, "PYTANGO_DATABASE_NAME": file}
        second = ServerProcess("database2", command, environment, system.folder / "database2.log", system.reap)
        second.start()  # the second: the database has its address then
        try:
            yield Redundant(
                system, f"{system.tango_host},{address}", (TrackedServer(system.database), TrackedServer(second))
            )
        finally:
            second.thaw()
            second.stop()


@pytest.fixture
def redundant(pair: Redundant) -> Iterator[Redundant]:
    """Both databases are there when a test begins, and again when it has ended."""
    yield pair
    pair.mend()


def _calmness(gateway: Gateway) -> Callable[[], bool]:
    def is_calm() -> bool:
        pool = gateway.get("/sys/stats")["pool"]
        return pool["in_flight"] == pool["abandoned"] == 0

    return is_calm


def ask(gateway: Gateway, path: str, method: str = "GET", body: str = "") -> Answer:
    connection = Connection(gateway.port)
    answer = connection.ask(method, path, body)
    connection.close()
    return answer


def is_good(answer: Answer) -> bool:
    return answer.status == 200 and not answer.reasons


def is_failure(answer: Answer) -> bool:
    """Tango's, or the gateway's about Tango: the failure body, with what went wrong."""
    return answer.status == 200 and bool(answer.reasons)


def until_good(gateway: Gateway, paths: Sequence[str], since: float) -> float:
    """Seconds from `since` (time.monotonic()) until all have been read well."""
    for path in paths:
        wait_until(lambda path=path: is_good(ask(gateway, path)))
    return time.monotonic() - since


def said(what: str, *figures: object) -> None:
    """For who wants to see the figures: `pytest -s`."""
    print(f"\n    {what}:", *(f"{figure:.3f}" if isinstance(figure, float) else figure for figure in figures), end="")
