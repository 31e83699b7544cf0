"""The access log: one line for each request."""

from __future__ import annotations

import functools
import logging
from urllib.parse import quote

from mtango_gevent.api.request_context import RequestContext
from mtango_gevent.logs import AccessLine
from mtango_gevent.redaction import redact

_logger = logging.getLogger("mtango_gevent.access")

# Characters that a query may contain unescaped.
_QUERY = "%!$&'()*+,;=:@/?-._~"


def write(request: RequestContext, status: int, headers: list[tuple[str, str]], seconds: float) -> None:
    """Log a request. headers: of the response; seconds: from the request's arrival to its response."""
    environ = request.environ
    _logger.info(
        AccessLine(
            id=request.id,
            client=_quoted(environ.get("REMOTE_ADDR") or "-", ":.[]%"),  # a proxy may forward any text
            method=_quoted(environ["REQUEST_METHOD"]),
            url=_url(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")),
            status=status,
            bytes=next((int(value) for name, value in headers if name == "Content-Length"), 0),
            duration=round(seconds * 1000, 3),
            tango=round(request.tango_time.seconds * 1000, 3),
            device=request.device,
            outcome=request.outcome,
        ),
    )


@functools.lru_cache(maxsize=1024)
def _quoted(text: str, safe: str = "") -> str:
    return quote(text, safe=safe)


@functools.lru_cache(maxsize=1024)
def _url(root: str, path: str, query: str) -> str:
    """Return the URL in ASCII. WSGI gives its parts as bytes, each one a character."""
    path, query = quote((root + path).encode("latin-1")), quote(redact(query).encode("latin-1"), safe=_QUERY)
    return f"{path}?{query}" if query else path
