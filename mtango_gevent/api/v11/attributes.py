"""Attributes: values, histories, configurations. Contract: v11, 3 and 5."""

from __future__ import annotations

from flask import Blueprint, Response, request

from mtango_gevent.api import (
    access,
    attribute_configuration,
    attribute_writes,
    failures,
    freshness,
    pictures,
    query,
    reply,
    value_shapes,
)
from mtango_gevent.api.request_context import config, request_started
from mtango_gevent.api.v11 import answers, urls
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, BadRequest
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
    """Answer a value in JSON, as text/plain or as a picture, whichever the client prefers."""
    reading = device.read_value(attribute)
    return answer_value(device, reading.items, reading.began)


def answer_value(device: Device, item: AttributeData, began: float = freshness.LONG_AGO) -> Response:
    """began: as in freshness.add_value_headers."""
    response, time = _in_other_format(device, item), value_shapes.time_of(item)
    if response is None:
        response = answers.value(shape_value(device, item), time, began)
    else:
        answers.add_caching(response, freshness.left_of_value(began), time)
    response.headers["Vary"] = "Accept"
    return response


def _in_other_format(device: Device, item: AttributeData) -> Response | None:
    """Return a value as a picture or a text; None where the client prefers JSON.

    Raises BadRequest where the client accepts pictures only, and the value cannot be one.
    """
    try:
        mimetype = pictures.wanted(item)
    except ApiError as refusal:
        raise BadRequest(refusal.description) from None
    if mimetype == "image/jpeg":
        headers = {"Content-Type": mimetype, "Content-Disposition": "inline"}
        return Response(str(pictures.java_image(item)), headers=headers)
    if mimetype:
        return pictures.answer(item, mimetype)
    if request.accept_mimetypes.best_match(["application/json", "text/plain"]) != "text/plain":
        return None
    return Response(reply.encode(value_shapes.bare_value(device, item)), mimetype="text/plain")


def shape_value(device: Device, item: AttributeData) -> JsonObject:
    """Return the shape of a value, or of the failure in its place, with the host and the device."""
    return {**_owner(device), **value_shapes.shape_value(device, item)}


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
    items, owner = device.read_attribute_history(attribute), _owner(device)
    return answers.listing(items, lambda item: {**owner, **value_shapes.shape_record(device, item)}, request_started())


# --- writes ---


@blueprint.put("/<attribute>/value")
@access.needs("write", "attribute")
def write_value(device: Device, attribute: str) -> Response:
    return attribute_writes.put_value(device, attribute, lambda item: answers.value(shape_value(device, item)))


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
