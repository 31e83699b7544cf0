"""Pipes, where PyTango has them. Contract: v11, 3."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import access, changes, failures, pipes, reply, writes
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.api.v11 import answers, urls
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text
from mtango_gevent.values import JsonObject, PipeDescription

blueprint = Blueprint("pipes", __name__)


@blueprint.get("")
@access.needs("read")
def list_pipes(device: Device) -> Response:
    name, infos = device.find_name(), device.list_pipes(config().metadata_max_age)
    return answers.listing(infos, lambda info: shape_pipe(device, name, info))


@blueprint.get("/<pipe>")
@access.needs("read", "pipe")
def show_pipe(device: Device, pipe: str) -> Response:
    info = device.describe_pipe(pipe, config().metadata_max_age)
    return answers.metadata(_shape_pipe(device, device.find_name(), info))


@blueprint.get("/<pipe>/value")
@access.needs("read", "pipe")
def read_pipe(device: Device, pipe: str) -> Response:
    return answers.value(shape_value(device, pipe), request_started())


@blueprint.put("/<pipe>/value")
@access.needs("write", "pipe")
def write_pipe(device: Device, pipe: str) -> Response:
    """Write a pipe. The body is a list of elements, or an object like the answer of a read."""
    device.check_pipes()
    blob = values.blob_argument({"name": pipe, **writes.blob()}, config().text_encoding)
    if writes.asynchronous():
        changes.later(device, f"pipe {pipe}", lambda _: device.write_pipe(pipe, blob))
        return reply.no_content()
    device.write_pipe(pipe, blob)
    with failures.after_change("it was written, but could not be read back"):
        return answers.value(shape_value(device, pipe))


def shape_value(device: Device, pipe: str) -> JsonObject:
    """Read a pipe, and return the shape of its value."""
    return {"host": urls.host_id(device.host), "device": device.find_name(), **pipes.shape_value(device, pipe)}


def shape_pipe(device: Device, device_name: str, info: PipeDescription) -> JsonObject:
    return failures.shape_item(read_text(info, "name"), lambda: _shape_pipe(device, device_name, info))


def _shape_pipe(device: Device, device_name: str, info: PipeDescription) -> JsonObject:
    shown = pipes.shape_info(info)
    name = shown["name"]
    url = urls.of_item(device, device_name, "pipes", name)
    return {**urls.item(device, device_name, name), "info": shown, "value": f"{url}/value"}
