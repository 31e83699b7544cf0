"""Changes of properties, and their shapes, for all versions of the API. Contract: rc3, 2.3, 2.5 and Decisions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

from flask import Response

from mtango_gevent.api import changes, failures, guard, reply, writes
from mtango_gevent.api.access import Change
from mtango_gevent.api.query import quoted
from mtango_gevent.api.request_context import app_state, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.properties import Found, Properties, Written
from mtango_gevent.errors import ApiError, DevFailed, NotFound
from mtango_gevent.names import canonical_name
from mtango_gevent.values import JsonObject

# By name: the values of a property, or why they are not shown.
Shown: TypeAlias = "Mapping[str, list[str] | DevFailed | ApiError]"
Shape: TypeAlias = JsonObject | list[JsonObject]

PUT_OR_POST = ["PUT", "POST"]

# The part of a URL for one property: a path, as its name may have slashes.
ONE = "/<path:property_name>"

# --- shapes ---


def readable(device: Device, found: Found) -> Shown:
    """Return the properties of a device, with a refusal for each one that the client may not read."""
    return {**found, **guard.refusals("read", "property", device, found)}


def shape_items(found: Shown) -> list[JsonObject]:
    return [shape_item(name, found) for name in found]


def shape_item(name: str, found: Shown) -> JsonObject:
    """Return the shape of one of several properties, or of the failure in its place."""
    return failures.shape_item(name, lambda: shape(name, found))


def shape(wanted: str, found: Shown) -> JsonObject:
    """Return the shape of a property. Raises DevFailed or ApiError if it could not be read or written."""
    name = canonical_name(wanted, found) or wanted
    return {"name": name, "values": texts_of(name, found)}


def texts_of(name: str, found: Shown) -> list[str]:
    texts = found.get(name, [])
    if isinstance(texts, Exception):
        raise texts
    return texts


def find_of_attribute(device: Device, attribute: str, name: str) -> Found:
    """Return the properties of an attribute. Raises NotFound where there is none of that name."""
    found = device.attribute_properties(attribute).read()
    if canonical_name(name, found) is None:
        raise NotFound(f"the attribute {device.name}/{attribute} has no property {quoted(name)}")
    return found


# --- changes ---


def put_of_device(device: Device, by_commas: bool = False) -> Response:
    """Write the properties of a device that the request names; with `replace` delete all others.

    by_commas: as in writes.properties.
    """
    texts, replacing = writes.properties(by_commas), writes.replacing()
    changes.begin_changes("configure", "property", device, texts)
    if replacing and not app_state().access.is_open:
        guard.require("configure", "property", device, device.properties().read())
    if replacing:
        _begin_deletions(device.properties(), texts)
    put = functools.partial(device.properties().put, texts, replacing)
    return _now_or_later(device, put, lambda found: shape_items(readable(device, found)))


def put_of_attribute(device: Device, attribute: str, shape: Callable[[Found], Shape]) -> Response:
    """Write the properties of an attribute that the request names; with `replace` delete all others."""
    properties, texts, replacing = device.attribute_properties(attribute), writes.properties(), writes.replacing()
    if replacing:
        _begin_deletions(properties, texts)
    return _now_or_later(device, functools.partial(properties.put, texts, replacing), shape)


def put_one(
    device: Device, find: Callable[[], Properties], name: str, shape: Callable[[str, Found], JsonObject] = shape
) -> Response:
    """Write one property. find: returns the properties of the device, or of its attribute."""
    texts = {name: writes.property_texts(name)}
    put = functools.partial(find().put, texts)
    return _now_or_later(device, put, functools.partial(shape, name))


def delete(properties: Properties, name: str) -> Response:
    _raise_failures(_note(properties.delete(name), current().changes))
    return reply.no_content()


def _begin_deletions(properties: Properties, texts: Mapping[str, list[str]]) -> None:
    """Begin the deletion of the properties that are not named, where a line of it is required."""
    if app_state().audit.required:
        changes.begin_deletions(name for name in properties.read() if canonical_name(name, texts) is None)


def _now_or_later(device: Device, put: Callable[[], Written], shape: Callable[[Found], Shape]) -> Response:
    """Write properties and answer them as the database has them, without `filter`, which may be a property's name."""
    if writes.asynchronous():
        job = functools.partial(_put, put)
        changes.later(device, "properties", lambda noted: _raise_failures(job(noted)))
        return reply.no_content()
    return reply.json(shape(_put(put, current().changes)))


def _put(put: Callable[[], Written], noted: list[Change]) -> Found:
    return _note(put(), noted)


def _note(written: Written, noted: list[Change]) -> Found:
    """Note what was changed, and return the properties after it. Raises DevFailed where they could not be read."""
    changes.note_old(noted, written.before)
    changes.note_outcomes(noted, _failures(written.after))
    changes.note_deleted(noted, {name: written.before[name] for name in written.deleted})
    if written.unread is not None:
        raise written.unread
    return written.after


def _raise_failures(found: Found) -> None:
    changes.raise_failures(_failures(found).values())


def _failures(found: Found) -> dict[str, DevFailed]:
    return {name: texts for name, texts in found.items() if isinstance(texts, DevFailed)}
