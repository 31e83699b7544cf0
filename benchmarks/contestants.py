"""The contestants: the gateway, the version before it, and the yardsticks. Each is started anew for each workload."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import credentials, hub_lag, load, streams
from benchmarks.figures import Round
from benchmarks.usage import Usage
from benchmarks.workloads import HTTP, JSON, LOOP, Request, Workload
from mtango_gevent.demo.embedded import EmbeddedTango, free_port
from mtango_gevent.demo.server_process import stop_session

ROOT = Path(__file__).parents[1]
_START_SECONDS, _STOP_SECONDS, _LOOK_SECONDS = 60, 15, 0.2


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A server that is started in `folder` by `command`, in which PORT and WORKERS stand for what they are.

    method: of MTANGO_AUTH, by which its requests are authenticated; empty for none. accept: the media type that it is
    asked for, whatever the workload says. log, no_log: further arguments with and without an access log.
    configuration: of the gateway, which its gunicorn has.
    """

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    method: str = ""
    accept: str = ""
    log: tuple[str, ...] = ()
    no_log: tuple[str, ...] = ()
    configuration: str = ""


# With settings of its own only where they cost nothing: failures have to have a status that wrk takes for one.
_SETTINGS = {
    "MTANGO_HOST": "127.0.0.1",
    "MTANGO_RC3_ERRORS": "http",
    "MTANGO_STREAM_LIMIT": "10000",
    "MTANGO_STREAM_CLIENT_LIMIT": "10000",
}
_GUNICORN = (sys.executable, "-m", "gunicorn", "-c", str(hub_lag.CONFIGURATION))
_LOG = ("--access-logfile", "-")
_STOCK = ("-k", "gevent", "-w", "WORKERS", "-b", "127.0.0.1:PORT", "--keep-alive", "75", "--no-control-socket")
_UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--port", "PORT", "--workers", "WORKERS")

GATEWAY = Contestant("gateway", (*_GUNICORN, "wsgi:application"), configuration="gunicorn.conf.py")
IN_JSON = dataclasses.replace(GATEWAY, name="json", accept=JSON)
BARE = Contestant("bare", (*_GUNICORN, "benchmarks.bare:application"), log=_LOG, configuration="gunicorn.conf.py")
GUNICORN = Contestant("gunicorn", (*_GUNICORN, *_STOCK, "benchmarks.bare:application"), log=_LOG)
BARE_TANGO = Contestant("bare_tango", (*_GUNICORN, *_STOCK, "benchmarks.bare_tango:application"), log=_LOG)
FASTAPI = Contestant("fastapi", (sys.executable, *_UVICORN, "benchmarks.afternoon:app"), no_log=("--no-access-log",))


def before(checkout: Path) -> Contestant:
    """The gateway of another checkout."""
    return dataclasses.replace(GATEWAY, name="before", folder=checkout)


def authenticated(method: str) -> Contestant:
    """Return the gateway with a method of MTANGO_AUTH and access rules."""
    return dataclasses.replace(GATEWAY, name=method, method=method)


class Server:
    """A contestant that runs, ready to be driven with a workload."""

    rest = 0

    def __init__(self, started: _Started, base: str, workload: Workload, headers: Mapping[str, str]) -> None:
        self.name, self._port, self._usage = started.name, started.port, Usage(started.process.pid)
        self._lags, self._workload, self._headers = started.lags, workload, headers
        self._path: Callable[[Request], str] = lambda request: base + request.path

    def answers(self) -> list[bytes]:
        """To each request of the workload, once. Raises RuntimeError for what is no success."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        bodies = []
        for request in self._workload.requests:
            connection.request(request.method, self._path(request), request.body, self._headers)
            reply = connection.getresponse()
            bodies.append(reply.read())
            if reply.status != 200:
                raise RuntimeError(f"{self.name} answers {request} with {reply.status}: {bodies[-1][:500]!r}")
        connection.close()
        return bodies

    @property
    def is_bare(self) -> bool:
        """Whether it knows no Tango, and answers so many bytes instead."""
        return self.name in HTTP

    @property
    def is_asked_otherwise(self) -> bool:
        """Whether its answers have another media type than those of the workload."""
        return self._headers.get("Accept", JSON) != self._workload.accept

    def answer_as_many_bytes(self, size: int) -> None:
        """For those that have nothing else to say."""
        self._path = lambda request: f"/{size}"

    def round(self, connections: int, seconds: int) -> Round:
        with self._prepared(connections, seconds) as drive:
            self._usage.forget_peak()
            self._lags.begin()
            cpu = self._usage.cpu()
            found = drive()
            cpu = self._usage.cpu() - cpu
            return Round(**dataclasses.asdict(found), cpu=cpu, peak=self._usage.peak(), hub_lag=self._lags.p99())

    def warm_up(self, connections: int) -> None:
        """All workers get to know the devices. What is resident before is `rest`."""
        self.rest = self._usage.memory()
        if self._workload.requests:
            self.round(connections, 1)

    def _prepared(self, connections: int, seconds: int) -> AbstractContextManager[Callable[[], load.Load]]:
        """Return the context in which a call of what it gives drives the server."""
        if self._workload.events:
            return streams.opened(self._port, self._workload.events, connections, seconds)
        requests = [(each.method, self._path(each), each.body) for each in self._workload.requests]
        return nullcontext(partial(load.drive, self._port, requests, connections, seconds, self._headers))


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


@dataclasses.dataclass(frozen=True)
class _Started:
    """A contestant's processes, which may not answer yet."""

    name: str
    process: subprocess.Popen[Any]
    port: int
    log: Path
    lags: hub_lag.Lags


@contextmanager
def running(contestants: Iterable[Contestant], workload: Workload, system: EmbeddedTango) -> Iterator[list[Server]]:
    """The contestants with as many workers as the workload wants, which answer until the end of the block."""
    with ExitStack() as stack:
        servers = []
        base = f"/tango/rest/rc3/hosts/{system.tango_host.replace(':', '/')}/devices"
        for contestant in contestants:
            access = credentials.made(contestant.method, system.folder) if contestant.method else None
            started = _start(contestant, workload, system, access.settings if access else {})
            stack.callback(stop_session, started.process, _STOP_SECONDS)
            headers = _headers(contestant.accept or workload.accept, workload.browser)
            if access:
                headers["Authorization"] = access.authorization
            servers.append((started, headers))
        for started, _ in servers:
            _wait_until_it_answers(started)
        _wait_until_all_rest([Usage(started.process.pid) for started, _ in servers])
        yield [Server(started, base, workload, headers) for started, headers in servers]


def _headers(accept: str, browser: bool) -> dict[str, str]:
    """Return what is sent besides Host: what a browser sends, or nothing where JSON is wanted."""
    if browser:
        return {"Accept": accept, **load.BROWSER}
    return {} if accept == JSON else {"Accept": accept}


def _start(contestant: Contestant, workload: Workload, system: EmbeddedTango, settings: Mapping[str, str]) -> _Started:
    port, log = free_port(), system.folder / f"{contestant.name}.log"
    lags = log.with_suffix(".lags")
    command = (*contestant.command, *(contestant.log if workload.log else contestant.no_log))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.replace("PORT", str(port)).replace("WORKERS", str(workload.workers)) for part in command],
            env={**_environment(contestant, port, workload), "BENCH_LAGS": str(lags), **settings},
            cwd=contestant.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C reaches this program alone, and what is left can be killed at once
        )
    system.reap(process.pid)
    return _Started(contestant.name, process, port, log, hub_lag.Lags(lags))


def _environment(contestant: Contestant, port: int, workload: Workload) -> dict[str, str]:
    """Default settings, whatever the user has."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MTANGO_")}
    settings = {**_SETTINGS, "MTANGO_PORT": str(port), "MTANGO_WORKERS": str(workload.workers)}
    if not workload.log:
        settings["MTANGO_ACCESS_LOG"] = "false"
    if contestant.configuration:
        settings["BENCH_CONFIGURATION"] = contestant.configuration
    return {**own, **settings, "PYTHONPATH": str(contestant.folder)}


def _wait_until_it_answers(started: _Started) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and started.process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", started.port, timeout=5)
            connection.request("GET", "/0")
            connection.getresponse().read()
            connection.close()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    log = started.log.read_text(errors="replace")
    raise RuntimeError(f"{started.name} does not answer; the end of its log:\n{log[-2000:]}")


def _wait_until_all_rest(usages: Sequence[Usage]) -> None:
    """The first worker answers while others still load what they need."""
    until = time.monotonic() + _START_SECONDS
    busy = True
    while busy and time.monotonic() < until:
        before = [usage.cpu() for usage in usages]
        time.sleep(_LOOK_SECONDS)
        busy = any(usage.cpu() - cpu > _LOOK_SECONDS / 5 for usage, cpu in zip(usages, before, strict=True))
