"""Writes of attributes. Contract: rc3, 2.3 and Decisions "Writes"."""

from __future__ import annotations

import functools

from flask import Blueprint, Response

from mtango_gevent.api import access, attribute_writes
from mtango_gevent.api.rc3.attributes import answer_in_json, bare_value
from mtango_gevent.control.device import Device

blueprint = Blueprint("attribute_writes", __name__)


@blueprint.put("/<attribute>/value")
@access.needs("write", "attribute")
def write_value(device: Device, attribute: str) -> Response:
    return attribute_writes.put_value(device, attribute, functools.partial(answer_in_json, device))


@blueprint.put("/value")
@access.needs("write", "attribute", by_view=True)
def write_values(device: Device) -> Response:
    return attribute_writes.put_values(device, bare_value)
