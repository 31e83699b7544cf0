"""Commands and their histories. Contract: v11, 3."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent.api import access, commands, failures, reply, writes
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.api.v11 import answers, urls
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text
from mtango_gevent.values import CommandDescription, JsonObject

blueprint = Blueprint("commands", __name__)


@blueprint.get("")
@access.needs("read")
def list_commands(device: Device) -> Response:
    name = device.find_name()
    return answers.listing(device.list_commands(), lambda info: shape_command(device, name, info))


@blueprint.get("/<command>")
@access.needs("read", "command")
def show_command(device: Device, command: str) -> Response:
    info = device.describe_command(command, config().metadata_max_age)
    return answers.metadata(_shape_command(device, device.find_name(), info))


@blueprint.put("/<command>")
@access.needs("execute", "command")
def run_command(device: Device, command: str) -> Response:
    """Run a command with the `input` of an object as its argument, or with what rc3 takes as one."""
    raw, given = writes.command_input()
    if writes.asynchronous():
        commands.run_later(device, command, raw)
        return reply.no_content()
    info, data_type, output = commands.run(device, command, raw)
    name = read_text(info, "cmd_name")
    with failures.after_change(commands.NOT_SHOWN):
        identity = {"host": urls.host_id(device.host), "device": device.find_name(), "name": name}
        return answers.value({**identity, **given, **commands.shape_output(name, data_type, output)})


@blueprint.get("/<command>/history")
@access.needs("read", "command")
def read_history(device: Device, command: str) -> Response:
    info, items = commands.read_history(device, command)
    identity = {"host": urls.host_id(device.host), "device": device.find_name()}
    return answers.listing(items, lambda item: {**identity, **commands.shape_record(info, item)}, request_started())


def shape_command(device: Device, device_name: str, info: CommandDescription) -> JsonObject:
    return failures.shape_item(read_text(info, "cmd_name"), lambda: _shape_command(device, device_name, info))


def _shape_command(device: Device, device_name: str, info: CommandDescription) -> JsonObject:
    shown = commands.shape_info(info)
    name = shown["cmd_name"]
    url = urls.of_item(device, device_name, "commands", name)
    return {**urls.item(device, device_name, name), "info": shown, "history": f"{url}/history"}
