"""Commands and their histories. Contract: rc3, 2.4."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import reply, urls, writes
from mtango_gevent.api.exchange import config
from mtango_gevent.control.device import Device
from mtango_gevent.errors import describe_stack
from mtango_gevent.sent import Sent
from mtango_gevent.texts import read_text

blueprint = Blueprint("commands", __name__)


@blueprint.get("")
def list_commands(device: Device) -> Response:
    name = device.find_name()
    return reply.collection(device.list_commands(), lambda command: _shape_command(device, name, command))


@blueprint.get("/<command>")
def show_command(device: Device, command: str) -> Response:
    info = device.describe_command(command, config().metadata_max_age)
    return reply.metadata(_shape_command(device, device.find_name(), info))


@blueprint.put("/<command>")
def run_command(device: Device, command: str) -> Response:
    """The body is the argument; a command of DevVoid takes no notice of it."""
    sent = writes.argument()
    if writes.asynchronous():
        device.with_command(command, lambda info: _argument(info, sent))
        device.later(f"command {command}", lambda: _run(device, command, sent))
        return reply.nothing()
    return reply.value(_run(device, command, sent))


def _run(device: Device, command: str, sent: Sent) -> dict[str, Any]:
    """Raises BadRequest where `sent` does not fit the command, DevFailed where the device refuses it."""

    def run(info: Any) -> dict[str, Any]:
        output = device.run_command(info, _argument(info, sent))
        return {"name": info.cmd_name, **_shape_output(info, output)}

    return device.with_command(command, run)


def _argument(info: Any, sent: Sent) -> Any:
    return values.command_argument(info.in_type, sent, f"{info.cmd_name}: ")


@blueprint.get("/<command>/history")
def read_history(device: Device, command: str) -> Response:
    info = device.describe_command(command)
    items = device.read_command_history(info.cmd_name)
    return reply.collection(items, lambda item: _shape_record(info, item), reply.came())


def _shape_command(device: Device, device_name: str, info: Any) -> dict[str, Any]:
    parent = f"{urls.of_device('rc3', device, device_name)}/commands"
    url = f"{parent}/{urls.segment(info.cmd_name)}"
    return {
        "name": info.cmd_name,
        "info": {
            "cmd_name": info.cmd_name,
            "level": str(info.disp_level),
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
    timestamp = reply.timestamp(values.milliseconds(item.get_date()))
    if item.has_failed():
        return {**reply.failed_item(info.cmd_name, describe_stack(item.get_err_stack())), "timestamp": timestamp}
    return {"name": info.cmd_name, **_shape_output(info, item.extract()), "timestamp": timestamp}


def _shape_output(info: Any, value: Any) -> dict[str, Any]:
    return {} if values.is_void(info.out_type) else {"output": values.command_value(value, info.out_type)}
