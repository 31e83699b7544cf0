"""Live streams: subscriptions with server-sent events, and a WebSocket. Contract: v11, 6."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import error_handlers, timestamps
from mtango_gevent.api.streams import subscriptions, websocket
from mtango_gevent.errors import DevFailed

blueprint = Blueprint("streams", __name__)
blueprint.register_blueprint(subscriptions.blueprint)
blueprint.register_blueprint(websocket.blueprint)


@blueprint.url_value_preprocessor
def use_milliseconds(_endpoint: str | None, _values: dict[str, object] | None) -> None:
    timestamps.use_milliseconds()


@blueprint.errorhandler(DevFailed)
def answer_failure(failure: DevFailed) -> Response:
    return error_handlers.answer_with_status(failure)
