"""How gunicorn is started with the repository's configuration, and how it refuses what is no HTTP."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from mtango_gevent import __version__, files


def command() -> list[str]:
    """The command line; the same server as `gunicorn -c gunicorn.conf.py wsgi:application` in a checkout."""
    configuration = files.find("gunicorn.conf.py")
    return [sys.executable, "-m", "gunicorn", "-c", str(configuration), "mtango_gevent:create_app()"]


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
