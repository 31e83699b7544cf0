"""Attributes: values, histories, configurations. Contract: rc3, 2.3 and 2.6."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import (
    access,
    changes,
    failures,
    freshness,
    guard,
    pictures,
    query,
    reply,
    timestamps,
    urls,
    writes,
)
from mtango_gevent.api.access import Change
from mtango_gevent.api.rc3 import configuration
from mtango_gevent.api.reply import Rendered
from mtango_gevent.api.request_context import config, current, request_started
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, DevFailed, describe, status_of, tango_failure
from mtango_gevent.names import folded
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
    names = query.names("attr", "attribute")
    refused = guard.refused_items("attribute", device, names)
    reading = device.read_values([name for name in names if name not in refused])
    items = iter(reading.items)
    return reply.collection(
        [(name, refused.get(name) or next(items)) for name in names],
        lambda named: _shape_value_or_refusal(device, *named),
        reading.began,
    )


def _shape_value_or_refusal(device: Device, name: str, item: AttributeData | ApiError) -> JsonObject:
    return failures.failed_item(name, describe(item)) if isinstance(item, ApiError) else shape_value(device, item)


@blueprint.get("/<attribute>/history")
@access.needs("read", "attribute")
def read_history(device: Device, attribute: str) -> Response:
    items = device.read_attribute_history(attribute)
    return reply.collection(items, lambda item: _shape_record(device, item), request_started())


def answer_value(device: Device, item: AttributeData, began: float = freshness.LONG_AGO) -> Response:
    """Answer a value in JSON, or an image as a picture if the client prefers that (`Accept`).

    began: as in freshness.add_value_headers.
    """
    mimetype = pictures.wanted(item)
    if not mimetype:
        return answer_in_json(device, item, began)
    response = freshness.add_value_headers(pictures.answer(item, mimetype), _time_of(item), began)
    response.headers["Vary"] = "Accept"
    return response


def answer_in_json(device: Device, item: AttributeData, began: float = freshness.LONG_AGO) -> Response:
    return reply.rendered(render_value(device, item, query.filtered), began)


def render_value(device: Device, item: AttributeData, select: Callable[[JsonObject], object] | None = None) -> Rendered:
    return reply.render(shape_value(device, item), select, _time_of(item), "Accept")


def render_values(device: Device, items: Sequence[AttributeData]) -> Rendered:
    return reply.render([shape_value(device, item) for item in items])


def shape_value(device: Device, item: AttributeData) -> JsonObject:
    """Return the shape of a value, or of the failure in its place."""
    name = read_text(item, "name")
    if item.has_failed:
        return shape_failure(device, name, DevFailed(*item.get_err_stack()))
    try:
        return {
            "name": name,
            "value": _shape_bare_value(device, item),
            "quality": values.enum_name(item, "quality"),
            "timestamp": timestamps.from_milliseconds(values.milliseconds(item.time)),
        }
    except Exception as error:
        return failures.unshown_item(name, error)


def shape_failure(device: Device, name: str, failure: ApiError | DevFailed) -> JsonObject:
    unreachable = isinstance(failure, DevFailed) and status_of(failure) == 503
    return failures.failed_item(device.spell_attribute(name, ask=not unreachable), describe(failure))


def _shape_bare_value(device: Device, item: AttributeData) -> Any:
    if config().rc3_mode == "implementation" and values.is_image(item):
        return pictures.java_image(item)
    return values.attribute_value(item, device.enum_labels(item), config().text_encoding)


def _shape_record(device: Device, item: AttributeData) -> JsonObject:
    """Return the shape of a value of the past; here a failure has a time of its own."""
    shape, time = shape_value(device, item), _time_of(item)
    return shape if time is None else {**shape, "timestamp": timestamps.from_milliseconds(time)}


def _time_of(item: AttributeData) -> int | None:
    """Return milliseconds since the epoch; None for an item without a readable time."""
    try:
        return values.milliseconds(item.time)
    except Exception:
        return None


# --- configurations ---


@blueprint.get("/info")
@access.needs("read", "attribute", by_view=True)
def show_infos(device: Device) -> Response:
    """Answer the configurations of the attributes named by `attr`; each fails for itself."""
    names = query.names("attr", "attribute")
    refused = guard.refused_items("attribute", device, names)
    known = by_name(device.list_attributes(config().metadata_max_age)) if names else {}
    return reply.collection(
        names, lambda name: _shape_info_or_failure(name, refused.get(name), known.get(folded(name)))
    )


@blueprint.get("/<attribute>/info")
@access.needs("read", "attribute")
def show_info(device: Device, attribute: str) -> Response:
    return reply.metadata(_shape_info(device.describe_attribute(attribute, config().metadata_max_age)))


@blueprint.put("/<attribute>/info")
@access.needs("configure", "attribute")
def change_info(device: Device, attribute: str) -> Response:
    """Change the keys that the document has, in the device's present configuration."""
    change = functools.partial(_change, writes.document(), config().rc3_mode)
    if writes.asynchronous():
        change((), device.ask_attribute(attribute))
        configure = functools.partial(device.configure_attribute, attribute)
        changes.later(
            device, f"configuration of {attribute}", lambda noted: configure(functools.partial(change, noted))
        )
        return reply.no_content()
    info = device.configure_attribute(attribute, functools.partial(change, current().changes))
    with failures.after_change("it was changed, but cannot be shown"):
        return reply.metadata(_shape_info(info))


def _change(document: JsonObject, mode: str, noted: Sequence[Change], info: AttributeConfiguration) -> None:
    changes.note_old(noted, configuration.change(document, mode, info))


def _shape_info(info: AttributeConfiguration) -> JsonObject:
    return configuration.shape(info, config().rc3_mode)


def _shape_info_or_failure(name: str, refusal: ApiError | None, info: AttributeConfiguration | None) -> JsonObject:
    if refusal is not None:
        return failures.failed_item(name, describe(refusal))
    if info is None:
        return failures.failed_item(name, describe(not_found(name)))
    return failures.shape_item(read_text(info, "name"), lambda: _shape_info(info))


def by_name(infos: Collection[AttributeConfiguration]) -> dict[str, AttributeConfiguration]:
    """Return configurations by the name of the attribute in lower case."""
    return {folded(read_text(info, "name")): info for info in infos}


def not_found(name: str) -> DevFailed:
    """Return Tango's failure for an attribute that the device does not have."""
    return tango_failure("API_AttrNotFound", f"{name} attribute not found")
