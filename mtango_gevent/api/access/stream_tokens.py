"""Tokens of streams: a browser cannot send the header Authorization with a WebSocket or an EventSource."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from itsdangerous import BadData, URLSafeTimedSerializer

from mtango_gevent.api.access.identity import Identity

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Seconds for which a token is valid. A stream ends with its token, unless the client sends it a new one.
LIFETIME = 900

# The cookie of event streams. A WebSocket takes none: a browser sends cookies with a handshake of any page.
COOKIE = "mtango_stream"

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

    def make(self, identity: Identity) -> str:
        return self._serializer().dumps([identity.user, sorted(identity.groups), identity.method])

    def verify(self, token: str | None) -> Identity | None:
        """Return the user of a token; None for a token that is wrong or expired."""
        if token is None:
            return None
        try:
            user, groups, method = self._serializer().loads(token, max_age=LIFETIME)
        except BadData:
            return None
        return Identity(user, frozenset(groups), method)

    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret(), salt="mtango-gevent stream")

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
