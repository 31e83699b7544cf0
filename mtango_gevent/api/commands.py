"""Commands: descriptions, arguments and outputs, for all versions of the API. Contract: rc3, 2.4 and Decisions."""

from __future__ import annotations

from typing import Any

from mtango_gevent import values
from mtango_gevent.api import changes, failures, timestamps
from mtango_gevent.api.request_context import config
from mtango_gevent.control.device import Device
from mtango_gevent.errors import describe_stack
from mtango_gevent.text import read_text
from mtango_gevent.values import CommandDescription, CommandRecord, DataType, JsonObject, RawInput

NOT_SHOWN = "the command has run, but its output cannot be shown"


def run(device: Device, command: str, raw: RawInput) -> tuple[CommandDescription, DataType, Any]:
    """Run a command, and return its description, and type and value of its output.

    Raises BadRequest if the input does not fit the command, and DevFailed if the device refuses it.
    """

    def run_described(info: CommandDescription) -> tuple[CommandDescription, DataType, Any]:
        return info, *device.run_command(info, argument(device, info, raw))

    return device.with_command(command, run_described)


def run_later(device: Device, command: str, raw: RawInput) -> None:
    """Queue a command. Raises BadRequest if the input does not fit it."""
    check(device, command, raw)
    changes.later(device, f"command {command}", lambda _: run(device, command, raw))


def check(device: Device, command: str, raw: RawInput) -> None:
    """Raise BadRequest if the input does not fit the command."""
    device.with_command(command, lambda info: argument(device, info, raw))


def argument(device: Device, info: CommandDescription, raw: RawInput) -> Any:
    """Convert the input; background jobs call this after the request has ended."""
    owner = f"argument of command {read_text(info, 'cmd_name')}"
    return values.command_argument(info.in_type, raw, owner, device.host.client.config.text_encoding)


def shape_info(info: CommandDescription) -> JsonObject:
    return {
        "cmd_name": read_text(info, "cmd_name"),
        "level": values.enum_name(info, "disp_level"),
        "cmd_tag": info.cmd_tag,
        "in_type": values.type_name(info.in_type),
        "out_type": values.type_name(info.out_type),
        "in_type_desc": read_text(info, "in_type_desc"),
        "out_type_desc": read_text(info, "out_type_desc"),
    }


def shape_output(name: str, data_type: DataType, value: Any) -> JsonObject:
    """Return the key `output`, or no key for a command without one."""
    if values.is_void(data_type):
        return {}
    return {"output": values.command_value(value, data_type, config().text_encoding, name)}


def read_history(device: Device, command: str) -> tuple[CommandDescription, list[CommandRecord]]:
    info = device.describe_command(command)
    return info, device.read_command_history(read_text(info, "cmd_name"))


def shape_record(info: CommandDescription, item: CommandRecord) -> JsonObject:
    """Return the shape of an output of the past, or of the failure in its place; both have a time of their own."""
    name = read_text(info, "cmd_name")
    timestamp = timestamps.from_milliseconds(values.milliseconds(item.get_date()))
    if item.has_failed():
        return {**failures.failed_item(name, describe_stack(item.get_err_stack())), "timestamp": timestamp}
    shown = failures.shape_item(name, lambda: {"name": name, **shape_output(name, info.out_type, item.extract())})
    return {**shown, "timestamp": timestamp}
