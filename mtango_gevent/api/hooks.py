"""Around every request that Flask answers: its query and its body, CORS, headers that all answers have."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from mtango_gevent.api import cors, query, reply
from mtango_gevent.api.exchange import config, context, current
from mtango_gevent.config import Config
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, BadRequest


def register(app: Flask, settings: Config) -> None:
    app.before_request(_raise_what_failed)
    app.before_request(query.check_query)
    app.before_request(_read_body)
    app.after_request(_finish_response)
    cors.register(app, settings)


def _raise_what_failed() -> None:
    """Before Flask was asked, as Flask knows what to answer then."""
    failed, current().failed = current().failed, None  # once raised it knows who knows it
    if failed is not None:
        raise failed


def _read_body() -> None:
    """At once, so that nobody waits long for one that does not come.

    Raises ApiError 408, 415, 501 and BadRequest; 413 before it is read.
    """
    if request.method not in ("PUT", "POST"):
        return
    _check_codings()
    seconds, length = config().body_timeout, request.content_length
    try:
        body = context().client.concurrency.call_within(seconds, request.get_data)
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
    """What the answer to any request has; headers that tell of the request itself come from its exchange."""
    if request.url_rule:
        current().route = request.url_rule.rule
    device = (request.view_args or {}).get("device")
    if isinstance(device, Device):
        current().device = device.full_name
    response.headers.setdefault("Cache-Control", "no-store")  # of failures too, and of what PUT answers
    response.headers["Vary"] = reply.varying(response.headers.get("Vary"))
    return response
