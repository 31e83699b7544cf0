"""Tokens of streams: a browser cannot send the header Authorization with a WebSocket or an EventSource."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import parse_qs

from itsdangerous import BadData, URLSafeTimedSerializer

from mtango_gevent.api.access.identity import Identity

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Seconds for which a token is valid. A stream ends with its token, unless the client sends it a new one.
LIFETIME = 900

# The cookie of event streams. A WebSocket takes none: a browser sends cookies with a handshake of any page.
COOKIE = "mtango_stream"

# What a token opens: event streams alone, in whose URLs it stands, or WebSockets, too.
Purpose: TypeAlias = Literal["event stream", "websocket"]

# A token as a subprotocol of a WebSocket, as those are the only header of it that a page can set.
SUBPROTOCOL = "mtango.token."

# The key of a WSGI environment for the token that a client has sent after its request.
_RENEWED = "mtango.stream_token"

_IN_COOKIES = re.compile(rf"(?:^|;)\s*{COOKIE}=([A-Za-z0-9._-]+)")


class StreamTokens:
    """Makes tokens, and finds and verifies them. They name a user whom another method has authenticated.

    secret: returns that of all workers that serve the same subscriptions; base: the path of the URLs of streams, which
    alone take tokens.
    """

    def __init__(self, secret: Callable[[], bytes], base: str) -> None:
        self._secret = secret
        self._websocket = f"{base}/stream"
        self._event_stream = re.compile(rf"{re.escape(base)}/subscriptions/[0-9]+/event-stream")

    def make(self, identity: Identity, purpose: Purpose) -> str:
        return self._serializer(purpose).dumps([identity.user, sorted(identity.groups), identity.method])

    def verify(self, token: str | None, environ: WSGIEnvironment) -> Identity | None:
        """Return the user of a token of a request; None for one that is wrong, expired or not for it."""
        if token is None:
            return None
        is_websocket = environ.get("PATH_INFO") == self._websocket
        purposes: tuple[Purpose, ...] = ("websocket",) if is_websocket else ("websocket", "event stream")
        for purpose in purposes:
            with contextlib.suppress(BadData):
                user, groups, method = self._serializer(purpose).loads(token, max_age=LIFETIME)
                return Identity(user, frozenset(groups), method)
        return None

    def _serializer(self, purpose: Purpose) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret(), salt=f"mtango-gevent {purpose}")

    def find(self, environ: WSGIEnvironment) -> str | None:
        """Return the token of a request: of a subprotocol, or of the parameter `token`."""
        path = environ.get("PATH_INFO", "")
        if path != self._websocket and not self._event_stream.fullmatch(path):
            return None
        renewed = environ.get(_RENEWED)
        if renewed is not None:
            return renewed
        for offered in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(","):
            if offered.strip().startswith(SUBPROTOCOL):
                return offered.strip().removeprefix(SUBPROTOCOL)
        query = environ.get("QUERY_STRING", "")
        return parse_qs(query).get("token", [None])[0] if "token=" in query else None

    def find_in_cookie(self, environ: WSGIEnvironment) -> str | None:
        """Return the token in the cookie of a request for an event stream."""
        found = _IN_COOKIES.search(environ.get("HTTP_COOKIE", ""))
        return found[1] if found and self._event_stream.fullmatch(environ.get("PATH_INFO", "")) else None


def renew(environ: WSGIEnvironment, token: str) -> None:
    """Take a new token in place of the credentials of a request."""
    environ[_RENEWED] = token
