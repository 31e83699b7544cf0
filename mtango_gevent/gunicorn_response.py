"""How answers are written: as gunicorn does, but in fewer calls of the system and with fewer checks of the same.

gunicorn writes head and body one after the other, each after asking for the size of the socket's buffer, and formats
the date and looks at each header anew for each answer. Together that is a third of what a small answer costs.
"""

from __future__ import annotations

import functools
import time
from typing import Any, ClassVar

from gunicorn import util
from gunicorn.http import wsgi

# Bytes of a body that is rather copied than written by itself.
_SMALL = 1 << 16

# Headers that are remembered as sound.
_MOST = 1000

_date = functools.lru_cache(maxsize=1)(util.http_date)


class GatewayResponse(wsgi.Response):
    """What is not a whole and small body in one piece is gunicorn's."""

    headers: Any
    _sound: ClassVar[set[tuple[str, str]]] = set()

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        for header in headers:
            if header in self._sound:
                self.headers.append(header)
            else:
                self._process(header)

    def _process(self, header: tuple[str, str]) -> None:
        """Raises what gunicorn raises for one that cannot be."""
        super().process_headers([header])
        if self.headers and self.headers[-1] == header and header[0].lower() != "content-length":
            if len(self._sound) >= _MOST:
                self._sound.clear()
            self._sound.add(header)

    def write(self, arg: bytes) -> None:
        size = len(arg)
        if self.headers_sent or self.req.method == "HEAD" or size != self.response_length or not 0 < size <= _SMALL:
            super().write(arg)
            return
        self.headers_sent, self.sent = True, size
        data = self._head() + arg
        sent = self.sock.send(data)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def _head(self) -> bytes:
        lines = [*self.default_headers(), *[f"{name}: {value}\r\n" for name, value in self.headers], "\r\n"]
        return "".join(lines).encode("latin-1")


def install() -> None:
    """In a worker, for all its answers."""
    wsgi.Response = GatewayResponse
    util.http_date = _date_of


def _date_of(timestamp: Any = None) -> str:
    return _date(int(time.time()) if timestamp is None else timestamp)
