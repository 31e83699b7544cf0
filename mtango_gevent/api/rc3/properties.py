"""Properties of devices and of attributes. Contract: rc3, 2.3, 2.5 and Decisions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

from flask import Blueprint, Response

from mtango_gevent.api import access, changes, failures, guard, query, reply, writes
from mtango_gevent.api.access import Change
from mtango_gevent.api.request_context import app_state, config, current
from mtango_gevent.control.device import Device
from mtango_gevent.control.properties import Found, Properties, Written
from mtango_gevent.errors import ApiError, DevFailed, NotFound, describe
from mtango_gevent.names import canonical_name
from mtango_gevent.values import JsonObject

blueprint = Blueprint("properties", __name__)
of_attributes = Blueprint("attribute_properties", __name__)

# By name: the values of a property, or why they are not shown.
Shown: TypeAlias = "Mapping[str, list[str] | DevFailed | ApiError]"
Shape: TypeAlias = JsonObject | list[JsonObject]

_PUT_OR_POST = ["PUT", "POST"]

# A path, as the name of a property may have slashes.
_ONE = "/<path:property_name>"

# --- of devices ---


@blueprint.get("")
@access.needs("read")
def list_properties(device: Device) -> Response:
    found = _readable(device, device.properties().read())
    return reply.collection(list(found), lambda name: _shape_item(name, found))


@blueprint.route("", methods=_PUT_OR_POST)
@access.needs("configure", "property", by_view=True)
def put_properties(device: Device) -> Response:
    """Write the properties that are named; with `replace` delete all others."""
    texts, replacing = writes.properties(), writes.replacing()
    changes.begin_changes("configure", "property", device, texts)
    if replacing and not app_state().access.is_open:
        guard.require("configure", "property", device, device.properties().read())
    put = functools.partial(device.properties().put, texts, replacing)
    if replacing:
        _begin_deletions(device.properties(), texts)
    return _now_or_later(device, put, functools.partial(_shape_items, device))


@blueprint.get(_ONE)
@access.needs("read", "property")
def show_property(device: Device, property_name: str) -> Response:
    """Answer a property; one that does not exist has no values."""
    return reply.metadata(_shape_property(property_name, device.properties().read()))


@blueprint.route(_ONE, methods=_PUT_OR_POST)
@access.needs("configure", "property")
def put_property(device: Device, property_name: str) -> Response:
    put = functools.partial(device.properties().put, {property_name: writes.property_texts(property_name)})
    return _now_or_later(device, put, functools.partial(_shape_property, property_name))


@blueprint.delete(_ONE)
@access.needs("configure", "property")
def delete_property(device: Device, property_name: str) -> Response:
    return _delete(device.properties(), property_name)


def _readable(device: Device, found: Found) -> Shown:
    """Return what is found, with a refusal for each property that the client may not read."""
    return {**found, **guard.refusals("read", "property", device, found)}


def _shape_items(device: Device, found: Found) -> list[JsonObject]:
    readable = _readable(device, found)
    return [_shape_item(name, readable) for name in readable]


def _shape_item(name: str, found: Shown) -> JsonObject:
    """Return the shape of one of several properties, or of the failure in its place."""
    return failures.shape_item(name, lambda: _shape_property(name, found))


def _shape_property(wanted: str, found: Shown) -> JsonObject:
    """Return the shape of a property. Raises DevFailed or ApiError if it could not be read or written."""
    name = canonical_name(wanted, found) or wanted
    return {"name": name, "values": _texts(name, found)}


def _texts(name: str, found: Shown) -> list[str]:
    texts = found.get(name, [])
    if isinstance(texts, Exception):
        raise texts
    return texts


# --- of attributes ---


@of_attributes.get("")
@access.needs("read", "attribute")
def list_attribute_properties(device: Device, attribute: str) -> Response:
    return reply.metadata(_shape_attribute_properties(device.attribute_properties(attribute).read()))


@of_attributes.route("", methods=_PUT_OR_POST)
@access.needs("configure", "attribute", in_database=True)
def put_attribute_properties(device: Device, attribute: str) -> Response:
    properties, texts, replacing = device.attribute_properties(attribute), writes.properties(), writes.replacing()
    if replacing:
        _begin_deletions(properties, texts)
    put = functools.partial(properties.put, texts, replacing)
    return _now_or_later(device, put, _shape_attribute_properties)


@of_attributes.get(_ONE)
@access.needs("read", "attribute")
def show_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    found = device.attribute_properties(attribute).read()
    if canonical_name(property_name, found) is None:
        raise NotFound(f"the attribute {device.name}/{attribute} has no property {query.quoted(property_name)}")
    return reply.metadata(_shape_attribute_property(property_name, found))


@of_attributes.route(_ONE, methods=_PUT_OR_POST)
@access.needs("configure", "attribute", in_database=True)
def put_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    texts = {property_name: writes.property_texts(property_name)}
    put = functools.partial(device.attribute_properties(attribute).put, texts)
    return _now_or_later(device, put, functools.partial(_shape_attribute_property, property_name))


@of_attributes.delete(_ONE)
@access.needs("configure", "attribute", in_database=True)
def delete_attribute_property(device: Device, attribute: str, property_name: str) -> Response:
    return _delete(device.attribute_properties(attribute), property_name)


def _shape_attribute_properties(found: Found) -> Shape:
    if config().rc3_mode == "strict":
        return {
            name: failures.failure_body(describe(texts)) if isinstance(texts, DevFailed) else texts
            for name, texts in found.items()
        }
    return [failures.shape_item(name, functools.partial(_shape_emptiness, name, found)) for name in found]


def _shape_emptiness(name: str, found: Found) -> JsonObject:
    return {"name": name, "_empty": not _texts(name, found)}


def _shape_attribute_property(wanted: str, found: Found) -> JsonObject:
    name = canonical_name(wanted, found) or wanted
    return {name: _texts(name, found)}


# --- of both ---


def _begin_deletions(properties: Properties, texts: Mapping[str, list[str]]) -> None:
    """Begin the deletion of the properties that are not named, where a line of it is required."""
    if app_state().audit.required:
        changes.begin_deletions(name for name in properties.read() if canonical_name(name, texts) is None)


def _delete(properties: Properties, name: str) -> Response:
    _raise_failures(_note(properties.delete(name), current().changes))
    return reply.no_content()


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
