"""Exchange: a request and its answer, whoever in here answers: what it finds of its application, what is said of it."""

from __future__ import annotations

import dataclasses
import functools
import logging
import random
import re
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from mtango_gevent import __version__
from mtango_gevent.config import Config
from mtango_gevent.control.calls import measure_calls
from mtango_gevent.control.client import TangoClient
from mtango_gevent.logs import AccessLine, log
from mtango_gevent.series import OTHER
from mtango_gevent.workers import Figures

if TYPE_CHECKING:
    from mtango_gevent.api.repeats import Question

Environ: TypeAlias = dict[str, Any]
Headers: TypeAlias = list[tuple[str, str]]

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD")

_access = logging.getLogger("mtango_gevent.access")

_SERVER = ("x-mtango", f"mtango-gevent {__version__}")

# One that may be passed on in a header and a log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)

# What may stand in a query as it is.
_QUERY = "%!$&'()*+,;=:@/?-._~"


@dataclasses.dataclass(frozen=True)
class Context:
    """Of an application: settings, Tango, figures.

    in_force: settings that the server was started with other than `config` says; the server fills it in.
    """

    config: Config
    client: TangoClient
    in_force: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def figures(self) -> Figures:
        return self.client.figures


class Exchange:
    """began: when the request came, by time.perf_counter(); outcome: `ok`, or why not.

    route: the rule of its URL, `none` without one; device: the name of the device it is about, if it is about one.
    failed: why it was not answered by who tried before Flask; question: how to answer that URL again.
    """

    __slots__ = ("_call_time", "_environ", "began", "context", "device", "failed", "id", "outcome", "question", "route")

    def __init__(self, context: Context, environ: Environ) -> None:
        """Begins now, as that of this greenlet or thread."""
        given = environ.get("HTTP_X_REQUEST_ID")
        self.id = given if given and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"
        self.context, self._environ = context, environ
        self.began = time.perf_counter()
        self._call_time = measure_calls()
        self.outcome, self.route, self.device = "ok", "none", "-"
        self.failed: Exception | None = None
        self.question: Question | None = None
        context.figures.count("requests")
        _current.set(self)

    def finish(self, status: str, headers: Headers) -> None:
        """Add to the headers of the answer what each has, and count and log it."""
        seconds, tango = time.perf_counter() - self.began, self._call_time.seconds
        headers += (
            _SERVER,
            ("X-Request-ID", self.id),
            ("Server-Timing", f"total;dur={seconds * 1000:.1f}, tango;dur={tango * 1000:.1f}"),
        )
        self._count(status[:3], seconds)
        if self.context.config.access_log:
            self._log(status[:3], headers, seconds, tango)

    def _count(self, status: str, seconds: float) -> None:
        """By what the server knows, never by what a client makes up: each value of a label is kept for ever."""
        figures, method = self.context.figures, self._environ["REQUEST_METHOD"]
        if method not in METHODS:
            method = OTHER
        figures.count("responses")
        figures.count_labelled("mtango_http_requests_total", self.route, method, status)
        figures.time_labelled(seconds, "mtango_http_request_duration_seconds", self.route, method)

    def _log(self, status: str, headers: Headers, seconds: float, tango: float) -> None:
        environ = self._environ
        log(
            _access,
            AccessLine(
                id=self.id,
                client=_quoted(environ.get("REMOTE_ADDR") or "-", ":.[]%"),  # which a proxy may have from anybody
                method=_quoted(environ["REQUEST_METHOD"]),
                url=_url(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")),
                status=int(status),
                bytes=next((int(value) for name, value in headers if name == "Content-Length"), 0),
                duration=round(seconds * 1000, 3),
                tango=round(tango * 1000, 3),
                device=self.device,
                outcome=self.outcome,
            ),
        )


_current: ContextVar[Exchange] = ContextVar("exchange")

# That of the greenlet or thread.
current = _current.get


def context() -> Context:
    return current().context


def config() -> Config:
    return context().config


@functools.lru_cache(maxsize=1024)
def _quoted(text: str, safe: str = "") -> str:
    return quote(text, safe=safe)


@functools.lru_cache(maxsize=1024)
def _url(root: str, path: str, query: str) -> str:
    """As it was asked; nothing is in it that a URL has not. The parts are WSGI's: bytes, each as a character."""
    path, query = quote((root + path).encode("latin-1")), quote(query.encode("latin-1"), safe=_QUERY)
    return f"{path}?{query}" if query else path
