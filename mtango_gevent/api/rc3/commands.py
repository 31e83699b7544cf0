"""Commands and their histories. Contract: rc3, 2.4."""

from __future__ import annotations

import functools
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import access, changes, failures, reply, timestamps, urls, writes
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.errors import describe_stack
from mtango_gevent.text import read_text
from mtango_gevent.values import CommandDescription, CommandRecord, DataType, JsonObject, RawInput

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
        device.with_command(command, lambda info: _argument(device, info, raw))
        run = functools.partial(_run, device, raw=raw)
        changes.later(device, f"command {command}", lambda _: device.with_command(command, run))
        return reply.no_content()
    info, (data_type, output) = device.with_command(command, lambda info: (info, _run(device, info, raw)))
    name = read_text(info, "cmd_name")
    with failures.after_change("the command has run, but its output cannot be shown"):
        return reply.value({"name": name, **_shape_output(name, data_type, output)})


def _run(device: Device, info: CommandDescription, raw: RawInput) -> tuple[DataType, Any]:
    """Return the type and the value of the output.

    Raises BadRequest if the input does not fit the command, and DevFailed if the device refuses it.
    """
    return device.run_command(info, _argument(device, info, raw))


def _argument(device: Device, info: CommandDescription, raw: RawInput) -> Any:
    """Convert the input; background jobs call this after the request has ended."""
    owner = f"argument of command {read_text(info, 'cmd_name')}"
    return values.command_argument(info.in_type, raw, owner, device.host.client.config.text_encoding)


@blueprint.get("/<command>/history")
@access.needs("read", "command")
def read_history(device: Device, command: str) -> Response:
    info = device.describe_command(command)
    items = device.read_command_history(read_text(info, "cmd_name"))
    return reply.collection(items, lambda item: _shape_record(info, item), request_started())


def _shape_command(device: Device, device_name: str, info: CommandDescription) -> JsonObject:
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


def _shape_record(info: CommandDescription, item: CommandRecord) -> JsonObject:
    """Return the shape of an output of the past, or of the failure in its place; both have a time of their own."""
    name = read_text(info, "cmd_name")
    timestamp = timestamps.from_milliseconds(values.milliseconds(item.get_date()))
    if item.has_failed():
        return {**failures.failed_item(name, describe_stack(item.get_err_stack())), "timestamp": timestamp}
    return {
        **failures.shape_item(name, lambda: {"name": name, **_shape_output(name, info.out_type, item.extract())}),
        "timestamp": timestamp,
    }


def _shape_output(name: str, data_type: DataType, value: Any) -> JsonObject:
    if values.is_void(data_type):
        return {}
    return {"output": values.command_value(value, data_type, config().text_encoding, name)}
