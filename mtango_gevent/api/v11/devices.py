"""A device and its state. Contract: v11, 3."""

from __future__ import annotations

import dataclasses

from flask import Blueprint, Response

from mtango_gevent.api import access, guard
from mtango_gevent.api.v11 import answers, urls
from mtango_gevent.control.device import Device
from mtango_gevent.errors import DevFailed
from mtango_gevent.values import JsonObject

blueprint = Blueprint("devices", __name__)


@blueprint.get(urls.DEVICE)
@access.needs("read")
def show_device(device: Device) -> Response:
    info, alias = device.read_info(), device.read_alias()
    return answers.metadata(
        {
            "id": f"{urls.host_id(device.host)}/{info.name}",
            "name": info.name,
            **({"alias": alias} if alias else {}),
            "host": urls.host_id(device.host),
            "info": {**dataclasses.asdict(info), "is_taco": False},
            **_links(urls.of_device(device, info.name)),
        }
    )


def _links(url: str) -> JsonObject:
    return {noun: f"{url}/{noun}" for noun in ("attributes", "commands", "pipes", "properties", "state")}


@blueprint.get(urls.DEVICE + "/state")
@access.needs("read", "attribute", by_view=True)
def show_state(device: Device) -> Response:
    """Answer state and status; a failed reading is a state, too."""
    guard.require("read", "attribute", device, ("State", "Status"))
    try:
        reading = device.read_state()
    except DevFailed:
        return answers.value({"state": "UNKNOWN", "status": f"Failed to read state&status from {device.name}"})
    state, status = reading.items
    return answers.value({"state": state, "status": status}, reading.began)
