"""A device and its state. Contract: rc3, 2.2."""

from __future__ import annotations

import dataclasses

from flask import Blueprint, Response

from mtango_gevent.api import access, guard, reply, urls
from mtango_gevent.api.request_context import config
from mtango_gevent.control.device import Device
from mtango_gevent.control.host import DeviceInfo
from mtango_gevent.errors import DevFailed
from mtango_gevent.values import JsonObject

blueprint = Blueprint("devices", __name__)


@blueprint.get(urls.DEVICE)
@access.needs("read")
def show_device(device: Device) -> Response:
    info = device.read_info()
    url = urls.of_device("rc3", device, info.name)
    return reply.metadata(
        {
            "name": info.name,
            "info": _shape_info(info),
            "attributes": f"{url}/attributes",
            "commands": f"{url}/commands",
            "pipes": f"{url}/pipes",
            "properties": f"{url}/properties",
            "state": f"{url}/state",
            "_links": {"_self": url, "_parent": urls.of_devices("rc3", device.host)},
        }
    )


@blueprint.get(urls.DEVICE + "/state")
@access.needs("read", "attribute", by_view=True)
def show_state(device: Device) -> Response:
    """Answer state and status; a failed reading is a state for clients of the Java server."""
    guard.require("read", "attribute", device, ("State", "Status"))
    try:
        reading = device.read_state()
    except DevFailed:
        if config().rc3_mode == "strict":
            raise
        return reply.value({"state": "UNKNOWN", "status": f"Failed to read state&status from {device.name}"})
    url = urls.of_device("rc3", device, device.find_name())
    links = {
        "_state": f"{url}/attributes/State",
        "_status": f"{url}/attributes/Status",
        "_parent": url,
        "_self": f"{url}/state",
    }
    state, status = reading.items
    return reply.value({"state": state, "status": status, "_links": links}, reading.began)


def _shape_info(info: DeviceInfo) -> JsonObject:
    shown = dataclasses.asdict(info)
    if config().rc3_mode == "implementation":
        shown["classname"] = "unknown"
    return {**shown, "is_taco": False}
