"""A real gunicorn with one gevent worker, as a user starts it."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import psutil
import pytest

from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from tests.waiting import wait_until

__all__ = ["COMMAND", "Gateway", "free_port", "served", "wait_until"]

ROOT = Path(__file__).parents[2]

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:application"]


@dataclasses.dataclass
class Gateway:
    """A running server and a way to ask it."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/tango/rest"

    def get(self, path: str, seconds: float = 30) -> object:
        """The JSON at `path`, relative to /tango/rest."""
        with urllib.request.urlopen(self.base + path, timeout=seconds) as reply:
            return orjson.loads(reply.read())

    def put(self, path: str, body: str = "") -> object:
        """The JSON that a PUT answers; None for 204."""
        request = urllib.request.Request(self.base + path, body.encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=30) as reply:
            return orjson.loads(reply.read()) if reply.status != 204 else None

    def clean(self, cache: str = "devices") -> None:
        """Empty all caches, or that of the configurations, `attributes`."""
        with urllib.request.urlopen(f"{self.base}/sys/clean/{cache}", timeout=30) as reply:
            assert reply.status == 204

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def worker(self) -> psutil.Process:
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.get("")
        except urllib.error.HTTPError:  # as where a client has to authenticate
            return True
        except (urllib.error.URLError, ConnectionError):
            return False
        return True


@contextlib.contextmanager
def served(
    command: list[str],
    log: Path,
    cwd: Path = ROOT,
    answers: Callable[[Gateway], bool] = Gateway.answers,
    port: int = 0,
    **environment: str,
) -> Iterator[Gateway]:
    """Run `command`, which serves at the port that MTANGO_PORT names, as long as the block lasts. port: 0 for any."""
    port = port or free_port()
    variables = {**os.environ, "MTANGO_HOST": "127.0.0.1", "MTANGO_PORT": str(port), **environment}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.replace("PORT", str(port)) for part in command],
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
        )
    gateway = Gateway(process, port, log)
    try:
        wait_until(lambda: answers(gateway))
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="session")
def gateway(tango_system: EmbeddedTango, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with served(COMMAND, tmp_path_factory.mktemp("gunicorn") / "log") as gateway:
        yield gateway


@pytest.fixture(scope="session")
def host_path(tango_system: EmbeddedTango) -> str:
    return "/rc3/hosts/" + tango_system.tango_host.replace(":", "/")
