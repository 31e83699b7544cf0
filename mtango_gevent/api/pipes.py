"""Blobs of pipes as JSON, for all versions of the API. Contract: rc3, 2.5."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from mtango_gevent import values
from mtango_gevent.api import failures, timestamps
from mtango_gevent.api.request_context import config
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text
from mtango_gevent.values import JsonObject, PipeDescription


def shape_info(info: PipeDescription) -> JsonObject:
    access = values.enum_name(info, "writable")
    return {
        "name": read_text(info, "name"),
        "description": read_text(info, "description"),
        "label": read_text(info, "label"),
        "level": values.enum_name(info, "disp_level"),
        "writeType": access,
        "writable": access == "PIPE_READ_WRITE",
    }


def shape_value(device: Device, pipe: str) -> JsonObject:
    """Read a pipe; `size` is the number of its elements."""
    name, elements, time = device.read_pipe(pipe)
    return {
        "name": name,
        "size": len(elements),
        "timestamp": timestamps.from_milliseconds(int(time * 1000)),
        "data": _shape_elements(elements),
    }


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
