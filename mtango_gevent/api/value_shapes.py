"""Values of attributes as JSON, for all versions of the API and the streams. Contract: v11, 5; rc3, 2.3."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy

from mtango_gevent import values
from mtango_gevent.api import failures, guard, query, timestamps
from mtango_gevent.control.device import Device
from mtango_gevent.control.reads import Reading
from mtango_gevent.errors import ApiError, DevFailed, as_failure, describe, status_of
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeData, JsonObject

# Return the value alone of what a device has answered.
BareValue: TypeAlias = Callable[[Device, AttributeData], Any]


def bare_value(device: Device, item: AttributeData) -> Any:
    """Return the value for JSON (reply.encode): numbers that are not finite are texts, an image is an object.

    A state and an enumeration are names. None where there is no value.
    """
    value = values.attribute_value(item, device.enum_labels(item), device.host.client.config.text_encoding)
    return value if value is None or not values.is_image(item) else _flat_image(value)


def _flat_image(rows: Sequence[Any]) -> JsonObject:
    """Return the rows as one list, row by row, with the size of the image."""
    if isinstance(rows, numpy.ndarray):
        data: Any = rows.reshape(-1)
    else:
        data = list(itertools.chain.from_iterable(rows))
    return {"data": data, "width": len(rows[0]) if len(rows) else 0, "height": len(rows)}


def shape_value(device: Device, item: AttributeData, bare: BareValue = bare_value) -> JsonObject:
    """Return the shape of a value, or of the failure in its place."""
    name = read_text(item, "name")
    if item.has_failed:
        return shape_failure(device, name, DevFailed(*item.get_err_stack()))
    try:  # not failures.shape_item, as this is the path of every read
        return _shape_shown(device, item, bare)
    except Exception as error:
        return failures.unshown_item(name, error)


def shape_or_raise(device: Device, item: AttributeData) -> JsonObject:
    """Return the shape of a value. Raises DevFailed where the reading has failed, or the value cannot be shown."""
    if item.has_failed:
        raise DevFailed(*item.get_err_stack())
    try:
        return _shape_shown(device, item, bare_value)
    except Exception as error:
        raise as_failure(error, "MTANGO_NotShown", "the gateway cannot show it") from None


def _shape_shown(device: Device, item: AttributeData, bare: BareValue) -> JsonObject:
    return {
        "name": read_text(item, "name"),
        "value": bare(device, item),
        "quality": values.enum_name(item, "quality"),
        "timestamp": timestamps.from_milliseconds(values.milliseconds(item.time)),
    }


def shape_failure(device: Device, name: str, failure: ApiError | DevFailed) -> JsonObject:
    unreachable = isinstance(failure, DevFailed) and status_of(failure) == 503
    return failures.failed_item(device.spell_attribute(name, ask=not unreachable), describe(failure))


def shape_record(device: Device, item: AttributeData, bare: BareValue = bare_value) -> JsonObject:
    """Return the shape of a value of the past; here a failure has a time of its own."""
    shape, time = shape_value(device, item, bare), time_of(item)
    return shape if time is None else {**shape, "timestamp": timestamps.from_milliseconds(time)}


def time_of(item: AttributeData) -> int | None:
    """Return milliseconds since the epoch; None for an item without a readable time."""
    try:
        return values.milliseconds(item.time)
    except Exception:
        return None


# --- several values ---


def read_named(device: Device) -> Reading[list[tuple[str, AttributeData | ApiError]]]:
    """Read the attributes named by the parameter `attr`, in that order and in one Tango call.

    Each has its name; an attribute that the client may not read has its refusal.
    """
    names = query.names("attr", "attribute")
    refused = guard.refused_items("attribute", device, names)
    reading = device.read_values([name for name in names if name not in refused])
    items = iter(reading.items)
    return Reading([(name, refused.get(name) or next(items)) for name in names], reading.began)


def shape_named(
    device: Device, named: tuple[str, AttributeData | ApiError], bare: BareValue = bare_value
) -> JsonObject:
    """Return the shape of an item of read_named."""
    name, item = named
    if isinstance(item, ApiError):
        return failures.failed_item(name, describe(item))
    return shape_value(device, item, bare)
