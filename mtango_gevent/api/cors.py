"""CORS headers, computed by flask-cors: which pages may read the responses of the gateway.

What a page may do is decided by `access`, before anything is done. A preflight of any page succeeds, as a page may read
the refusal of a request only then.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_cors.core import get_cors_headers, get_cors_options
from werkzeug.datastructures import Headers

from mtango_gevent.config import ALL_ORIGINS, Config

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD")

# Seconds for which a browser may keep the result of a preflight, as in the Java server.
PREFLIGHT_SECONDS = 1_209_600

_EXPOSED = [
    *("x-mtango", "X-Request-ID", "Server-Timing", "ETag", "Link"),
    *("Content-Range", "Accept-Range", "Accept-Ranges", "X-size"),
    *("X-Dtype", "X-Shape", "X-Encoded-Format", "X-Quality", "X-Timestamp"),
    *("X-Event-Cursor", "X-Event-Lost", "WWW-Authenticate", "Retry-After"),
]

# Headers of requests on which the CORS headers depend, and their names in WSGI.
_REQUEST_HEADERS = (
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Private-Network",
)
_WSGI_NAMES = tuple(f"HTTP_{name.upper().replace('-', '_')}" for name in _REQUEST_HEADERS)

# flask-cors repeats the values of requests, which may contain characters that a response header may not.
_PRINTABLE = re.compile(r"[\x20-\x7e]*")

# Headers of proxies and keys, with which a page could claim the gateway's origin, an address or a user.
_FORWARDED = re.compile(r"x-forwarded-.*|forwarded|x-real-ip|x-api-key")

# Combinations of methods and request headers whose CORS headers are kept, of an application.
_CACHE_SIZE = 100


class CorsPolicy:
    """The pages that may read the responses of an application. readers: their origins, or `*` for all."""

    def __init__(self, app: Flask, config: Config, readers: tuple[str, ...]) -> None:
        self._all_origins = ALL_ORIGINS in readers
        self._listed = frozenset(origin.lower() for origin in config.cors_origins)
        self._user_headers = frozenset({config.auth_header.lower(), config.auth_header_groups.lower()})
        self._preflight = self._options(app, [ALL_ORIGINS])
        self._response = self._options(app, list(readers))
        self._compute = functools.lru_cache(_CACHE_SIZE)(self._compute_headers)

    @staticmethod
    def _options(app: Flask, origins: list[str]) -> Any:
        return get_cors_options(
            app,
            {
                "origins": origins,
                "supports_credentials": True,
                "methods": list(METHODS),
                "expose_headers": _EXPOSED,
                "max_age": PREFLIGHT_SECONDS,
                "vary_header": False,  # the middleware adds it to every response
            },
        )

    def headers(self, environ: WSGIEnvironment) -> list[tuple[str, str]]:
        """Return the CORS headers of the response to a request."""
        return self._compute(environ["REQUEST_METHOD"], *map(environ.get, _WSGI_NAMES))

    def headers_of_refusal(
        self, header: Callable[[str], str | None], is_preflight: bool, head_is_complete: bool
    ) -> list[tuple[str, str]]:
        """Return the same for a request that gunicorn refuses; header: returns a header of it that has arrived."""
        values = [header(name) for name in _REQUEST_HEADERS]
        found = self._compute("OPTIONS" if is_preflight else "GET", *values)
        if self._all_origins and values[0] is None and not head_is_complete:
            found = [*found, ("Access-Control-Allow-Origin", "*")]
        return [*found, ("Vary", "Origin")]

    def _compute_headers(self, method: str, *values: str | None) -> list[tuple[str, str]]:
        given = zip(_REQUEST_HEADERS, values, strict=True)
        request_headers = Headers([(name, value) for name, value in given if value and _PRINTABLE.fullmatch(value)])
        if request_headers.get("Origin", "").lower() not in self._listed:
            self._withhold(request_headers)
        is_preflight = method == "OPTIONS" and "Access-Control-Request-Method" in request_headers
        found = get_cors_headers(self._preflight if is_preflight else self._response, request_headers, method)
        return [(name, str(value)) for name, value in found.items(multi=True)]

    def _withhold(self, request_headers: Headers) -> None:
        """Remove the headers that a preflight asks for and the page of an unlisted origin may not send."""
        asked = [name.strip() for name in request_headers.get("Access-Control-Request-Headers", "").split(",")]
        request_headers["Access-Control-Request-Headers"] = ", ".join(filter(self._is_harmless, asked))

    def _is_harmless(self, name: str) -> bool:
        """Return whether any page may send a header. Some WSGI servers take `_` for `-`."""
        plain = name.lower().replace("_", "-")
        return not _FORWARDED.fullmatch(plain) and plain not in self._user_headers
