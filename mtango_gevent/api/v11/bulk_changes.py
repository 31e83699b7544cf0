"""Writes of attributes and pipes, and commands, of many devices in one request. Contract: v11, 3."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import access, attribute_writes, commands
from mtango_gevent.api.v11 import pipes
from mtango_gevent.api.v11.changed_items import Item, Task, answer_changes
from mtango_gevent.api.value_shapes import shape_value
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text
from mtango_gevent.values import Blob, JsonObject

blueprint = Blueprint("bulk_changes", __name__)


# --- attributes ---


@blueprint.put("/attributes")
@blueprint.put("/attributes/value")
@access.needs("write", "attribute", by_view=True)
def write_attributes() -> Response:
    """Write attributes, those of a device in the order of the request, and answer what is read back."""
    return answer_changes(
        Task(
            "write",
            "attribute",
            "value",
            check=lambda item: attribute_writes.check_input(item.device, item.name, item.raw, item.check),
            make=lambda item: attribute_writes.write(item.device, item.name, item.raw, item.check),
            show=_read_back,
        )
    )


def _read_back(device: Device, items: list[Item]) -> None:
    failed: attribute_writes.Failures = {}
    found = attribute_writes.read_back(device, list(dict.fromkeys(item.name for item in items)), failed)
    for item in items:
        if item.name in failed:
            item.failure = failed[item.name]
        else:
            item.shown |= shape_value(device, found[item.name])


# --- commands ---


@blueprint.put("/commands")
@access.needs("execute", "command", by_view=True)
def run_commands() -> Response:
    """Run commands, those of a device in the order of the request, and answer their outputs."""
    return answer_changes(
        Task(
            "execute",
            "command",
            "input",
            check=lambda item: commands.check(item.device, item.name, item.raw),
            make=lambda item: commands.run(item.device, item.name, item.raw),
            show=lambda _, items: [item.show(_shape_output) for item in items],
        )
    )


def _shape_output(item: Item) -> JsonObject:
    info, data_type, output = item.result
    name = read_text(info, "cmd_name")
    return {"name": name, **commands.shape_output(name, data_type, output)}


# --- pipes ---


@blueprint.put("/pipes/value")
@access.needs("write", "pipe", by_view=True)
def write_pipes() -> Response:
    """Write pipes, and answer what is read back."""
    return answer_changes(
        Task(
            "write",
            "pipe",
            "data",
            check=_blob,
            make=lambda item: item.device.write_pipe(item.name, _blob(item)),
            show=lambda device, items: [item.show(lambda item: pipes.shape_value(device, item.name)) for item in items],
        )
    )


def _blob(item: Item) -> Blob:
    item.device.check_pipes()
    raw = {"name": item.name, "data": item.sent.get("data")}
    return values.blob_argument(raw, item.device.host.client.config.text_encoding)
