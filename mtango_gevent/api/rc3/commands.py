"""Commands and their histories. Contract: rc3, 2.4."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import access, commands, failures, reply, urls, writes
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text
from mtango_gevent.values import CommandDescription, JsonObject

blueprint = Blueprint("commands", __name__)


@blueprint.get("")
@access.needs("read")
def list_commands(device: Device) -> Response:
    name = device.find_name()
    return reply.collection(
        device.list_commands(),
        lambda info: failures.shape_item(read_text(info, "cmd_name"), lambda: _shape_command(device, name, info)),
    )


@blueprint.get("/<command>")
@access.needs("read", "command")
def show_command(device: Device, command: str) -> Response:
    info = device.describe_command(command, config().metadata_max_age)
    return reply.metadata(_shape_command(device, device.find_name(), info))


@blueprint.put("/<command>")
@access.needs("execute", "command")
def run_command(device: Device, command: str) -> Response:
    """Run a command with the body or the parameter `v` as its argument, which a command without one ignores."""
    raw = writes.argument()
    if writes.asynchronous():
        commands.run_later(device, command, raw)
        return reply.no_content()
    info, data_type, output = commands.run(device, command, raw)
    name = read_text(info, "cmd_name")
    with failures.after_change(commands.NOT_SHOWN):
        return reply.value({"name": name, **commands.shape_output(name, data_type, output)})


@blueprint.get("/<command>/history")
@access.needs("read", "command")
def read_history(device: Device, command: str) -> Response:
    info, items = commands.read_history(device, command)
    return reply.collection(items, lambda item: commands.shape_record(info, item), request_started())


def _shape_command(device: Device, device_name: str, info: CommandDescription) -> JsonObject:
    parent = f"{urls.of_device('rc3', device, device_name)}/commands"
    shown = commands.shape_info(info)
    url = f"{parent}/{urls.segment(shown['cmd_name'])}"
    return {
        "name": shown["cmd_name"],
        "info": shown,
        "history": f"{url}/history",
        "_links": {"_self": url, "_parent": parent},
    }
