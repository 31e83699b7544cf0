"""The connection of a request."""

from __future__ import annotations

import select

from flask import request
from gevent import monkey

_poll = monkey.get_original("select", "poll")  # gevent's own would wait for the hub


def is_lost() -> bool:
    """Return whether the client has closed the connection; false where the WSGI server hides the socket.

    Does not block.
    """
    socket = request.environ.get("gunicorn.socket")
    if socket is None:
        return False
    poll = _poll()
    poll.register(socket.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
