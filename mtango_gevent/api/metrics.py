"""/metrics: the metrics of all workers, for Prometheus. Not part of a Tango API."""

from __future__ import annotations

from flask import Blueprint, Response, request

from mtango_gevent.api import access, freshness
from mtango_gevent.api.request_context import app_state

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@access.needs("administer", "gateway", "metrics", changes=False)
def show_metrics() -> Response:
    """Answer in the text format of Prometheus, or as OpenMetrics to a client that accepts it."""
    app_state().client.publish()
    text, content_type = app_state().metrics.exposition(request.headers.get("Accept", ""))
    return freshness.add_value_headers(Response(text, content_type=content_type))
