"""Properties of devices. Contract: rc3, 2.5."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import reply
from mtango_gevent.control.device import Device

blueprint = Blueprint("properties", __name__)


@blueprint.get("")
def list_properties(device: Device) -> Response:
    found = device.read_properties()
    return reply.collection(list(found.items()), lambda item: {"name": item[0], "values": item[1]})


@blueprint.get("/<property_name>")
def show_property(device: Device, property_name: str) -> Response:
    name, texts = device.read_property(property_name)
    return reply.metadata({"name": name, "values": texts})
