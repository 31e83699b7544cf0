"""Tango REST API v11, and v10 as the same: a blueprint for each noun of its URLs."""

from __future__ import annotations

from flask import Blueprint

from mtango_gevent.api.v11 import (
    attributes,
    bulk,
    bulk_changes,
    commands,
    devices,
    errors,
    events,
    hosts,
    pipes,
    properties,
    tree,
    urls,
)

VERSIONS = ("v10", "v11")

blueprint = Blueprint("v11", __name__)
errors.register(blueprint)
blueprint.url_value_preprocessor(urls.resolve)
blueprint.register_blueprint(hosts.blueprint)
blueprint.register_blueprint(tree.blueprint)
blueprint.register_blueprint(bulk.blueprint)
blueprint.register_blueprint(bulk_changes.blueprint)
blueprint.register_blueprint(devices.blueprint)
blueprint.register_blueprint(attributes.blueprint, url_prefix=urls.DEVICE + "/attributes")
blueprint.register_blueprint(events.blueprint, url_prefix=urls.DEVICE + "/attributes")
blueprint.register_blueprint(properties.of_attributes, url_prefix=urls.DEVICE + "/attributes/<attribute>/properties")
blueprint.register_blueprint(properties.blueprint, url_prefix=urls.DEVICE + "/properties")
blueprint.register_blueprint(commands.blueprint, url_prefix=urls.DEVICE + "/commands")
blueprint.register_blueprint(pipes.blueprint, url_prefix=urls.DEVICE + "/pipes")
