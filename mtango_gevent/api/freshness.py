"""Caching headers: how long a client may use a response again, and 304 where it has the response already.

If-Modified-Since is ignored: dates of HTTP are whole seconds, and values change more often.
"""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Callable

from flask import Response, request
from werkzeug.http import http_date, quote_etag

from mtango_gevent.api.request_context import app_state, config
from mtango_gevent.errors import DevFailed

# The time of reading of a value that is never fresh.
LONG_AGO = -math.inf

# Bytes of a body above which its hash takes longer than a millisecond.
_LARGE = 1 << 20


def add_value_headers(response: Response, modified: int | None = None, began: float = LONG_AGO) -> Response:
    """Add the caching headers of a value.

    modified: the value's time, milliseconds since the epoch; began: when the gateway began to read it
    (time.perf_counter()), from when on it is fresh for as long as the settings say.
    """
    date = last_modified(modified)
    if date:
        response.headers["Last-Modified"] = date
    return add_headers(response, left_of_value(began))


def add_headers(response: Response, left: float, tag: Callable[[], str | None] | None = None) -> Response:
    """Add the caching headers to the response to a GET, and make it a 304 where If-None-Match has its ETag.

    left: seconds for which the response is fresh; tag: returns its ETag, by default that of its body.
    """
    if request.method not in ("GET", "HEAD"):
        return response
    tagged = left > 0 and response.status_code == 200  # one ETag for several parts would mean equal wholes
    found = (tag() if tag else etag(response.get_data())) if tagged else None
    response.headers.update(headers(left, found))
    if found and request.if_none_match.contains_weak(response.get_etag()[0] or ""):
        response.status_code = 304
        response.set_data(b"")
    return response


def headers(left: float, etag: str | None = None) -> list[tuple[str, str]]:
    """Return the caching headers of a response that is fresh for `left` seconds, in HTTP rounded down to whole ones."""
    whole = int(max(0.0, left))
    expires = http_time(int(time.time()) + whole)
    # A shared cache would answer clients that may not read this.
    fresh = f"max-age={whole}" if app_state().access.is_open else f"private, max-age={whole}"
    found = [("Cache-Control", fresh if whole else "no-cache"), ("Expires", expires or "0")]
    return [*found, ("ETag", etag)] if etag else found


def etag(body: bytes, described: str = "") -> str | None:
    """Return the ETag of a body; None for a large one for which there is no thread.

    described: headers without which the body means nothing.
    """
    if len(body) <= _LARGE:
        return _etag(body, described)
    try:
        return app_state().client.partitions.hashes.call("etag", _etag, body, described)
    except DevFailed:  # a value without an ETag is better than none
        return None


def _etag(body: bytes, described: str) -> str:
    found = hashlib.sha1(body, usedforsecurity=False)
    found.update(described.encode())
    return quote_etag(found.hexdigest())


def left_of_value(began: float) -> float:
    """Return for how many more seconds a value is fresh; 0 or less where it is not. began: as in add_value_headers."""
    return config().value_max_age - (time.perf_counter() - began)


def last_modified(milliseconds: int | None) -> str | None:
    """Return a time since the epoch as HTTP writes it; None without a time and for a year that HTTP cannot write."""
    return None if milliseconds is None else http_time(milliseconds // 1000)


@functools.lru_cache(maxsize=256)
def http_time(second: int) -> str | None:
    """Return seconds since the epoch as HTTP writes them; None for a year that HTTP cannot write."""
    try:
        return http_date(second)
    except (ValueError, OverflowError):
        return None
