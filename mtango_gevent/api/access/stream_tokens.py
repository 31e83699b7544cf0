"""Tokens of the WebSocket: a browser cannot send the header Authorization with it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from itsdangerous import BadData, URLSafeTimedSerializer

from mtango_gevent.api.access.identity import Identity

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Seconds for which a token is valid. A stream ends with its token, unless the client sends it a new one.
LIFETIME = 600

# A token as a subprotocol of a WebSocket, as those are the only header of it that a page can set.
SUBPROTOCOL = "mtango.token."

# The key of a WSGI environment for the token that a client has sent after its request.
_RENEWED = "mtango.stream_token"


class StreamTokens:
    """Makes tokens, and finds and verifies them. They name a user whom another method has authenticated.

    secret: of all workers of a gateway; path: the URL path of the WebSocket, the only one that takes tokens.
    """

    def __init__(self, secret: bytes, path: str) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="mtango-gevent stream")
        self._path = path

    def make(self, identity: Identity) -> str:
        return self._serializer.dumps([identity.user, sorted(identity.groups), identity.method])

    def verify(self, token: str) -> Identity | None:
        """Return the user of a token; None for a token that is wrong or expired."""
        try:
            user, groups, method = self._serializer.loads(token, max_age=LIFETIME)
        except BadData:
            return None
        return Identity(user, frozenset(groups), method)

    def find(self, environ: WSGIEnvironment) -> str | None:
        """Return the token of a request: of a subprotocol, or of the parameter `token`."""
        if environ.get("PATH_INFO") != self._path:
            return None
        renewed = environ.get(_RENEWED)
        if renewed is not None:
            return renewed
        for offered in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(","):
            if offered.strip().startswith(SUBPROTOCOL):
                return offered.strip().removeprefix(SUBPROTOCOL)
        query = environ.get("QUERY_STRING", "")
        return parse_qs(query).get("token", [None])[0] if "token=" in query else None


def renew(environ: WSGIEnvironment, token: str) -> None:
    """Take a new token in place of the credentials of a request."""
    environ[_RENEWED] = token
