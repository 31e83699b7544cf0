"""Failures of v11: real statuses, always with the JSON body of failures. Contract: v11, 1 and 2."""

from __future__ import annotations

from flask import Blueprint, Response, request

from mtango_gevent.api import error_handlers, reply, timestamps
from mtango_gevent.api.v11 import urls
from mtango_gevent.errors import ORIGIN, DevFailed, entry

# Lists that Waltz requests again every 10 ms, without end, until they succeed or a reason has a text that it knows.
_REPEATED_LISTS = tuple(f"{urls.DEVICE}/{noun}" for noun in ("attributes", "commands", "pipes"))

# A reason with such a text, and the statuses that it is added to: with the status of the response then, as
# tango-rest-client drops the body of a 500 or 503.
_KNOWN_REASON = "TangoApi_DEVICE_NOT_EXPORTED"
_ENDS_REPETITION = {400: 400, 404: 404, 500: 400, 503: 400}


def register(blueprint: Blueprint) -> None:
    blueprint.register_error_handler(DevFailed, _answer_tango_failure)
    blueprint.after_request(_end_repetition)


def _answer_tango_failure(failure: DevFailed) -> Response:
    timestamps.use_milliseconds()
    return error_handlers.answer_with_status(failure)


def _end_repetition(response: Response) -> Response:
    """Add the reason to the failure of a list that a client would otherwise request without end."""
    status = _ENDS_REPETITION.get(response.status_code)
    rule = request.url_rule
    if status is None or rule is None or not rule.rule.endswith(_REPEATED_LISTS):
        return response
    failure = response.get_json()
    failure["errors"].append(entry(_KNOWN_REASON, "the list is not available; do not repeat the request", ORIGIN))
    response.set_data(reply.encode({**failure, "http_status": status}))
    response.status_code = status
    return response
