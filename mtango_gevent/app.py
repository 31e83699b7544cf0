"""create_app(): the one place that knows all parts."""

from __future__ import annotations

import logging

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from mtango_gevent import api
from mtango_gevent.config import Config, warnings
from mtango_gevent.control.client import TangoClient

logger = logging.getLogger(__name__)


def create_app(config: Config | None = None) -> Flask:
    """The WSGI application, with the settings of the environment unless `config` is given.

    Connects to nothing and starts nothing: the first request that needs Tango does. Raises ConfigError.
    """
    if config is None:
        config = Config.load()
        for warning in warnings():
            logger.warning("%s", warning)
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False  # every URL with and without a slash at the end, and never a redirect:
    app.url_map.merge_slashes = False  # on a redirect browsers drop Authorization and give up a CORS preflight
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = config.body_limit
    app.extensions["mtango"] = api.Context(config, TangoClient(config))
    api.register(app, config)
    if config.trusted_proxies:
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops)
    return app
