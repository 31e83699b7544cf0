"""Attributes: values, histories, configurations. Contract: v11, 3 and 5."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, Response

from mtango_gevent.api import (
    access,
    attribute_configuration,
    attribute_writes,
    failures,
    media_types,
    pictures,
    query,
    reply,
    timestamps,
    value_shapes,
)
from mtango_gevent.api.media_types import Encoded
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.api.v11 import answers, ranges, urls
from mtango_gevent.control.device import Device
from mtango_gevent.errors import NOT_POLLED, BadRequest, DevFailed
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeConfiguration, AttributeData, JsonObject

blueprint = Blueprint("attributes", __name__)


@blueprint.get("")
@access.needs("read")
def list_attributes(device: Device) -> Response:
    name = device.find_name()
    infos = device.list_attributes(config().metadata_max_age)
    return answers.listing(infos, lambda info: shape_attribute(device, name, info))


@blueprint.get("/<attribute>")
@access.needs("read", "attribute")
def show_attribute(device: Device, attribute: str) -> Response:
    info = device.describe_attribute(attribute, config().metadata_max_age)
    return answers.metadata(_shape_attribute(device, device.find_name(), info))


def shape_attribute(device: Device, device_name: str, info: AttributeConfiguration) -> JsonObject:
    """Return the shape of one of several attributes, or of the failure in its place.

    device_name: the spelling of the device's name.
    """
    return failures.shape_item(read_text(info, "name"), lambda: _shape_attribute(device, device_name, info))


def _shape_attribute(device: Device, device_name: str, info: AttributeConfiguration) -> JsonObject:
    name = read_text(info, "name")
    url = urls.of_item(device, device_name, "attributes", name)
    return {
        **urls.item(device, device_name, name),
        "info": attribute_configuration.shape(info),
        "value": f"{url}/value",
        "properties": f"{url}/properties",
        "history": f"{url}/history",
    }


# --- values ---


@blueprint.get("/<attribute>/value")
@access.needs("read", "attribute")
def read_value(device: Device, attribute: str) -> Response:
    reading = device.read_value(attribute)
    return answers.rendered(render_preferred(device, reading.items, query.filtered), reading.began)


def _text(device: Device, item: AttributeData) -> Encoded:
    return Encoded(reply.encode(value_shapes.bare_value(device, item)), parameters="; charset=utf-8")


def _data_url(_: Device, item: AttributeData) -> Encoded:
    return Encoded(pictures.data_url(item).encode(), {"Content-Disposition": "inline"})


# The media types of values besides JSON. Contract: v11, 5.
FORMS = {"text/plain": _text, **media_types.FORMS, "image/jpeg": _data_url}


def render_preferred(
    device: Device, item: AttributeData, select: Callable[[JsonObject], object] | None = None
) -> Rendered:
    """Render a value in the media type that the client prefers. select: as in reply.render.

    A picture of a value that has none is 400.
    """
    timestamps.use_milliseconds()  # for a fast value nothing else has done it
    try:
        content = media_types.negotiated(device, item, FORMS)
    except pictures.NoPicture as refusal:
        raise BadRequest(refusal.description) from None
    return content or render_value(device, item, select)


def render_value(device: Device, item: AttributeData, select: Callable[[JsonObject], object] | None = None) -> Rendered:
    """Render a value in JSON. Raises DevFailed where it cannot be shown."""
    timestamps.use_milliseconds()
    return reply.render(_shape_value(device, item), select, value_shapes.time_of(item), "Accept")


def render_values(device: Device, items: Sequence[AttributeData]) -> Rendered:
    """Render values in JSON, as the listing of all of them."""
    timestamps.use_milliseconds()
    content = reply.render([value_shapes.shape_value(device, item) for item in items])
    content.headers += ranges.headers(None, len(items)).items()
    return content


def _shape_value(device: Device, item: AttributeData) -> JsonObject:
    """Return the shape of a value with the host and the device. Raises DevFailed where it cannot be shown."""
    return {**_owner(device), **value_shapes.shape_or_raise(device, item)}


def _owner(device: Device) -> JsonObject:
    return {"host": urls.host_id(device.host), "device": device.name}


@blueprint.get("/value")
@access.needs("read", "attribute", by_view=True)
def read_values(device: Device) -> Response:
    """Answer the attributes named by `attr`, in that order and from one Tango call; each fails for itself."""
    reading = value_shapes.read_named(device)
    return answers.listing(reading.items, lambda named: value_shapes.shape_named(device, named), reading.began)


@blueprint.get("/<attribute>/history")
@access.needs("read", "attribute")
def read_history(device: Device, attribute: str) -> Response:
    items, owner = _history(device, attribute), _owner(device)
    if media_types.prefers_csv():
        return answers.part_of(items, lambda part: media_types.render_history(device, part), request_started())
    return answers.listing(
        items, lambda item: {**owner, **value_shapes.shape_record(device, item)}, request_started(), "Accept"
    )


def _history(device: Device, attribute: str) -> Sequence[AttributeData]:
    """Return the history of an attribute. With `unpolled=empty` an attribute that is not polled has an empty one."""
    unpolled = query.choice("unpolled", ("FAILURE", "EMPTY"))
    try:
        return device.read_attribute_history(attribute)
    except DevFailed as failure:
        if unpolled == "EMPTY" and failure.args[0].reason in NOT_POLLED:
            return []
        raise


# --- writes ---


@blueprint.put("/<attribute>/value")
@access.needs("write", "attribute")
def write_value(device: Device, attribute: str) -> Response:
    return attribute_writes.put_value(device, attribute, lambda item: answers.value(_shape_value(device, item)))


@blueprint.put("/value")
@access.needs("write", "attribute", by_view=True)
def write_values(device: Device) -> Response:
    return attribute_writes.put_values(device)


# --- configurations ---


@blueprint.get("/info")
@access.needs("read", "attribute", by_view=True)
def show_infos(device: Device) -> Response:
    """Answer the configurations of the attributes named by `attr`; each fails for itself."""
    names = query.names("attr", "attribute")
    return answers.listing(names, attribute_configuration.shaper(device, names))


@blueprint.get("/<attribute>/info")
@access.needs("read", "attribute")
def show_info(device: Device, attribute: str) -> Response:
    return answers.metadata(
        attribute_configuration.shape(device.describe_attribute(attribute, config().metadata_max_age))
    )


@blueprint.put("/<attribute>/info")
@access.needs("configure", "attribute")
def change_info(device: Device, attribute: str) -> Response:
    return attribute_configuration.put(device, attribute)
