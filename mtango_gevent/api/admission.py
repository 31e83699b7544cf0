"""Admission: what a request passes between its route and its view, whether Flask has found the route or not."""

from __future__ import annotations

from mtango_gevent.api import body, changes, guard, query
from mtango_gevent.api.request_context import current


def admit() -> None:
    """Check the access and the query of the current request, read its body, and begin its change.

    Raises what each step raises; the next ones are not taken then.
    """
    context = current()
    changes.expect_view(context)
    guard.check_view(context)
    query.check_query()
    body.read_body()
    guard.check_after_body(context)
    changes.begin_change(context)
