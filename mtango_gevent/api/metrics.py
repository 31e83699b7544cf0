"""/metrics: the metrics of all workers, for Prometheus. Not part of a Tango API."""

from __future__ import annotations

from flask import Blueprint, Response, request

from mtango_gevent.api import reply
from mtango_gevent.api.exchange import context

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def show_metrics() -> Response:
    """Answer in the text format of Prometheus, or as OpenMetrics to a client that accepts it."""
    context().client.publish()
    text, content_type = context().metrics.exposition(request.headers.get("Accept", ""))
    return reply.momentary(Response(text, content_type=content_type))
