"""Commands and their histories. Contract: rc3, 2.4."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import reply, urls, writes
from mtango_gevent.api.exchange import config
from mtango_gevent.control.device import Device
from mtango_gevent.errors import describe_stack
from mtango_gevent.texts import read_text

blueprint = Blueprint("commands", __name__)


@blueprint.get("")
def list_commands(device: Device) -> Response:
    name = device.find_name()
    return reply.collection(
        device.list_commands(),
        lambda info: reply.item(read_text(info, "cmd_name"), lambda: _shape_command(device, name, info)),
    )


@blueprint.get("/<command>")
def show_command(device: Device, command: str) -> Response:
    return reply.metadata(_shape_command(device, device.find_name(), device.describe_command(command)))


@blueprint.put("/<command>")
def run_command(device: Device, command: str) -> Response:
    """The body or the parameter `v` is the argument; a command of DevVoid takes no notice of it."""
    info = device.describe_command(command)
    name = read_text(info, "cmd_name")
    argument = values.command_argument(info.in_type, writes.argument(), f"{name}: ", config().text_encoding)
    if writes.asynchronous():
        device.later(f"command {name}", lambda: device.run_command(info, argument))
        return reply.nothing()
    output = device.run_command(info, argument)
    with reply.after_a_change("the command has run, but its output cannot be shown"):
        return reply.value({"name": name, **_shape_output(info, output)})


@blueprint.get("/<command>/history")
def read_history(device: Device, command: str) -> Response:
    info = device.describe_command(command)
    items = device.read_command_history(read_text(info, "cmd_name"))
    return reply.collection(items, lambda item: _shape_record(info, item), reply.came())


def _shape_command(device: Device, device_name: str, info: Any) -> dict[str, Any]:
    parent = f"{urls.of_device('rc3', device, device_name)}/commands"
    name = read_text(info, "cmd_name")
    url = f"{parent}/{urls.segment(name)}"
    return {
        "name": name,
        "info": {
            "cmd_name": name,
            "level": values.enum_name(info, "disp_level"),
            "cmd_tag": info.cmd_tag,
            "in_type": values.type_name(info.in_type),
            "out_type": values.type_name(info.out_type),
            "in_type_desc": read_text(info, "in_type_desc"),
            "out_type_desc": read_text(info, "out_type_desc"),
        },
        "history": f"{url}/history",
        "_links": {"_self": url, "_parent": parent},
    }


def _shape_record(info: Any, item: Any) -> dict[str, Any]:
    """An output of the past, or the failure in its place; a failure has its own time too."""
    name = read_text(info, "cmd_name")
    timestamp = reply.timestamp(values.milliseconds(item.get_date()))
    if item.has_failed():
        return {**reply.failed_item(name, describe_stack(item.get_err_stack())), "timestamp": timestamp}
    return {**reply.item(name, lambda: {"name": name, **_shape_output(info, item.extract())}), "timestamp": timestamp}


def _shape_output(info: Any, value: Any) -> dict[str, Any]:
    if values.is_void(info.out_type):
        return {}
    name = read_text(info, "cmd_name")
    return {"output": values.command_value(value, info.out_type, config().text_encoding, name)}
