"""Attributes: values, configurations, histories, properties. Contract: rc3, 2.3 and 2.6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response

from mtango_gevent import values
from mtango_gevent.api import pictures, query, reply, urls
from mtango_gevent.api.context import config
from mtango_gevent.control.device import Device
from mtango_gevent.errors import ApiError, DevFailed, NotFound, describe, describe_stack
from mtango_gevent.names import spelled

blueprint = Blueprint("attributes", __name__)


@blueprint.get("")
def list_attributes(device: Device) -> Response:
    name = device.find_name()
    return reply.collection(device.list_attributes(), lambda info: _shape_attribute(device, name, info))


@blueprint.get("/<attribute>")
def show_attribute(device: Device, attribute: str) -> Response:
    return reply.metadata(_shape_attribute(device, device.find_name(), device.describe_attribute(attribute)))


# --- values ---


@blueprint.get("/<attribute>/value")
def read_value(device: Device, attribute: str) -> Response:
    """An image also as a picture, where the client asks for one (`Accept`)."""
    item = device.read_attribute(attribute)
    picture = pictures.wanted(item)
    if picture:
        return pictures.answer(item, picture)
    return reply.value(_shape_value(device, item), values.milliseconds(item.time))


@blueprint.get("/value")
def read_values(device: Device) -> Response:
    """Those named by `attr`, in one Tango call and in that order; each fails for itself."""
    items = device.read_attributes(query.names("attr", "attribute"))
    return reply.collection(items, lambda item: _shape_value(device, item), config().value_max_age)


@blueprint.get("/<attribute>/history")
def read_history(device: Device, attribute: str) -> Response:
    items = device.read_attribute_history(attribute)
    return reply.collection(items, lambda item: _shape_record(device, item), config().value_max_age)


def _shape_record(device: Device, item: Any) -> dict[str, Any]:
    """A value of the past: a failure has its own time, which one of now has not."""
    return {**_shape_value(device, item), "timestamp": reply.timestamp(values.milliseconds(item.time))}


def _shape_value(device: Device, item: Any) -> dict[str, Any]:
    if item.has_failed:
        name = device.spell_attribute(item.name)
        return reply.failed_item(name, describe_stack(item.get_err_stack()))
    try:
        value = _shape_bare_value(device, item)
    except ApiError as error:
        return reply.failed_item(item.name, describe(error))
    return {
        "name": item.name,
        "value": value,
        "quality": str(item.quality),
        "timestamp": reply.timestamp(values.milliseconds(item.time)),
    }


def _shape_bare_value(device: Device, item: Any) -> Any:
    if config().rc3_mode == "implementation" and values.is_image(item):
        return pictures.java_image(item)
    return values.attribute_value(item, device.enum_labels(item))


# --- configurations ---


@blueprint.get("/info")
def show_infos(device: Device) -> Response:
    """Those named by `attr`; one that fails says so in its place."""
    names = query.names("attr", "attribute")
    known = {info.name.lower(): info for info in device.list_attributes()} if names else {}
    return reply.collection(names, lambda name: _shape_info_or_failure(device, name, known.get(name.lower())))


@blueprint.get("/<attribute>/info")
def show_info(device: Device, attribute: str) -> Response:
    return reply.metadata(_shape_info(device.describe_attribute(attribute)))


def _shape_attribute(device: Device, device_name: str, info: Any) -> dict[str, Any]:
    parent = urls.of_device("rc3", device, device_name)
    url = f"{parent}/attributes/{urls.segment(info.name)}"
    return {
        "name": info.name,
        "value": f"{url}/value",
        "info": _shape_info(info),
        "properties": f"{url}/properties",
        "history": f"{url}/history",
        "_links": {"_self": url, "_parent": f"{parent}/attributes", "_device": parent},
    }


def _shape_info_or_failure(device: Device, name: str, info: Any | None) -> dict[str, Any]:
    """The device itself says what is wrong with a name that is not in its list."""
    try:
        return _shape_info(info or device.describe_attribute(name))
    except DevFailed as failure:
        return reply.failed_item(name, describe(failure))


def _shape_info(info: Any) -> dict[str, Any]:
    """All 27 keys."""
    data_type = values.type_name(info.data_type)
    memorized = values.MEMORIZED[str(info.memorized)]
    return {
        "name": info.name,
        "writable": str(info.writable),
        "data_format": str(info.data_format),
        "data_type": "State" if data_type == "DevState" and config().rc3_mode == "implementation" else data_type,
        "max_dim_x": info.max_dim_x,
        "max_dim_y": info.max_dim_y,
        "description": info.description,
        "label": info.label,
        "unit": info.unit,
        "standard_unit": info.standard_unit,
        "display_unit": info.display_unit,
        "format": info.format,
        "min_value": info.min_value,
        "max_value": info.max_value,
        "min_alarm": info.min_alarm,
        "max_alarm": info.max_alarm,
        "writable_attr_name": info.writable_attr_name,
        "level": str(info.disp_level),
        "extensions": list(info.extensions),
        "sys_extensions": list(info.sys_extensions),
        "alarms": _shape_alarms(info.alarms),
        "events": _shape_events(info.events),
        "isMemorized": memorized in ("MEMORIZED", "MEMORIZED_WRITE_INIT"),
        "isSetAtInit": memorized == "MEMORIZED_WRITE_INIT",
        "memorized": memorized,
        "root_attr_name": info.root_attr_name,
        "enum_label": list(info.enum_labels),
    }


def _shape_alarms(alarms: Any) -> dict[str, Any]:
    keys = ("min_alarm", "max_alarm", "min_warning", "max_warning", "delta_t", "delta_val")
    return {**{key: getattr(alarms, key) for key in keys}, "extensions": list(alarms.extensions)}


def _shape_events(events: Any) -> dict[str, Any]:
    change, periodic, archive = events.ch_event, events.per_event, events.arch_event
    return {
        "ch_event": {
            "rel_change": change.rel_change,
            "abs_change": change.abs_change,
            "extensions": list(change.extensions),
        },
        "per_event": {"period": periodic.period, "extensions": list(periodic.extensions)},
        "arch_event": {
            "rel_change": archive.archive_rel_change,
            "abs_change": archive.archive_abs_change,
            "period": archive.archive_period,
            "extensions": list(archive.extensions),
        },
    }


# --- properties ---


@blueprint.get("/<attribute>/properties")
def list_properties(device: Device, attribute: str) -> Response:
    found = device.read_attribute_properties(attribute)
    if config().rc3_mode == "strict":
        return reply.metadata(found)
    return reply.metadata([{"name": name, "_empty": not texts} for name, texts in found.items()])


@blueprint.get("/<attribute>/properties/<property_name>")
def show_property(device: Device, attribute: str, property_name: str) -> Response:
    return reply.metadata(_find_property(device, attribute, property_name))


def _find_property(device: Device, attribute: str, wanted: str) -> dict[str, Sequence[str]]:
    found = device.read_attribute_properties(attribute)
    name = spelled(wanted, found)
    if name is None:
        raise NotFound(f"the attribute {device.name}/{attribute} has no property {query.quoted(wanted)}")
    return {name: found[name]}
