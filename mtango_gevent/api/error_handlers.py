"""Flask's error handlers: every error becomes the one failure body. Contract: rc3, Decisions "Tango errors"."""

from __future__ import annotations

import logging
import math

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from mtango_gevent.api import changes, reply
from mtango_gevent.api.failures import failure_body
from mtango_gevent.api.request_context import app_state, config, current
from mtango_gevent.errors import ApiError, DevFailed, describe, status_of
from mtango_gevent.text import from_utf8

logger = logging.getLogger(__name__)


def register(app: Flask) -> None:
    app.register_error_handler(DevFailed, answer_tango_failure)
    app.register_error_handler(ApiError, answer_refusal)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_internal_error)


def answer_tango_failure(failure: DevFailed, milliseconds: int | None = None) -> Response:
    """Answer a failure of Tango: with status 200, unless the settings ask for statuses.

    milliseconds: when it happened, since the epoch; None is now.
    """
    if config().rc3_errors != "tango":
        return answer_with_status(failure, milliseconds)
    return reply.json(failure_body(_note_tango_failure(failure), milliseconds))


def answer_with_status(failure: DevFailed, milliseconds: int | None = None) -> Response:
    """Answer a failure of Tango with its status. milliseconds: as in answer_tango_failure."""
    response = _answer(_note_tango_failure(failure), status_of(failure), milliseconds)
    if response.status_code == 503:
        response.headers["Retry-After"] = str(math.ceil(config().retry_after))
    return response


def _note_failure(failure: Exception) -> list[dict[str, str]]:
    """Note a failure for metrics, audit log and /sys/failures; return its errors as JSON shows them."""
    app_state().metrics.count("mtango_http_failures_total")
    changes.note_failure(current().changes, failure)
    errors = describe(failure)
    current().error = errors[0]["reason"], errors[0]["description"]
    return errors


def _note_tango_failure(failure: DevFailed) -> list[dict[str, str]]:
    current().outcome = "failed: " + " < ".join(from_utf8(error.reason) for error in failure.args)
    return _note_failure(failure)


def answer_refusal(error: ApiError) -> Response:
    current().outcome = f"refused: {error.description}"
    response = _answer(_note_failure(error), error.status)
    response.headers.update(error.headers)
    return response


def answer_http_error(error: HTTPException) -> Response:
    """Answer a request that Flask or werkzeug refuses: no such URL, method not allowed, body too large."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return Response()  # a page may read the failure of a request only if the preflight has succeeded
    status = error.code or 500
    description = {
        404: f"no such URL: {request.path}",
        405: f"{request.method} is not allowed at {request.path}",
        413: f"the body has more than {config().body_limit} bytes",
    }.get(status, error.description or error.name)
    allowed = error.get_response().headers.get("Allow")
    headers = {"Allow": allowed} if allowed else None
    return answer_refusal(ApiError(status, f"MTANGO_Http{status}", description, headers))


def answer_internal_error(error: Exception) -> Response:
    """Answer an error of the gateway itself, and log its traceback."""
    errors = _note_failure(error)
    current().outcome = f"broken: {type(error).__name__}"
    line = f"{request.method} {request.path}, request {current().id}"
    logger.exception("%s", line.encode("unicode_escape").decode("ascii"))
    return _answer(errors, 500)


def _answer(errors: list[dict[str, str]], status: int, milliseconds: int | None = None) -> Response:
    return reply.json({**failure_body(errors, milliseconds), "http_status": status}, status)
