"""Live streams: subscriptions with server-sent events, and a WebSocket. Contract: v11, 6."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("streams", __name__)
