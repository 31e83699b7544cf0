"""Requests that a page of another origin makes in the browser of a user, and with the rights of that user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mtango_gevent.api.access.targets import Action
from mtango_gevent.config import ALL_ORIGINS, Config
from mtango_gevent.errors import ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Content types that a browser sends for a page without asking the gateway first; none for an empty body.
_SIMPLE_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# An origin that may stand in a header of a response.
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,300}")


class CrossSite:
    """The rules for pages of other origins. Requests of scripts are not affected: they have none of these headers.

    readers: the origins whose pages may read, in the form of the setting; reads_are_open: every page may read.
    """

    def __init__(self, config: Config) -> None:
        self._origins = frozenset(origin.lower() for origin in config.cors_origins)
        self.reads_are_open = ALL_ORIGINS in self._origins or not (config.cors_origins or config.auth)
        self.readers = (ALL_ORIGINS,) if self.reads_are_open else config.cors_origins

    def refusal(self, environ: WSGIEnvironment, action: Action) -> ApiError | None:
        """Return why the page that makes a request may not do this; None where it may."""
        if action == "read" and (self.reads_are_open or _is_navigation(environ)):
            return None
        if not _is_foreign(environ, action) or _source(environ).lower() in self._origins:
            return None
        return _refusal(environ)


def _is_foreign(environ: WSGIEnvironment, action: Action) -> bool:
    """Return whether a browser says that the request comes from a page of another origin."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin is None and site is None:
        return action != "read" and _is_simple_from_elsewhere(environ)
    return site in ("cross-site", "same-site") or (origin is not None and origin.lower() != _own_origin(environ))


def _is_simple_from_elsewhere(environ: WSGIEnvironment) -> bool:
    """Return whether this is a form or a link of another page, as a browser without the other headers sends it."""
    content_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    source = _source(environ)
    return content_type in _SIMPLE_TYPES and bool(source) and source.lower() != _own_origin(environ)


def _is_navigation(environ: WSGIEnvironment) -> bool:
    """Return whether a user follows a link to the gateway, the response of which the linking page cannot read."""
    return (
        environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
        and environ["REQUEST_METHOD"] == "GET"
    )


def _source(environ: WSGIEnvironment) -> str:
    """Return the origin of the page, from Referer where there is no Origin (an image); empty if unknown."""
    origin = environ.get("HTTP_ORIGIN")
    return origin if origin is not None else "/".join(environ.get("HTTP_REFERER", "").split("/", 3)[:3])


def _own_origin(environ: WSGIEnvironment) -> str:
    """Return the origin of the gateway as the client reaches it, which ProxyFix has put into `environ`."""
    scheme = environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    return f"{scheme}://{host}".lower().removesuffix(_DEFAULT_PORTS.get(scheme, ":"))


def _refusal(environ: WSGIEnvironment) -> ApiError:
    """Return a refusal that the page may read."""
    source, own = _source(environ)[:300], _own_origin(environ)[:300]
    expected = f"expected a page of {own!a} or of an origin in MTANGO_CORS_ORIGINS"
    description = f"{expected}, got a request of {ascii(source) if source else 'an unknown page of another site'}"
    headers = {"Access-Control-Allow-Origin": source, "Access-Control-Allow-Credentials": "true"}
    readable = "HTTP_ORIGIN" in environ and _PRINTABLE.fullmatch(source)
    return ApiError(403, "MTANGO_CrossSite", description, headers if readable else None)
