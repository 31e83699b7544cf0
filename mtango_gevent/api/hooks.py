"""Around every request: counting, the server's name, CORS."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, request_started
from flask_cors import CORS

from mtango_gevent import __version__
from mtango_gevent.api import query
from mtango_gevent.api.context import context
from mtango_gevent.config import Config

# As long as the Java server let a browser remember a preflight.
PREFLIGHT_SECONDS = 1_209_600


def register(app: Flask, config: Config) -> None:
    request_started.connect(_begin_request, app)  # before_request would miss those with an impossible URL
    app.before_request(query.check_encoding)
    app.after_request(_finish_response)
    CORS(
        app,
        origins=list(config.cors_origins),
        supports_credentials=True,
        methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"],
        expose_headers=["x-mtango", "Content-Range", "Accept-Range", "Link"],
        max_age=PREFLIGHT_SECONDS,
    )


def _begin_request(_app: Flask, **_: Any) -> None:
    context().figures.count("requests")
    context().client.keep_up()


def _finish_response(response: Response) -> Response:
    context().figures.count("responses")
    response.headers["x-mtango"] = f"mtango-gevent {__version__}"
    return response
