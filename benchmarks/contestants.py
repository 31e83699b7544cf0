"""Who is asked: the gateway, the version before it, and the yardsticks. Each is started anew for each workload."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import credentials
from benchmarks.figures import Round
from benchmarks.load import drive
from benchmarks.usage import Usage
from benchmarks.workloads import JSON, LOOP, Request, Workload
from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from mtango_gevent.demo.server_process import stop_session

ROOT = Path(__file__).parents[1]
_START_SECONDS, _STOP_SECONDS, _LOOK_SECONDS = 60, 15, 0.2


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A server that is started in `folder` by `command`, in which PORT and WORKERS stand for what they are.

    method: of MTANGO_AUTH, by which its requests are authenticated; empty for none. settings: further ones. accept: the
    media type that it is asked for, whatever the workload says.
    """

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    method: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    accept: str = ""


# With settings of its own only where they cost nothing: failures have to have a status that wrk takes for one.
_GATEWAY = (sys.executable, "-m", "mtango_gevent", "serve")
_SETTINGS = {"MTANGO_HOST": "127.0.0.1", "MTANGO_RC3_ERRORS": "http"}
_BARE = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "benchmarks.bare:application")
_STOCK = (*("-k", "gevent", "-w", "WORKERS", "-b", "127.0.0.1:PORT", "--keep-alive", "75"), "--no-control-socket")
_QUIET = ("--no-access-log", "--log-level", "warning")
_UVICORN = ("-m", "uvicorn", "--port", "PORT", "--workers", "WORKERS", *_QUIET, "benchmarks.afternoon:app")

GATEWAY = Contestant("gateway", _GATEWAY)
IN_JSON = Contestant("json", _GATEWAY, accept=JSON)
BARE = Contestant("bare", _BARE)
GUNICORN = Contestant("gunicorn", (sys.executable, "-m", "gunicorn", *_STOCK, "benchmarks.bare:application"))
FASTAPI = Contestant("fastapi", (sys.executable, *_UVICORN))


def before(checkout: Path) -> Contestant:
    """The gateway of another checkout."""
    return Contestant("before", _GATEWAY, checkout)


def authenticated(method: str) -> Contestant:
    """Return the gateway with a method of MTANGO_AUTH and access rules."""
    return Contestant(method, _GATEWAY, method=method)


class Server:
    """A contestant that runs, ready to be driven with a workload."""

    def __init__(
        self, name: str, usage: Usage, port: int, base: str, workload: Workload, headers: Mapping[str, str]
    ) -> None:
        self.name = name
        self._headers = headers
        self._usage, self._port, self._base, self._workload = usage, port, base, workload
        self._path = self._below_base
        self.rest = 0

    def answers(self) -> list[bytes]:
        """To each request of the workload, once. Raises RuntimeError for what is no success."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        bodies = []
        for request in self._workload.requests:
            connection.request(request.method, self._below_base(request), request.body, self._headers)
            reply = connection.getresponse()
            bodies.append(reply.read())
            if reply.status != 200:
                raise RuntimeError(f"{self.name} answers {request} with {reply.status}: {bodies[-1][:500]!r}")
        connection.close()
        return bodies

    @property
    def is_bare(self) -> bool:
        """Whether it knows no Tango, and answers so many bytes instead."""
        return self.name in (BARE.name, GUNICORN.name)

    @property
    def is_asked_otherwise(self) -> bool:
        """Whether its answers have another media type than those of the workload."""
        return self._headers["Accept"] != self._workload.accept

    def answer_as_many_bytes(self, size: int) -> None:
        """For those that have nothing else to say."""
        self._path = lambda request: f"/{size}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def usage(self) -> Usage:
        return self._usage

    def round(self, connections: int, seconds: int) -> Round:
        requests = [(each.method, self._path(each), each.body) for each in self._workload.requests]
        self._usage.forget_peak()
        cpu = self._usage.cpu()
        load = drive(self._port, requests, connections, seconds, self._headers)
        return Round(**dataclasses.asdict(load), cpu=self._usage.cpu() - cpu, peak=self._usage.peak())

    def warm_up(self, connections: int) -> None:
        """All workers get to know the devices. What is resident then is `rest`."""
        self.rest = self._usage.memory()
        self.round(connections, 1)

    def _below_base(self, request: Request) -> str:
        return self._base + request.path


class Loop:
    """Plain PyTango in one thread, started anew for each round."""

    name, rest = LOOP, 0

    def __init__(self, workload: Workload) -> None:
        self._calls = json.dumps([request.call for request in workload.requests])

    def round(self, connections: int, seconds: int) -> Round:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.loop", str(seconds)],
            input=self._calls,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            timeout=seconds + _START_SECONDS,
            check=True,
        )
        return Round(**json.loads(done.stdout))


@contextmanager
def running(contestant: Contestant, workload: Workload, system: EmbeddedTango) -> Iterator[Server]:
    """The contestant with as many workers as the workload wants, from its first answer to the end of the block."""
    port = free_port()
    log = system.folder / f"{contestant.name}.log"
    access = credentials.made(contestant.method, system.folder) if contestant.method else None
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.replace("PORT", str(port)).replace("WORKERS", str(workload.workers)) for part in contestant.command],
            env={**_environment(contestant, port, workload.workers), **(access.settings if access else {})},
            cwd=contestant.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C reaches this program alone, and what is left can be killed at once
        )
    try:
        system.reap(process.pid)
        _wait_until_it_answers(process, contestant.name, port, log)
        usage = Usage(process.pid)
        _wait_until_it_rests(usage)
        base = f"/tango/rest/rc3/hosts/{system.tango_host.replace(':', '/')}/devices"
        headers = {"Accept": contestant.accept or workload.accept}
        if access:
            headers["Authorization"] = access.authorization
        yield Server(contestant.name, usage, port, base, workload, headers)
    finally:
        stop_session(process, _STOP_SECONDS)


def _environment(contestant: Contestant, port: int, workers: int) -> Mapping[str, str]:
    """Default settings, whatever the user has."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MTANGO_")}
    settings = {**_SETTINGS, "MTANGO_PORT": str(port), "MTANGO_WORKERS": str(workers)}
    return {**own, **settings, **dict(contestant.settings), "PYTHONPATH": str(contestant.folder)}


def _wait_until_it_answers(process: subprocess.Popen[Any], name: str, port: int, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/0")
            connection.getresponse().read()
            connection.close()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    raise RuntimeError(f"{name} does not answer; the end of its log:\n{log.read_text(errors='replace')[-2000:]}")


def _wait_until_it_rests(usage: Usage) -> None:
    """The first worker answers while others still load what they need."""
    until = time.monotonic() + _START_SECONDS
    busy = True
    while busy and time.monotonic() < until:
        before = usage.cpu()
        time.sleep(_LOOK_SECONDS)
        busy = usage.cpu() - before > _LOOK_SECONDS / 5
