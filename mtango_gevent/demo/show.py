"""`mtango-gevent demo`: the embedded Tango, the gateway in front of it, and what to try first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

from mtango_gevent import server
from mtango_gevent.config import Config
from mtango_gevent.demo.embedded import EmbeddedTango, EmbeddedTangoError

# Far longer than a start takes, so that only a gateway that will never answer gets there.
_START_SECONDS = 60
_STOP_SECONDS = 15


def run(bind: str, workers: int, tango_port: int, data: Path | None) -> int:
    """Serve until Ctrl-C or SIGTERM, then take everything down again. Gives the exit status."""
    _on_signals(_interrupt)  # also where a shell has started this in the background, deaf to Ctrl-C
    try:
        environment = _gateway_environment(bind, workers)
        _check_free(bind)
        with EmbeddedTango(data, tango_port) as tango:
            return _serve(tango, bind, {**environment, "TANGO_HOST": tango.tango_host})
    except (EmbeddedTangoError, OSError, ValueError) as error:
        print(f"mtango-gevent demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _serve(tango: EmbeddedTango, bind: str, environment: dict[str, str]) -> int:
    # In a session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
    gateway = subprocess.Popen(server.command(), env=environment, start_new_session=True)
    tango.keep(gateway.pid)
    try:
        base = f"http://{bind}{Config.load(environment).app_base}"
        _wait_until_it_answers(gateway, base)
        print(_greeting(base, bind, tango.tango_host), flush=True)
        status = gateway.wait()
        print(f"mtango-gevent demo: the gateway ended with status {status}", file=sys.stderr)
        return 1
    finally:
        _stop(gateway)


def _wait_until_it_answers(gateway: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if gateway.poll() is not None:
            raise EmbeddedTangoError(f"the gateway did not start, status {gateway.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise EmbeddedTangoError(f"the gateway does not answer at {url}")


def _stop(gateway: subprocess.Popen[bytes]) -> None:
    gateway.terminate()
    try:
        gateway.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()


def _gateway_environment(bind: str, workers: int) -> dict[str, str]:
    host, port = _split(bind)
    environment = {**os.environ, "MTANGO_HOST": host, "MTANGO_PORT": str(port), "MTANGO_WORKERS": str(workers)}
    Config.load(environment)  # its error comes before anything is started
    return environment


def _split(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"--bind {bind}: wanted is ADDR:PORT")
    return host.strip("[]"), int(port)


def _check_free(bind: str) -> None:
    host, port = _split(bind)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            raise OSError(f"cannot listen on {bind}: {error.strerror}; choose another with --bind") from None


def _greeting(base: str, bind: str, tango_host: str) -> str:
    device = f"{base}/rc3/hosts/{tango_host.replace(':', '/')}/devices/sys/tg_test/1"
    return f"""
mtango-gevent serves http://{bind} on an embedded Tango (TANGO_HOST={tango_host}). Ctrl-C ends it. Try:

  curl {device}/state
  curl {device}/attributes/double_scalar/value
  curl '{base}/rc3/hosts/{tango_host.replace(":", "/")}/devices?wildcard=demo/*'
"""


def _interrupt(*_: object) -> NoReturn:
    _on_signals(signal.SIG_IGN)  # a second one must not interrupt the taking down, each step of which has its own limit
    raise KeyboardInterrupt


def _on_signals(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
