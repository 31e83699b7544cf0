"""Tango REST API rc3: a blueprint for each noun of its URLs."""

from __future__ import annotations

from flask import Blueprint

from mtango_gevent.api import urls
from mtango_gevent.api.rc3 import attribute_writes, attributes, commands, devices, events, hosts, pipes, properties

blueprint = Blueprint("rc3", __name__)
blueprint.url_value_preprocessor(urls.resolve)
blueprint.register_blueprint(hosts.blueprint)
blueprint.register_blueprint(devices.blueprint)
blueprint.register_blueprint(attributes.blueprint, url_prefix=urls.DEVICE + "/attributes")
blueprint.register_blueprint(attribute_writes.blueprint, url_prefix=urls.DEVICE + "/attributes")
blueprint.register_blueprint(events.blueprint, url_prefix=urls.DEVICE + "/attributes")
blueprint.register_blueprint(commands.blueprint, url_prefix=urls.DEVICE + "/commands")
blueprint.register_blueprint(properties.of_attributes, url_prefix=urls.DEVICE + "/attributes/<attribute>/properties")
blueprint.register_blueprint(properties.blueprint, url_prefix=urls.DEVICE + "/properties")
blueprint.register_blueprint(pipes.blueprint, url_prefix=urls.DEVICE + "/pipes")
