"""`/tango/stream`: a WebSocket with any number of subscriptions. Reference: docs/reference/stream.md."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from wsproto.utilities import generate_accept_token

from mtango_gevent.api import access, guard, reply
from mtango_gevent.api.access import TOKEN_LIFETIME, TOKEN_SUBPROTOCOL
from mtango_gevent.api.query import quoted
from mtango_gevent.api.request_context import current
from mtango_gevent.api.streams.frames import Frames
from mtango_gevent.api.streams.session import Session
from mtango_gevent.errors import ApiError, BadRequest, NotImplementedHere

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

blueprint = Blueprint("websocket", __name__)

SUBPROTOCOL = "mtango.v1"

_VERSION = "13"

# What may stand in a list of subprotocols: a token of RFC 7230.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_UPGRADE = {"Upgrade": "websocket", "Sec-WebSocket-Version": _VERSION}


@blueprint.get("/stream/token")
@access.needs("read", "gateway", "api")
def make_token() -> Response:
    """Make a token with which a page opens WebSockets as the user of this request."""
    token = current().state.access.tokens.make(current().identity, "websocket")
    return reply.json({"token": token, "seconds": TOKEN_LIFETIME})


@blueprint.get("/stream")
@access.needs("read", "gateway", "api")
def refuse_request() -> Response:
    raise ApiError(426, "MTANGO_Http426", "expected a WebSocket handshake", _UPGRADE)


@blueprint.get("/stream", websocket=True)
@access.needs("read", "gateway", "api")
def open_stream() -> Response:
    """Answer a WebSocket handshake. Raises ApiError 400, 426 and 501, and DevFailed for too many streams."""
    guard.check_handshake()
    key, subprotocol = _check_handshake(), _choose_subprotocol()
    context = current()
    state, environ = context.state, context.environ
    socket, concurrency = environ.get("gunicorn.socket"), state.client.concurrency
    if socket is None or not concurrency.in_hub():
        raise NotImplementedHere("a WebSocket needs gunicorn with its gevent worker, which this server is not")
    stream = state.client.streams.open("websocket", context.identity.user, environ.get("REMOTE_ADDR", ""))

    def serve() -> None:
        frames = Frames(socket, concurrency, state.config.send_timeout, lambda: stream.stopping)
        Session(context, stream, frames).run()

    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    headers.append(("Sec-WebSocket-Accept", generate_accept_token(key.encode("ascii")).decode("ascii")))
    if subprotocol:
        headers.append(("Sec-WebSocket-Protocol", subprotocol))
    return Upgrade(headers, serve, stream.close)


def _check_handshake() -> str:
    """Return the header Sec-WebSocket-Key. Raises ApiError."""
    version, key = request.headers.get("Sec-WebSocket-Version", ""), request.headers.get("Sec-WebSocket-Key", "")
    if request.method != "GET" or request.environ.get("SERVER_PROTOCOL") != "HTTP/1.1":
        raise ApiError(426, "MTANGO_Http426", "expected a WebSocket handshake by GET of HTTP/1.1", _UPGRADE)
    if version.strip() != _VERSION:
        raise ApiError(426, "MTANGO_Http426", f"expected Sec-WebSocket-Version 13, got {quoted(version)}", _UPGRADE)
    if request.content_length or "Transfer-Encoding" in request.headers:
        raise BadRequest("expected a WebSocket handshake without a body")
    try:
        is_good = len(base64.b64decode(key.strip(), validate=True)) == 16
    except (binascii.Error, ValueError):
        is_good = False
    if not is_good:
        raise BadRequest(f"expected 16 bytes in Base64 in the header Sec-WebSocket-Key, got {quoted(key)}")
    return key.strip()


def _choose_subprotocol() -> str | None:
    """Return the offered subprotocol that the answer names, as a browser expects if it offers some."""
    offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    tokens = (each for each in offered if each.startswith(TOKEN_SUBPROTOCOL) and _TOKEN.fullmatch(each))
    return SUBPROTOCOL if SUBPROTOCOL in offered else next(tokens, None)


class Upgrade(Response):
    """The answer to a handshake, after which the server of the request is in the hands of `serve`.

    give_up: called if the answer cannot be sent.
    """

    def __init__(self, headers: list[tuple[str, str]], serve: Callable[[], None], give_up: Callable[[], None]) -> None:
        super().__init__(status=101)
        self._upgrade_headers, self._serve, self._give_up = headers, serve, give_up

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        start_response("101 Switching Protocols", self._upgrade_headers)
        return self._run()

    def _run(self) -> Iterator[bytes]:
        try:
            yield b""  # the server sends the head
        except BaseException:
            self._give_up()
            raise
        self._serve()
