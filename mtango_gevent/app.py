"""create_app(): puts the parts of the gateway together, in the order of set-up."""

from __future__ import annotations

import logging

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from mtango_gevent import api
from mtango_gevent.config import Config, warnings
from mtango_gevent.control.access_control import TangoAccessControl
from mtango_gevent.control.client import TangoClient

logger = logging.getLogger(__name__)


def create_app(config: Config | None = None) -> Flask:
    """Create the WSGI application, with the settings of the environment unless `config` is given.

    Connects to nothing and starts no thread: the first request that needs Tango does. Raises ConfigError.
    """
    if config is None:
        config = Config.load()
        for warning in warnings():
            logger.warning("%s", warning)
    app = Flask(__name__, static_folder=None)
    # Never redirect: browsers drop Authorization on a redirect, and fail a CORS preflight.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = config.body_limit
    client = TangoClient(config)
    subscriptions = api.SubscriptionStore(config, client)
    access, audit = api.AccessControl(config, client, subscriptions.secret), api.Audit(config, client)
    tango_access = TangoAccessControl(client) if config.tango_access_control else None
    failed = api.FailedRequests(client)
    state = app.extensions["mtango"] = api.AppState(config, client, access, audit, subscriptions, failed, tango_access)
    api.register(app, state)
    if config.trusted_proxies:
        hops = config.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops)
    return app
