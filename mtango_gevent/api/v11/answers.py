"""Responses of v11 in JSON, with its caching headers and its parts of lists. Contract: v11, 2."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import Response, request
from werkzeug.http import http_date

from mtango_gevent.api import freshness, query, reply
from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.api.v11 import ranges
from mtango_gevent.values import JsonObject

T = TypeVar("T")


def metadata(data: object) -> Response:
    """Return metadata, reduced by the parameter `filter`."""
    return add_caching(reply.json(query.filtered(data)), config().metadata_max_age)


def value(data: JsonObject, modified: int | None = None, began: float = freshness.LONG_AGO) -> Response:
    """Return a value, reduced by the parameter `filter`, or with status 400 the failure in its place.

    modified, began: as in freshness.add_value_headers.
    """
    if data.get("quality") == "FAILURE":
        return reply.json(data, 400)
    return add_caching(reply.json(query.filtered(data)), freshness.left_of_value(began), modified)


def listing(items: Sequence[T], shape: Callable[[T], JsonObject], began: float | None = None) -> Response:
    """Return the shapes of `items`, or those of the part that the parameter `range` asks for.

    began: as in freshness.add_value_headers; None for metadata. Raises ApiError 416 for an impossible part.
    """
    part = ranges.requested_part(len(items))
    wanted, in_turns = items if part is None else items[part.start : part.stop], app_state().client.concurrency.in_turns
    content = reply.render(
        [shape(item) for item in in_turns(wanted)], lambda shapes: [query.filtered(each) for each in in_turns(shapes)]
    )
    response = Response(content.body, 200 if part is None else 206, headers=content.headers)
    response.headers.update(ranges.headers(part, len(items)))
    return add_caching(response, reply.left(content, began))


def add_caching(response: Response, left: float, modified: int | None = None) -> Response:
    """Add the caching headers to the response to a GET, and make it a 304 where the client has it already.

    left: seconds for which the response is fresh; browsers ask again for an older one, with its ETag.
    modified: the time of a value, milliseconds since the epoch.
    """
    if request.method not in ("GET", "HEAD"):
        return response
    left = max(0.0, left)
    fresh = f'no-transform, max-age={int(left)}, max-age-millis="{int(left * 1000)}"'
    # A shared cache would answer clients that may not read this.
    response.headers["Cache-Control"] = fresh if app_state().access.is_open else f"private, {fresh}"
    response.headers["Expires"] = http_date(int(time.time()) + int(left))
    date = freshness.last_modified(modified)
    if date:
        response.headers["Last-Modified"] = date
    response.headers["ETag"] = freshness.etag(response.get_data())
    if _is_unchanged(response):
        response.status_code = 304
        response.set_data(b"")
    return response


def _is_unchanged(response: Response) -> bool:
    """Return whether the client has the response, by its ETag if it sends one, else by the second of its value."""
    if request.if_none_match:
        return request.if_none_match.contains_weak(response.get_etag()[0] or "")
    since, modified = request.if_modified_since, response.last_modified
    return since is not None and modified is not None and modified <= since
