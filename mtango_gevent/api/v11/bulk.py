"""Attributes, commands and pipes of many devices, selected by wildcards. Contract: v11, 3 and 4.2."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response

from mtango_gevent.api import access, guard, value_shapes
from mtango_gevent.api.request_context import app_state, request_started
from mtango_gevent.api.v11 import answers, attributes, commands, pipes, selection, urls
from mtango_gevent.api.v11.selection import Failed, Listing, Selected
from mtango_gevent.control.device import Device
from mtango_gevent.errors import DevFailed, status_of
from mtango_gevent.text import read_text
from mtango_gevent.values import JsonObject

blueprint = Blueprint("bulk", __name__)

_ATTRIBUTES = Listing("attribute", lambda device: device.list_attributes(_max_age(device)))
_COMMANDS = Listing("command", lambda device: device.list_commands(), "cmd_name")
_PIPES = Listing("pipe", lambda device: device.list_pipes(_max_age(device)))


def _max_age(device: Device) -> float:
    return device.host.client.config.metadata_max_age


@blueprint.get("/attributes")
@access.needs("read", "attribute", by_view=True)
def list_attributes() -> Response:
    return _answer_descriptions(_ATTRIBUTES, attributes.shape_attribute)


@blueprint.get("/commands")
@access.needs("read", "command", by_view=True)
def list_commands() -> Response:
    return _answer_descriptions(_COMMANDS, commands.shape_command)


@blueprint.get("/pipes")
@access.needs("read", "pipe", by_view=True)
def list_pipes() -> Response:
    return _answer_descriptions(_PIPES, pipes.shape_pipe)


def _answer_descriptions(listing: Listing, shape: Callable[[Device, str, Any], JsonObject]) -> Response:
    selected, failed = selection.select(listing)
    shapes = [
        *(functools.partial(shape, item.device, item.device_name, info) for item in selected for info in item.infos),
        *(item.shape for item in failed),
    ]
    return answers.listing(shapes, lambda make: make())


# --- values ---


@blueprint.get("/attributes/value")
@access.needs("read", "attribute", by_view=True)
def read_attributes() -> Response:
    """Answer the values of attributes, those of a device from one Tango call; each fails for itself."""
    return _answer_values(_ATTRIBUTES, _read_attributes)


@blueprint.get("/pipes/value")
@access.needs("read", "pipe", by_view=True)
def read_pipes() -> Response:
    return _answer_values(_PIPES, _read_pipes)


def _answer_values(listing: Listing, read: Callable[[Selected, list[str]], list[JsonObject]]) -> Response:
    """Read the selected items of all devices at the same time, so that a hanging one delays no other."""
    selected, failed = selection.select(listing)
    shapes = app_state().client.ask_at_once(lambda item: _read_or_fail(listing, item, read), selected)
    items = [*itertools.chain.from_iterable(shapes), *(item.shape() for item in failed)]
    return answers.listing(items, lambda item: item, request_started())


def _read_or_fail(
    listing: Listing, item: Selected, read: Callable[[Selected, list[str]], list[JsonObject]]
) -> list[JsonObject]:
    """Return the values of the items of a device, with a failure for each that the client may not read."""
    device, names = item.device, [read_text(info, listing.key) for info in item.infos]
    refused = guard.refusals("read", listing.kind, device, names)
    allowed = [name for name in names if name not in refused]
    try:
        shapes = read(item, allowed) if allowed else []
    except Exception as error:
        shapes = [Failed(device, name, error).shape() for name in allowed]
    return shapes + [Failed(device, name, refusal).shape() for name, refusal in refused.items()]


def _read_attributes(item: Selected, names: list[str]) -> list[JsonObject]:
    identity = {"host": urls.host_id(item.device.host), "device": item.device_name}
    items = app_state().client.concurrency.in_turns(item.device.read_values(names).items)
    return [{**value_shapes.shape_value(item.device, value), **identity} for value in items]


def _read_pipes(item: Selected, names: list[str]) -> list[JsonObject]:
    return [_read_pipe(item.device, name) for name in names]


def _read_pipe(device: Device, name: str) -> JsonObject:
    try:
        return pipes.shape_value(device, name)
    except DevFailed as failure:
        if status_of(failure) == 503:  # the others would only be waited for
            raise
        return Failed(device, name, failure).shape()
