"""The connection that a request came over."""

from __future__ import annotations

import select

from flask import request
from gevent import monkey

_poll = monkey.get_original("select", "poll")  # which looks, and does not wait for the hub


def is_lost() -> bool:
    """Whether the client has gone, where the server lets its socket be seen (gunicorn does). Blocks nobody."""
    socket = request.environ.get("gunicorn.socket")
    if socket is None:
        return False
    poll = _poll()
    poll.register(socket.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
