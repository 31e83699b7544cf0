"""Front: what each request comes to first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from mtango_gevent.api.exchange import Context, Environ, Exchange, Headers
from mtango_gevent.api.repeats import Repeats

# What flask-cors puts into headers as it is, and may so have to be what a header can be.
_ECHOED = ("HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS")
_PLAIN = re.compile(r"[\x20-\x7e]*")


class Front:
    """Begins and finishes the exchange, whoever answers: Flask, or `Repeats` where it knows the question."""

    def __init__(self, app: Flask, context: Context) -> None:
        self._flask, self._context = app.wsgi_app, context
        self._repeats = Repeats()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        exchange = Exchange(self._context, environ)
        self._context.client.apply_pending_clears()
        for name in _ECHOED:
            if name in environ and not _PLAIN.fullmatch(environ[name]):
                del environ[name]
        answer = self._repeats.answer(environ, exchange)
        if answer is not None:
            body, headers = answer
            exchange.finish("200 OK", headers)
            start_response("200 OK", headers)
            return [body]

        def start(status: str, headers: Headers, *error: Any) -> Any:
            exchange.finish(status, headers)
            self._repeats.learn(environ, exchange, headers)
            return start_response(status, headers, *error)

        return self._flask(environ, start)
