"""The worker's response is, byte for byte, the same as gunicorn's."""

from __future__ import annotations

import types
from collections.abc import Sequence

import pytest
from gunicorn import util
from gunicorn.config import Config
from gunicorn.http import errors, wsgi

from mtango_gevent.serving import response
from mtango_gevent.serving.response import GatewayResponse

PLAIN = [("Content-Type", "application/json"), ("Vary", "Origin")]


class Socket:
    """Collects what is written. most: bytes that a `send` takes."""

    def __init__(self, most: int) -> None:
        self.received, self._most = b"", most

    def send(self, data: bytes) -> int:
        self.received += data[: self._most]
        return min(self._most, len(data))

    def sendall(self, data: bytes) -> None:
        self.received += data

    def sendmsg(self, parts: Sequence[bytes]) -> int:
        return self.send(b"".join(parts))


def written(
    response_class: type[wsgi.Response],
    status: str,
    headers: Sequence[tuple[str, str]],
    pieces: Sequence[bytes],
    method: str,
    most: int = 100,
) -> bytes:
    socket = Socket(most)
    request = types.SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
    answer = response_class(request, socket, Config())  # pyright: ignore[reportArgumentType]
    answer.start_response(status, list(headers))  # pyright: ignore[reportArgumentType]
    for piece in pieces:
        answer.write(piece)
    answer.close()
    return socket.received


def size(length: int) -> tuple[str, str]:
    return "Content-Length", str(length)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("status", "headers", "pieces"),
    [
        ("200 OK", [*PLAIN, size(5)], [b"12345"]),
        ("200 OK", [*PLAIN, size(300_000)], [b"x" * 300_000]),
        ("200 OK", [*PLAIN, size(5)], [b"12", b"345"]),
        ("200 OK", [*PLAIN, size(5)], [b"1234567"]),
        ("200 OK", [*PLAIN, size(5)], [b"123"]),
        ("200 OK", [*PLAIN, size(0)], [b""]),
        ("200 OK", PLAIN, [b"chunk", b"", b"and another"]),
        ("204 NO CONTENT", [], []),
        ("304 NOT MODIFIED", [*PLAIN, size(5)], []),
        ("200 OK", [*PLAIN, ("Connection", "close"), ("X-Spaces", " some "), size(1)], [b"1"]),
    ],
)
def test_response_is_the_same_as_gunicorns(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    status: str,
    headers: Sequence[tuple[str, str]],
    pieces: Sequence[bytes],
) -> None:
    date = "Sat, 21 Nov 2026 00:00:00 GMT"
    monkeypatch.setattr(util, "http_date", lambda: date)
    monkeypatch.setattr(response, "_date", lambda second: date)
    for most in (100, 1000, 1_000_000):  # the second time its headers are known
        ours = written(GatewayResponse, status, headers, pieces, method, most)
        assert ours == written(wsgi.Response, status, headers, pieces, method)


@pytest.mark.slow
def test_invalid_headers_are_refused_after_many_valid_ones() -> None:
    for number in range(2000):
        written(GatewayResponse, "200 OK", [("X-Number", str(number)), size(1)], [b"1"], "GET")
    assert len(GatewayResponse._valid) <= 1000
    for header in [("X-Number", "1\r\nX-Other: 2"), ("X Number", "1")]:
        with pytest.raises((errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, ValueError)):
            written(GatewayResponse, "200 OK", [header, size(1)], [b"1"], "GET")
