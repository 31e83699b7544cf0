"""The connection of a request."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from gevent import monkey

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_poll = monkey.get_original("select", "poll")  # gevent's own would wait for the hub


def is_lost(environ: WSGIEnvironment) -> bool:
    """Return whether the client has closed the connection; false where the WSGI server hides the socket.

    Does not block.
    """
    socket = environ.get("gunicorn.socket")
    if socket is None:
        return False
    poll = _poll()
    poll.register(socket.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
