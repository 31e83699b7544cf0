"""The access log, one line for each request; and the rows of failed requests for /sys/failures."""

from __future__ import annotations

import functools
import logging
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mtango_gevent.api.request_context import RequestContext
from mtango_gevent.logs import AccessLine
from mtango_gevent.redaction import redact

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_logger = logging.getLogger("mtango_gevent.access")

# Characters that a query may contain unescaped.
_QUERY = "%!$&'()*+,;=:@/?-._~"

# Characters of the longest text of a row.
_MOST_TEXT = 500


def write(request: RequestContext, status: int, headers: list[tuple[str, str]], seconds: float) -> None:
    """Log a request. headers: of the response; seconds: from the request's arrival to its response."""
    environ = request.environ
    _logger.info(
        AccessLine(
            id=request.id,
            client=_quoted(environ.get("REMOTE_ADDR") or "-", ":.[]%"),  # a proxy may forward any text
            method=_quoted(environ["REQUEST_METHOD"]),
            url=_url_of(environ),
            status=status,
            bytes=next((int(value) for name, value in headers if name == "Content-Length"), 0),
            duration=round(seconds * 1000, 3),
            tango=round(request.tango_time.seconds * 1000, 3),
            device=request.device,
            outcome=request.outcome,
        ),
    )


def failed_row(request: RequestContext, status: int, seconds: float) -> dict[str, Any]:
    """Return the row of a failed request, without its body and credentials. Arguments as for `write`."""
    environ, (reason, description) = request.environ, request.error
    return {
        "id": request.id,
        "time": time.time(),
        "worker": os.getpid(),
        "user": request.identity.user[:_MOST_TEXT] or None,
        "address": environ.get("REMOTE_ADDR", "")[:_MOST_TEXT],  # a proxy may forward any text
        "method": environ["REQUEST_METHOD"][:_MOST_TEXT],
        "url": _url_of(environ)[:_MOST_TEXT],
        "status": status,
        "reason": reason,
        "description": redact(description)[:_MOST_TEXT],
        "device": request.device,
        "duration": round(seconds * 1000, 3),
        "tango": round(request.tango_time.seconds * 1000, 3),
    }


def _url_of(environ: WSGIEnvironment) -> str:
    return _url(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""))


@functools.lru_cache(maxsize=1024)
def _quoted(text: str, safe: str = "") -> str:
    return quote(text, safe=safe)


@functools.lru_cache(maxsize=1024)
def _url(root: str, path: str, query: str) -> str:
    """Return the URL in ASCII. WSGI gives its parts as bytes, each one a character."""
    path, query = quote((root + path).encode("latin-1")), quote(redact(query).encode("latin-1"), safe=_QUERY)
    return f"{path}?{query}" if query else path
