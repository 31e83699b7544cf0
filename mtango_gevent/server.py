"""How gunicorn is started with the repository's configuration, and how it refuses what is no HTTP."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, NoReturn

import gevent

from mtango_gevent import __version__, files

_KEEP_UP_EVERY = 0.5


def command() -> list[str]:
    """The command line; the same server as `gunicorn -c gunicorn.conf.py wsgi:application` in a checkout."""
    configuration = files.find("gunicorn.conf.py")
    return [sys.executable, "-m", "gunicorn", "-c", str(configuration), "mtango_gevent:create_app()"]


def keep_up(worker: Any) -> None:
    """All the time, as a worker without requests would not: what others are to know of it, and what it is told."""
    client = worker.wsgi.extensions["mtango"].client

    def keep_up_for_ever() -> NoReturn:
        while True:
            client.keep_up()
            client.publish()
            gevent.sleep(_KEEP_UP_EVERY)

    gevent.spawn(keep_up_for_ever)


def finish(worker: Any, seconds: float) -> None:
    """Before a worker ends: what it has answered with 204 is still to be done."""
    worker.wsgi.extensions["mtango"].client.background.finish(seconds)


def write_refusal(connection: Any, status: int, reason: str, description: str) -> None:
    """In place of gunicorn's HTML: requests that it cannot parse and so never hands to the application."""
    from mtango_gevent.errors import body, entry  # and with it PyTango, which gunicorn must not load before the fork

    errors = [entry(f"MTANGO_Http{status}", description or reason, "gunicorn")]
    failure = {**body(errors, int(time.time() * 1000)), "http_status": status}
    text = json.dumps(failure)  # escapes all that is not ASCII
    connection.sendall(
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\nx-mtango: mtango-gevent {__version__}\r\n\r\n{text}".encode("ascii")
    )
