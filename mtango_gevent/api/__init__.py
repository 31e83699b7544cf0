"""The HTTP side: its table of contents. Speaks HTTP, and of Tango only through `control` and `values`."""

from __future__ import annotations

from flask import Flask

from mtango_gevent.api import entry, failures, front, health, hooks, metrics, pages, rc3, sys
from mtango_gevent.api.exchange import Context
from mtango_gevent.config import Config

__all__ = ["Context", "register"]


def register(app: Flask, config: Config) -> None:
    """Put every URL and every hook into `app`."""
    hooks.register(app, config)
    failures.register(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.register_blueprint(entry.blueprint, url_prefix=config.app_base)
    app.register_blueprint(rc3.blueprint, url_prefix=config.app_base + "/rc3")
    app.register_blueprint(sys.blueprint, url_prefix=config.app_base + "/sys")
    app.wsgi_app = front.Front(app, app.extensions["mtango"])
