"""The HTTP side. It reaches Tango only through `control` and `values`."""

from __future__ import annotations

from flask import Flask

from mtango_gevent.api import (
    admission,
    entry,
    error_handlers,
    health,
    login,
    metrics,
    middleware,
    pages,
    rc3,
    streams,
    sys,
    v11,
)
from mtango_gevent.api.access import AccessControl, Audit
from mtango_gevent.api.cors import CorsPolicy
from mtango_gevent.api.failed_requests import FailedRequests
from mtango_gevent.api.request_context import AppState
from mtango_gevent.api.subscription_store import SubscriptionStore

__all__ = ["AccessControl", "AppState", "Audit", "FailedRequests", "SubscriptionStore", "register"]


def register(app: Flask, state: AppState) -> None:
    """Put every URL, every hook and the middleware into `app`."""
    base = state.config.app_base
    app.url_value_preprocessor(middleware.enter_flask)
    app.before_request(admission.admit)
    error_handlers.register(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.register_blueprint(entry.blueprint, url_prefix=base)
    app.register_blueprint(rc3.blueprint, url_prefix=base + "/rc3")
    for version in v11.VERSIONS:
        app.register_blueprint(v11.blueprint, url_prefix=f"{base}/{version}", name=version)
    app.register_blueprint(streams.blueprint, url_prefix=base.removesuffix("/rest"))
    app.register_blueprint(sys.blueprint, url_prefix=base + "/sys")
    app.register_blueprint(login.blueprint, url_prefix=base + "/sys")
    cors = app.extensions["mtango_cors"] = CorsPolicy(app, state.config, state.access.cross_site.readers)
    if state.client.tracing.tracer is None:
        app.wsgi_app = middleware.Middleware(app, state, cors)
    else:
        from mtango_gevent.api.traced_middleware import TracedMiddleware  # needs OpenTelemetry

        app.wsgi_app = TracedMiddleware(app, state, cors)
