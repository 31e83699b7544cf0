"""`mtango-gevent demo`: the embedded Tango, the gateway in front of it, and a few URLs to try."""

from __future__ import annotations

import dataclasses
import http.client
import re
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from typing import Any, NoReturn

from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango, EmbeddedTangoError
from mtango_gevent.demo.server_process import stop_session
from mtango_gevent.serving import interpreter

# Seconds; far longer than a start takes.
_START_SECONDS = 60
_STOP_SECONDS = 15


@dataclasses.dataclass(frozen=True)
class Address:
    """The address to listen on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ADDR:PORT, in which an IPv6 address has brackets. Raises ValueError."""
        parts = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):([0-9]{1,5})", text)
        if parts is None or not 0 < int(parts[2]) < 65536:
            raise ValueError(f"expected ADDR:PORT, got {text!r}")
        return cls(parts[1].strip("[]"), int(parts[2]))

    def page(self) -> str:
        """Return the URL of the operator's page for a browser on this machine."""
        local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{Address(local, self.port)}/"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def run(bind: Address, workers: int, tango_port: int, data: Path | None, opens: bool) -> int:
    """Serve until Ctrl-C or SIGTERM, then stop everything. Returns the exit status.

    opens: whether to open the operator's page in the browser.
    """
    _on_signals(_interrupt)  # also if a shell started this in the background, with SIGINT ignored
    try:
        environment = _gateway_environment(bind, workers)
        _check_free(bind)
        with EmbeddedTango(data, tango_port) as tango:
            return _serve(tango, bind, {**environment, "TANGO_HOST": tango.tango_host}, opens)
    except (EmbeddedTangoError, OSError, ValueError) as error:
        print(f"mtango-gevent demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _serve(tango: EmbeddedTango, bind: Address, environment: dict[str, str], opens: bool) -> int:
    # In a session of its own, so that Ctrl-C reaches only this process, which stops the others in order.
    gateway = subprocess.Popen(interpreter.gateway_command(), env=environment, start_new_session=True)
    tango.reap(gateway.pid)
    try:
        path = Config.load(environment).app_base
        _wait_until_it_answers(gateway, bind, path)
        print(_greeting(bind, path, tango.tango_host), flush=True)
        if opens:
            _open(bind.page())
        status = gateway.wait()
        print(f"mtango-gevent demo: the gateway ended with status {status}", file=sys.stderr)
        return 1
    finally:
        stop_session(gateway, _STOP_SECONDS)


def _open(page: str) -> None:
    """Open a page in the browser. A program for terminals returns when its user ends it."""
    print(f"mtango-gevent demo: opens {page} in the browser", flush=True)
    if not webbrowser.open(page):
        print(f"mtango-gevent demo: found no browser; open {page} yourself", flush=True)


def _wait_until_it_answers(gateway: subprocess.Popen[bytes], bind: Address, path: str) -> None:
    """Poll the gateway until it answers. urllib would use a proxy that the environment names."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if gateway.poll() is not None:
            raise EmbeddedTangoError(f"the gateway did not start, status {gateway.returncode}")
        try:
            connection = http.client.HTTPConnection(bind.host, bind.port, timeout=5)
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    raise EmbeddedTangoError(f"the gateway does not answer at {bind}{path}")


def _gateway_environment(bind: Address, workers: int) -> dict[str, str]:
    environment = {
        **interpreter.environment(),
        "MTANGO_HOST": bind.host,
        "MTANGO_PORT": str(bind.port),
        "MTANGO_WORKERS": str(workers),
    }
    Config.load(environment)  # raises its error before anything is started
    return environment


def _check_free(bind: Address) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise OSError(f"--bind {bind}: {error.strerror}") from None
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            raise OSError(f"cannot listen on {bind}: {error.strerror}; choose another with --bind") from None


def _greeting(bind: Address, path: str, tango_host: str) -> str:
    base = f"http://{bind}{path}"
    device = f"{base}/rc3/hosts/{tango_host.replace(':', '/')}/devices/sys/tg_test/1"
    return f"""
mtango-gevent serves http://{bind} on an embedded Tango (TANGO_HOST={tango_host}). Ctrl-C ends it. Try:

  {bind.page()} in a browser
  curl {device}/state
  curl {device}/attributes/double_scalar/value
  curl '{base}/rc3/hosts/{tango_host.replace(":", "/")}/devices?wildcard=demo/*'
"""


def _interrupt(*_: object) -> NoReturn:
    _on_signals(signal.SIG_IGN)  # a second signal must not interrupt the stop, each step of which is limited
    raise KeyboardInterrupt


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)
