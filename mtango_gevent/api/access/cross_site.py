"""Requests that a page of another origin makes in the browser of a user, and with the rights of that user."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import unquote

from mtango_gevent.api.access.targets import Action
from mtango_gevent.config import ALL_ORIGINS, Config
from mtango_gevent.errors import ApiError
from mtango_gevent.ip_address import parse_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Content types that a browser sends for a page without asking the gateway first; none for an empty body.
_SIMPLE_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

# Headers that browsers send, and scripts do not.
_BROWSER_HEADERS = ("HTTP_ORIGIN", "HTTP_REFERER", "HTTP_SEC_FETCH_SITE", "HTTP_SEC_FETCH_MODE", "HTTP_SEC_FETCH_DEST")

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}

# An origin that may stand in a header of a response.
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,300}")


class CrossSite:
    """The rules for pages of other origins. Requests of scripts are not affected: they have none of these headers.

    readers: the origins whose pages may read, in the form of the setting; reads_are_open: every page may read.
    """

    def __init__(self, config: Config) -> None:
        self._origins = frozenset(origin.lower() for origin in config.cors_origins)
        self.reads_are_open = ALL_ORIGINS in self._origins or not (config.cors_origins or config.auth or config.rules)
        self.readers = (ALL_ORIGINS,) if self.reads_are_open else config.cors_origins
        self._anonymous_are_served = not config.auth or bool(config.rules)
        self._hosts = _own_names() | {config.host.lower()} | {_host_of(origin) for origin in self._origins}

    def refusal(self, environ: WSGIEnvironment, action: Action, is_anonymous: bool) -> ApiError | None:
        """Return why the page that makes a request may not do this; None where it may.

        is_anonymous: the client has no credentials. The rights of such a client may be those of its network.
        """
        if action == "read" and self.reads_are_open:
            return None
        is_foreign = _is_foreign(environ, action) and not (action == "read" and _is_navigation(environ))
        if not is_foreign and not (is_anonymous and self._may_be_rebound(environ)):
            return None
        if _source(environ).lower() in self._origins:
            return None
        return _refusal_of_page(environ) if is_foreign else _refusal_of_host(environ)

    def is_own_page(self, environ: WSGIEnvironment, url: str) -> bool:
        """Return whether a URL is that of the gateway's page, as clients reach it: of its own or a listed origin."""
        *origin, path = url.split("/", 3)
        known = {*self._origins, _own_origin(environ)} - {ALL_ORIGINS}
        return (
            "/".join(origin).lower() in known and f"/{unquote(path, 'latin-1')}" == f"{environ.get('SCRIPT_NAME', '')}/"
        )

    def refusal_of_handshake(self, environ: WSGIEnvironment, is_anonymous: bool) -> ApiError | None:
        """Return why a page may not open a WebSocket, of which a browser shows the messages to any page."""
        return None if ALL_ORIGINS in self._origins else self.refusal(environ, "write", is_anonymous)

    def _may_be_rebound(self, environ: WSGIEnvironment) -> bool:
        """Return whether another site may have its name point at the gateway (DNS rebinding).

        The page of such a site has the gateway's origin, as the browser sees it.
        """
        if not self._anonymous_are_served or not _is_of_browser(environ):
            return False
        host = _host(environ)
        return not (host in self._hosts or host.endswith(".localhost") or parse_address(host))


def _own_names() -> frozenset[str]:
    """Return the names of this machine that need no lookup."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, name.partition(".")[0]})


def _host(environ: WSGIEnvironment) -> str:
    """Return the host of a request's URL, without a port."""
    return _host_of(f"//{environ.get('HTTP_HOST') or environ['SERVER_NAME']}")


def _host_of(origin: str) -> str:
    authority = origin.partition("//")[2].lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0].removesuffix(".")


def _is_of_browser(environ: WSGIEnvironment) -> bool:
    """Return whether a request may come from a page in a browser."""
    return any(header in environ for header in _BROWSER_HEADERS) or _is_nameless_get(environ)


def _is_nameless_get(environ: WSGIEnvironment) -> bool:
    """Return whether this is a GET of a browser without the headers that name a page.

    A page can leave out Referer, and a browser sends Sec-Fetch-Site over HTTPS or to the machine itself only.
    """
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and "Mozilla/" in environ.get("HTTP_USER_AGENT", "")


def _is_foreign(environ: WSGIEnvironment, action: Action) -> bool:
    """Return whether a browser says that the request comes from a page of another origin."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE")
    if origin is None and site is None:
        return action != "read" and _is_simple_from_elsewhere(environ)
    return site in ("cross-site", "same-site") or (origin is not None and origin.lower() != _own_origin(environ))


def _is_simple_from_elsewhere(environ: WSGIEnvironment) -> bool:
    """Return whether this is a form or a link of another page, as a browser without the other headers sends it."""
    source = _source(environ).lower()
    if not source:
        return _is_nameless_get(environ)
    content_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return content_type in _SIMPLE_TYPES and source != _own_origin(environ)


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


def _refusal_of_page(environ: WSGIEnvironment) -> ApiError:
    return _refusal(environ, f"expected a page of {_own_origin(environ)[:300]!a} or of an origin", "")


def _refusal_of_host(environ: WSGIEnvironment) -> ApiError:
    expected = "expected an address or a name of the gateway's machine in the URL, or the host of an origin"
    return _refusal(environ, expected, f" for the host {_host(environ)[:300]!a}")


def _refusal(environ: WSGIEnvironment, expected: str, host: str) -> ApiError:
    """Return a refusal that the page may read."""
    source = _source(environ)[:300]
    page = ascii(source) if source else "an unknown page"
    description = f"{expected} in MTANGO_CORS_ORIGINS, got a request of {page}{host}"
    headers = {"Access-Control-Allow-Origin": source, "Access-Control-Allow-Credentials": "true"}
    readable = "HTTP_ORIGIN" in environ and _PRINTABLE.fullmatch(source)
    return ApiError(403, "MTANGO_CrossSite", description, headers if readable else None)
