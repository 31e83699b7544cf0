"""Access control: decides whether a client may make a request."""

from __future__ import annotations

from mtango_gevent.api.request_context import RequestContext


def check(request: RequestContext) -> None:
    """Raise ApiError where the client may not make the request. There is no access control yet: all are allowed."""
