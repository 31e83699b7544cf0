"""Properties of devices and of attributes. Contract: rc3, 2.3, 2.5 and Decisions."""

from __future__ import annotations

import functools

from flask import Blueprint, Response

from mtango_gevent.api import access, failures, properties, reply
from mtango_gevent.api.properties import ONE, PUT_OR_POST, Shape
from mtango_gevent.api.request_context import config
from mtango_gevent.control.device import Device
from mtango_gevent.control.properties import Found
from mtango_gevent.errors import DevFailed, describe
from mtango_gevent.names import canonical_name
from mtango_gevent.values import JsonObject

blueprint = Blueprint("properties", __name__)
of_attributes = Blueprint("attribute_properties", __name__)

# --- of devices ---


@blueprint.get("")
@access.needs("read")
def list_properties(device: Device) -> Response:
    found = properties.readable(device, device.properties().read())
    return reply.collection(list(found), lambda name: properties.shape_item(name, found))


@blueprint.route("", methods=PUT_OR_POST)
@access.needs("configure", "property", by_view=True)
def put_properties(device: Device) -> Response:
    return properties.put_of_device(device)


@blueprint.get(ONE)
@access.needs("read", "property")
def show_property(device: Device, property_name: str) -> Response:
    """Answer a property; one that does not exist has no values."""
    return reply.metadata(properties.shape(property_name, device.properties().read()))


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
    return reply.metadata(_shape_attribute_properties(device.attribute_properties(attribute).read()))


@of_attributes.route("", methods=PUT_OR_POST)
@access.needs("configure", "attribute", in_database=True)
def put_attribute_properties(device: Device, attribute: str) -> Response:
    return properties.put_of_attribute(device, attribute, _shape_attribute_properties)


@of_attributes.get(ONE)
@access.needs("read", "attribute")
def show_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    found = properties.find_of_attribute(device, attribute, property_name)
    return reply.metadata(_shape_attribute_property(property_name, found))


@of_attributes.route(ONE, methods=PUT_OR_POST)
@access.needs("configure", "attribute", in_database=True)
def put_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    find = functools.partial(device.attribute_properties, attribute)
    return properties.put_one(device, find, property_name, _shape_attribute_property)


@of_attributes.delete(ONE)
@access.needs("configure", "attribute", in_database=True)
def delete_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    return properties.delete(device.attribute_properties(attribute), property_name)


def _shape_attribute_properties(found: Found) -> Shape:
    if config().rc3_mode == "strict":
        return {
            name: failures.failure_body(describe(texts)) if isinstance(texts, DevFailed) else texts
            for name, texts in found.items()
        }
    return [failures.shape_item(name, functools.partial(_shape_emptiness, name, found)) for name in found]


def _shape_emptiness(name: str, found: Found) -> JsonObject:
    return {"name": name, "_empty": not properties.texts_of(name, found)}


def _shape_attribute_property(wanted: str, found: Found) -> JsonObject:
    name = canonical_name(wanted, found) or wanted
    return {name: properties.texts_of(name, found)}
