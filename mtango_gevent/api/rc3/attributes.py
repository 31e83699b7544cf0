"""Attributes: values, histories, configurations. Contract: rc3, 2.3 and 2.6."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import (
    access,
    attribute_configuration,
    failures,
    freshness,
    media_types,
    pictures,
    query,
    reply,
    urls,
    value_shapes,
)
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeConfiguration, AttributeData, JsonObject

blueprint = Blueprint("attributes", __name__)


@blueprint.get("")
@access.needs("read")
def list_attributes(device: Device) -> Response:
    name = device.find_name()
    infos = device.list_attributes(config().metadata_max_age)
    return reply.collection(
        infos,
        lambda info: failures.shape_item(read_text(info, "name"), lambda: _shape_attribute(device, name, info)),
    )


@blueprint.get("/<attribute>")
@access.needs("read", "attribute")
def show_attribute(device: Device, attribute: str) -> Response:
    info = device.describe_attribute(attribute, config().metadata_max_age)
    return reply.metadata(_shape_attribute(device, device.find_name(), info))


def _shape_attribute(device: Device, device_name: str, info: AttributeConfiguration) -> JsonObject:
    parent, name = urls.of_device("rc3", device, device_name), read_text(info, "name")
    url = f"{parent}/attributes/{urls.segment(name)}"
    return {
        "name": name,
        "value": f"{url}/value",
        "info": f"{url}/info",
        "properties": f"{url}/properties",
        "history": f"{url}/history",
        "_links": {"_self": url, "_parent": f"{parent}/attributes", "_device": parent},
    }


# --- values ---


@blueprint.get("/<attribute>/value")
@access.needs("read", "attribute")
def read_value(device: Device, attribute: str) -> Response:
    reading = device.read_value(attribute)
    return answer_value(device, reading.items, reading.began)


@blueprint.get("/value")
@access.needs("read", "attribute", by_view=True)
def read_values(device: Device) -> Response:
    """Answer the attributes named by `attr`, in that order and from one Tango call; each fails for itself."""
    reading = value_shapes.read_named(device)
    return reply.collection(
        reading.items, lambda named: value_shapes.shape_named(device, named, bare_value), reading.began
    )


@blueprint.get("/<attribute>/history")
@access.needs("read", "attribute")
def read_history(device: Device, attribute: str) -> Response:
    items = device.read_attribute_history(attribute)
    if media_types.prefers_csv():
        return reply.part_of(items, lambda part, _: media_types.render_history(device, part), request_started())
    shape = functools.partial(value_shapes.shape_record, device, bare=bare_value)
    return reply.collection(items, shape, request_started(), "Accept")


def answer_value(device: Device, item: AttributeData, began: float = freshness.LONG_AGO) -> Response:
    """Answer a value in the media type that the client prefers. began: as in freshness.add_value_headers."""
    return reply.rendered(render_preferred(device, item, query.filtered), began)


def answer_in_json(device: Device, item: AttributeData, began: float = freshness.LONG_AGO) -> Response:
    return reply.rendered(render_value(device, item, query.filtered), began)


def render_preferred(
    device: Device, item: AttributeData, select: Callable[[JsonObject], object] | None = None
) -> Rendered:
    """Render a value in the media type that the client prefers. select: as in reply.render."""
    return media_types.negotiated(device, item) or render_value(device, item, select)


def render_value(device: Device, item: AttributeData, select: Callable[[JsonObject], object] | None = None) -> Rendered:
    return reply.render(
        value_shapes.shape_value(device, item, bare_value), select, value_shapes.time_of(item), "Accept"
    )


def render_values(device: Device, items: Sequence[AttributeData]) -> Rendered:
    return reply.render([value_shapes.shape_value(device, item, bare_value) for item in items])


def bare_value(device: Device, item: AttributeData) -> Any:
    """Return the value alone, as the setting rc3_mode says."""
    if config().rc3_mode == "implementation" and values.is_image(item):
        return pictures.java_image(item)
    return values.attribute_value(item, device.enum_labels(item), config().text_encoding)


# --- configurations ---


@blueprint.get("/info")
@access.needs("read", "attribute", by_view=True)
def show_infos(device: Device) -> Response:
    """Answer the configurations of the attributes named by `attr`; each fails for itself."""
    names = query.names("attr", "attribute")
    return reply.collection(names, attribute_configuration.shaper(device, names, _state_type()))


@blueprint.get("/<attribute>/info")
@access.needs("read", "attribute")
def show_info(device: Device, attribute: str) -> Response:
    info = device.describe_attribute(attribute, config().metadata_max_age)
    return reply.metadata(attribute_configuration.shape(info, _state_type()))


@blueprint.put("/<attribute>/info")
@access.needs("configure", "attribute")
def change_info(device: Device, attribute: str) -> Response:
    return attribute_configuration.put(device, attribute, _state_type())


def _state_type() -> str:
    return "State" if config().rc3_mode == "implementation" else "DevState"
