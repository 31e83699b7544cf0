"""Answers to requests that gunicorn refuses and never hands to the application."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from mtango_gevent import __version__

if TYPE_CHECKING:
    from flask import Flask

    from mtango_gevent.serving.connections import Connection


def write_refusal(app: Flask, connection: Connection, status: int, reason: str, description: str) -> None:
    """Answer as the application answers its failures: in JSON, with CORS headers."""
    from mtango_gevent.errors import body, entry  # and with it PyTango, which gunicorn must not load before the fork

    cors = app.extensions["mtango_cors"]
    if status in (414, 431) and connection.is_preflight():  # after its failure the request itself would not be sent
        status, reason, text = 200, "OK", ""
    else:
        errors = [entry(f"MTANGO_Http{status}", description or reason, "gunicorn")]
        text = json.dumps({**body(errors, int(time.time() * 1000)), "http_status": status})  # escaped to ASCII
    headers = [
        ("Connection", "close"),
        ("Content-Type", "application/json"),
        ("Content-Length", len(text)),
        ("x-mtango", f"mtango-gevent {__version__}"),
        ("X-Content-Type-Options", "nosniff"),
        *cors.headers_of_refusal(connection.header, connection.is_preflight(), connection.head_is_complete),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    connection.socket.sendall(f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n{text}".encode("ascii"))
