"""CORS: which pages may read the answers of the gateway. flask-cors decides, for answers of gunicorn too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors import CORS
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

from mtango_gevent.api.exchange import METHODS
from mtango_gevent.config import Config

if TYPE_CHECKING:
    from mtango_gevent.serving.connections import Connection

# As long as the Java server let a browser remember a preflight.
PREFLIGHT_SECONDS = 1_209_600

_EXPOSED = [
    *("x-mtango", "X-Request-ID", "Server-Timing", "ETag", "Content-Range", "Accept-Range", "Link"),
    *("X-Event-Cursor", "X-Event-Lost"),
]
_OF_REQUEST = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")


def register(app: Flask, settings: Config) -> None:
    CORS(app, **_options(settings))


def headers_of_refusal(app: Flask, connection: Connection) -> Iterator[tuple[str, Any]]:
    """Yield the CORS headers for an answer to a request of which only the received bytes are known."""
    settings = app.extensions["mtango"].config
    request_headers = Headers([(name, value) for name in _OF_REQUEST if (value := connection.header(name))])
    method = "OPTIONS" if connection.is_preflight() else "GET"
    yield from get_cors_headers(get_cors_options(app, _options(settings)), request_headers, method).items()
    if "*" in settings.cors_origins and "Origin" not in request_headers and not connection.head_is_complete:
        yield "Access-Control-Allow-Origin", "*"
    yield "Vary", "Origin"


def _options(settings: Config) -> dict[str, Any]:
    return {
        "origins": list(settings.cors_origins),
        "supports_credentials": True,
        "methods": list(METHODS),
        "expose_headers": _EXPOSED,
        "max_age": PREFLIGHT_SECONDS,
        "vary_header": False,  # hooks.py adds it, to every answer
    }
