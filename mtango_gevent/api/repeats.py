"""Repeats: values that are asked for again and again, which is most of what a gateway is asked.

The first answer to a URL comes from its view, which leaves here how to read the value again and how to render it. From
then on there is no routing, nothing to resolve and nothing to check: that URL has passed. Whatever is not just that
question again, or fails, is Flask's, so that what an answer is is said once: in the view, `reply` and `failures`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from mtango_gevent.api import pictures, reply
from mtango_gevent.api.exchange import Environ, Exchange, Headers, config
from mtango_gevent.api.reply import Rendered
from mtango_gevent.control.reads import Reading

# Questions that are known at a time, and the most characters of one: more than all screens of a control room have.
_MOST, _LONGEST = 10_000, 2_000

# Bytes of a body that are not worth counting beside what was read.
_SMALL = 1_000

# Origins of pages, whose headers are known.
_MOST_ORIGINS = 100


@dataclasses.dataclass(frozen=True)
class Question:
    """device: its name; read: has Tango read it; render: makes of what was read what is sent, the same for all."""

    device: str
    read: Callable[[], Reading[Any]]
    render: Callable[[Any], Rendered]


class Repeats:
    """Those of one application."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, Question]] = {}  # route and question, by path and query
        self._cors: dict[str | None, Headers] = {}  # what flask-cors answers to each origin

    def answer(self, environ: Environ, exchange: Exchange) -> tuple[bytes, Headers] | None:
        """(body, headers), where it is to be answered here. What went wrong here is in the exchange."""
        known = self._known.get(_key(environ))
        cors = self._cors.get(environ.get("HTTP_ORIGIN"))
        if known is None or cors is None or not _is_plain(environ):
            return None
        exchange.route, question = known
        exchange.device = question.device
        try:
            reading = question.read()
            rendered = _render(question, reading)
        except Exception as error:
            exchange.failed = error
            return None
        return rendered.body, [*reply.headers(rendered, reading.began), *cors]

    def learn(self, environ: Environ, exchange: Exchange, headers: Headers) -> None:
        """From what Flask has answered."""
        if not _is_plain(environ):
            return
        origin, key = environ.get("HTTP_ORIGIN"), _key(environ)
        if origin not in self._cors:
            _make_room(self._cors, _MOST_ORIGINS)
            self._cors[origin] = [header for header in headers if header[0].startswith("Access-Control-")]
        if exchange.question and len("".join(key)) <= _LONGEST:
            _make_room(self._known, _MOST)
            self._known[key] = exchange.route, exchange.question


def _render(question: Question, reading: Reading[Any]) -> Rendered:
    """Once for all who have the same reading. One that is kept is not to take more memory than has been counted."""
    rendered: Rendered | None = reading.rendered
    if rendered is None:
        rendered = question.render(reading.items)
        if not config().value_max_age or len(rendered.body) <= _SMALL:
            reading.rendered = rendered
    return rendered


def _key(environ: Environ) -> tuple[str, str]:
    return environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")


def _is_plain(environ: Environ) -> bool:
    """Whether its URL says all that the request wants."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and "HTTP_IF_NONE_MATCH" not in environ
        and pictures.prefers_json(environ.get("HTTP_ACCEPT", ""))
    )


def _make_room(known: dict[Any, Any], most: int) -> None:
    if len(known) >= most:
        known.clear()
