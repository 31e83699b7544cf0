"""Pipes, where PyTango has them. Contract: rc3, 2.5."""

from __future__ import annotations

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import access, changes, failures, pipes, reply, urls, writes
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text

blueprint = Blueprint("pipes", __name__)


@blueprint.get("")
@access.needs("read")
def list_pipes(device: Device) -> Response:
    parent = f"{urls.of_device('rc3', device, device.find_name())}/pipes"
    names = [read_text(info, "name") for info in device.list_pipes(config().metadata_max_age)]
    return reply.collection(names, lambda name: {"name": name, "href": f"{parent}/{urls.segment(name)}"})


@blueprint.get("/<pipe>")
@access.needs("read", "pipe")
def read_pipe(device: Device, pipe: str) -> Response:
    """Answer the root blob; `size` is the number of its elements."""
    return _answer_pipe(device, pipe)


@blueprint.put("/<pipe>")
@access.needs("write", "pipe")
def write_pipe(device: Device, pipe: str) -> Response:
    """Write a pipe. The body is like the answer of a read, of which `name` and `data` are used."""
    device.check_pipes()
    blob = values.blob_argument({"name": pipe, **writes.document()}, config().text_encoding)
    if writes.asynchronous():
        changes.later(device, f"pipe {pipe}", lambda _: device.write_pipe(pipe, blob))
        return reply.no_content()
    device.write_pipe(pipe, blob)
    with failures.after_change("it was written, but could not be read back"):
        return _answer_pipe(device, pipe)


def _answer_pipe(device: Device, pipe: str) -> Response:
    shown = pipes.shape_value(device, pipe)
    url = f"{urls.of_device('rc3', device, device.find_name())}/pipes/{urls.segment(shown['name'])}"
    return reply.value({**shown, "_links": {"_self": url}}, request_started())
