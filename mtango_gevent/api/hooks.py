"""Around every request: its id, its body, its times, counting, the server's name, CORS, a line in the log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, request, request_started
from flask_cors import CORS
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from mtango_gevent import __version__
from mtango_gevent.api import query, urls
from mtango_gevent.api.context import config, context
from mtango_gevent.config import Config
from mtango_gevent.control.device import Device
from mtango_gevent.control.lane import count_time
from mtango_gevent.errors import ApiError, BadRequest
from mtango_gevent.logs import AccessLine
from mtango_gevent.series import OTHER

access = logging.getLogger("mtango_gevent.access")

# One that may be passed on in a header and a log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)

# What flask-cors puts into headers as it is, and may so have to be what a header can be.
_ECHOED = ("HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
_PLAIN = re.compile(r"[\x20-\x7e]*")

_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD")

# As long as the Java server let a browser remember a preflight.
PREFLIGHT_SECONDS = 1_209_600


def register(app: Flask, settings: Config) -> None:
    request_started.connect(_begin_request, app)  # before_request would miss those with an impossible URL
    app.before_request(query.check_query)
    app.before_request(_read_body)
    app.after_request(_finish_response)
    CORS(
        app,
        origins=list(settings.cors_origins),
        supports_credentials=True,
        methods=list(_METHODS),
        expose_headers=["x-mtango", "X-Request-ID", "Server-Timing", "ETag", "Content-Range", "Accept-Range", "Link"],
        max_age=PREFLIGHT_SECONDS,
        vary_header=False,  # see _finish_response
    )


def _begin_request(_app: Flask, **_: Any) -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    for name in _ECHOED:
        if not _PLAIN.fullmatch(request.environ.get(name, "")):
            del request.environ[name]
    g.began = time.perf_counter()
    g.tango = count_time()
    g.outcome = "ok"
    context().figures.count("requests")
    context().client.keep_up()


def _read_body() -> None:
    """At once, so that nobody waits long for one that does not come.

    Raises ApiError 408, 415, 501 and BadRequest; 413 before it is read.
    """
    if request.method not in ("PUT", "POST"):
        return
    _check_codings()
    seconds, length = config().body_timeout, request.content_length
    try:
        body = context().client.green.within(seconds, request.get_data)
    except TimeoutError:
        raise ApiError(408, "MTANGO_Http408", f"the body did not come within {seconds:g} s") from None
    except RequestEntityTooLarge:
        raise
    except ClientDisconnected:
        raise BadRequest("the body ends before it is complete") from None
    except Exception as error:  # of whatever kind the WSGI server has for chunks that are none
        raise BadRequest(f"the body cannot be read: {query.quoted(str(error))}") from None
    if length is not None and len(body) != length:  # gunicorn takes what there is
        raise BadRequest(f"the body has {len(body)} bytes, {length} by its Content-Length")


def _check_codings() -> None:
    """Raises ApiError where a body is encoded as nobody here decodes it; gunicorn leaves that to the application."""
    encoding, transfer = (request.headers.get(f"{kind}-Encoding", "") for kind in ("Content", "Transfer"))
    if encoding.strip().lower() not in ("", "identity"):
        raise ApiError(415, "MTANGO_Http415", f"the Content-Encoding {query.quoted(encoding)} is not taken")
    if transfer.strip().lower() not in ("", "chunked"):
        raise ApiError(501, "MTANGO_Http501", f"the Transfer-Encoding {query.quoted(transfer)} is not taken")


def _finish_response(response: Response) -> Response:
    duration, tango = (time.perf_counter() - g.began) * 1000, g.tango.seconds * 1000
    _count(response, duration / 1000)
    response.headers.setdefault("Cache-Control", "no-store")  # of failures too, and of what PUT answers
    # Also for who sends no Origin: what a browser has kept of him must not be what a page of another origin gets.
    varies = response.headers.get("Vary")
    response.headers["Vary"] = f"{varies}, Origin" if varies else "Origin"
    response.headers["x-mtango"] = f"mtango-gevent {__version__}"
    response.headers["X-Request-ID"] = g.request_id
    response.headers["Server-Timing"] = f"total;dur={duration:.1f}, tango;dur={tango:.1f}"
    if config().access_log:
        _log_access(response, duration, tango)
    return response


def _count(response: Response, seconds: float) -> None:
    """By what the server knows, never by what a client makes up: each value of a label is kept for ever."""
    figures, rule, method = context().figures, request.url_rule, request.method
    route = rule.rule if rule else "none"
    if method not in _METHODS:
        method = OTHER
    figures.count("responses")
    figures.count_labelled("mtango_http_requests_total", route, method, str(response.status_code))
    figures.time_labelled(seconds, "mtango_http_request_duration_seconds", route, method)


def _log_access(response: Response, duration: float, tango: float) -> None:
    device = (request.view_args or {}).get("device")
    access.info(
        AccessLine(
            id=g.request_id,
            client=quote(request.remote_addr or "-", safe=":.[]%"),  # which a proxy may have from anybody
            method=quote(request.method),
            url=urls.as_asked(),
            status=response.status_code,
            bytes=response.calculate_content_length() or 0,
            duration=round(duration, 3),
            tango=round(tango, 3),
            device=device.name if isinstance(device, Device) else "-",
            outcome=g.outcome,
        )
    )
