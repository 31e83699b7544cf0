"""Properties of devices and of attributes. Contract: v11, 3."""

from __future__ import annotations

import functools

from flask import Blueprint, Response

from mtango_gevent.api import access, properties
from mtango_gevent.api.properties import ONE, PUT_OR_POST
from mtango_gevent.api.v11 import answers
from mtango_gevent.control.device import Device

blueprint = Blueprint("properties", __name__)
of_attributes = Blueprint("attribute_properties", __name__)

# --- of devices ---


@blueprint.get("")
@access.needs("read")
def list_properties(device: Device) -> Response:
    found = properties.readable(device, device.properties().read())
    return answers.metadata(properties.shape_items(found))


@blueprint.route("", methods=PUT_OR_POST)
@access.needs("configure", "property", by_view=True)
def put_properties(device: Device) -> Response:
    """Write properties. Commas separate the values in a query: Waltz joins them so."""
    return properties.put_of_device(device, by_commas=True)


@blueprint.get(ONE)
@access.needs("read", "property")
def show_property(device: Device, property_name: str) -> Response:
    """Answer a property; one that does not exist has no values."""
    return answers.metadata(properties.shape(property_name, device.properties().read()))


@blueprint.route(ONE, methods=PUT_OR_POST)
@access.needs("configure", "property")
def put_property(device: Device, property_name: str) -> Response:
    return properties.put_one(device, device.properties, property_name)


@blueprint.delete(ONE)
@access.needs("configure", "property")
def delete_property(device: Device, property_name: str) -> Response:
    return properties.delete(device.properties(), property_name)


# --- of attributes ---


@of_attributes.get("")
@access.needs("read", "attribute")
def list_attribute_properties(device: Device, attribute: str) -> Response:
    return answers.metadata(properties.shape_items(device.attribute_properties(attribute).read()))


@of_attributes.route("", methods=PUT_OR_POST)
@access.needs("configure", "attribute", in_database=True)
def put_attribute_properties(device: Device, attribute: str) -> Response:
    return properties.put_of_attribute(device, attribute, properties.shape_items)


@of_attributes.get(ONE)
@access.needs("read", "attribute")
def show_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    return answers.metadata(
        properties.shape(property_name, properties.find_of_attribute(device, attribute, property_name))
    )


@of_attributes.route(ONE, methods=PUT_OR_POST)
@access.needs("configure", "attribute", in_database=True)
def put_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    return properties.put_one(device, functools.partial(device.attribute_properties, attribute), property_name)


@of_attributes.delete(ONE)
@access.needs("configure", "attribute", in_database=True)
def delete_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    return properties.delete(device.attribute_properties(attribute), property_name)
