"""Fetch small JSON documents over HTTP, and post forms, with limits of time and size, in a thread."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from gevent._hub_local import get_hub_if_exists  # the public get_hub() would make one

from mtango_gevent.ip_address import is_loopback

# Seconds for the connection, and again for the whole answer.
_TIMEOUT = 5.0

# Bytes of a document: a hundred keys with certificates.
_LIMIT = 256 << 10


def check_url(url: str) -> None:
    """Raise ValueError for a URL from which keys cannot be fetched safely: http only to this machine, no password."""
    expected = "expected a URL with https, or with http and a loopback address"
    parts = urlsplit(url)  # raises ValueError
    if not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
        raise ValueError(expected)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or parts.port == 0:
        raise ValueError(f"{expected}, without user, query and fragment")


def fetch_json(url: str) -> dict[str, Any]:
    """Return the JSON object at a URL. Follows no redirects.

    Raises ValueError or OSError with what is wrong, in one line.
    """
    return _fetch(url, None, urllib.request.HTTPDefaultErrorHandler(), urllib.request.HTTPErrorProcessor())[1]


def post_form(url: str, fields: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Post a form; return the status of the answer, whatever it is, and its JSON object. Raises as fetch_json does."""
    return _fetch(url, urlencode(fields).encode("ascii"))


def _fetch(url: str, form: bytes | None, *handlers: urllib.request.BaseHandler) -> tuple[int, dict[str, Any]]:
    """Return status and JSON object of an answer. form: the body of a POST; handlers: of answers that are failures."""
    check_url(url)
    headers = {"Accept": "application/json", "User-Agent": "mtango-gevent"}
    request = urllib.request.Request(url, form, headers)
    try:
        with _without_hub(), _opener(*handlers).open(request, timeout=_TIMEOUT) as response:
            status, body = response.status, response.read(_LIMIT + 1)
    except http.client.HTTPException as error:
        raise ValueError(f"no HTTP: {type(error).__name__}") from None
    if len(body) > _LIMIT:
        raise ValueError(f"expected at most {_LIMIT} bytes")
    document = orjson.loads(body)  # JSONDecodeError is a ValueError
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    return status, document


@contextlib.contextmanager
def _without_hub() -> Iterator[None]:
    """Destroy the hub that sockets patched by gevent make in a thread."""
    before = get_hub_if_exists()
    try:
        yield
    finally:
        hub = get_hub_if_exists()
        if before is None and hub is not None:
            hub.destroy(destroy_loop=True)


def _opener(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Return an opener for http and https only, without redirects; https goes through the environment's proxy."""
    proxies = {scheme: proxy for scheme, proxy in urllib.request.getproxies().items() if scheme == "https"}
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        _HttpHandler(),
        _HttpsHandler(),
        *handlers,
    ):
        opener.add_handler(handler)
    return opener


class _HttpHandler(urllib.request.AbstractHTTPHandler):
    http_request = urllib.request.AbstractHTTPHandler.do_request_

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpConnection, request)


class _HttpsHandler(urllib.request.AbstractHTTPHandler):
    https_request = urllib.request.AbstractHTTPHandler.do_request_

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, request, context=ssl.create_default_context())


class _Response(http.client.HTTPResponse):
    """A response that has to arrive as a whole in time."""

    def __init__(self, sock: socket.socket, *arguments: Any, **keywords: Any) -> None:
        super().__init__(sock, *arguments, **keywords)
        self.fp = io.BufferedReader(_ReaderInTime(self.fp.detach(), sock))


class _ReaderInTime(io.RawIOBase):
    """The bytes of a socket until a deadline: the socket's own timeout begins anew with each byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._until = time.monotonic() + _TIMEOUT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        if self._sock.fileno() >= 0:  # urllib has closed its side of it, the reader has not
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _HttpConnection(http.client.HTTPConnection):
    response_class = _Response


class _HttpsConnection(http.client.HTTPSConnection):
    response_class = _Response
