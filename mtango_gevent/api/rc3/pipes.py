"""Pipes, where PyTango has them. Contract: rc3, 2.5."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import access, changes, failures, reply, timestamps, urls, writes
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.values import JsonObject

blueprint = Blueprint("pipes", __name__)


@blueprint.get("")
@access.needs("read")
def list_pipes(device: Device) -> Response:
    parent = f"{urls.of_device('rc3', device, device.find_name())}/pipes"
    names = device.list_pipes(config().metadata_max_age)
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
    name, elements, time = device.read_pipe(pipe)
    url = f"{urls.of_device('rc3', device, device.find_name())}/pipes/{urls.segment(name)}"
    return reply.value(
        {
            "name": name,
            "size": len(elements),
            "timestamp": timestamps.from_milliseconds(int(time * 1000)),
            "data": _shape_elements(elements),
            "_links": {"_self": url},
        },
        request_started(),
    )


def _shape_elements(elements: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the shapes of elements; one that cannot be shown is a failure in its place."""
    return [failures.shape_item(element["name"], functools.partial(_shape_element, element)) for element in elements]


def _shape_element(element: JsonObject) -> JsonObject:
    return {
        "name": element["name"],
        "type": values.type_name(element["dtype"]),
        "value": _shape_values(element),
    }


def _shape_values(element: JsonObject) -> Sequence[Any]:
    """Return the value of an element as a list; a blob in it is a list of one."""
    if values.is_blob(element["dtype"]):
        name, elements = element["value"]
        return [{"name": name, "data": _shape_elements(elements)}]
    shown = values.element_value(element, config().text_encoding)
    return shown if values.is_array(element["dtype"]) else [shown]
