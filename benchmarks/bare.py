"""The yardstick "bare": a WSGI function that answers `/N` with N bytes, and knows neither Tango nor Flask.

As "bare" it runs in the gateway's own worker, with the gateway's gunicorn.conf.py: what lies between the two is what
the application costs. The worker asks its application for the client of Tango, which here nobody uses. As "gunicorn" it
runs in gunicorn's gevent worker as that comes. Both write gunicorn's access log.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from mtango_gevent import create_app


@functools.lru_cache
def _body(size: int) -> bytes:
    return b"x" * size


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = _body(int(environ["PATH_INFO"][1:]))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


application.extensions = create_app().extensions  # pyright: ignore[reportFunctionMemberAccess]
