"""Configurations of attributes: how they are shown and changed. Contract: rc3, 2.6; v11, 3."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from flask import Response

from mtango_gevent import limits, values
from mtango_gevent.api import changes, failures, guard, reply, writes
from mtango_gevent.api.access import Change
from mtango_gevent.api.request_context import config, current
from mtango_gevent.control.device import Device
from mtango_gevent.errors import BadRequest, DevFailed, check_limit, describe, tango_failure
from mtango_gevent.names import folded
from mtango_gevent.text import read_text, read_texts
from mtango_gevent.values import AttributeConfiguration, JsonObject, shown

Path = tuple[str, ...]

_ALARMS = ("min_alarm", "max_alarm", "min_warning", "max_warning", "delta_t", "delta_val")

# The keys that clients can change: path in the answer -> path in PyTango's object. `min_alarm` and `max_alarm` have two
# paths in the answer.
CHANGEABLE: dict[Path, Path] = {
    **{(key,): (key,) for key in ("description", "label", "unit", "standard_unit", "display_unit", "format")},
    **{(key,): (key,) for key in ("min_value", "max_value")},
    **{(key,): ("alarms", key) for key in ("min_alarm", "max_alarm")},
    **{("alarms", key): ("alarms", key) for key in _ALARMS},
    **{("events", "ch_event", key): ("events", "ch_event", key) for key in ("rel_change", "abs_change")},
    ("events", "per_event", "period"): ("events", "per_event", "period"),
    **{
        ("events", "arch_event", key): ("events", "arch_event", f"archive_{key}")
        for key in ("rel_change", "abs_change", "period")
    },
    ("enum_label",): ("enum_labels",),
}


# The keys that are numbers -> whether of the type of the attribute.
NUMBERS: dict[Path, bool] = {
    **dict.fromkeys([("min_value",), ("max_value",), ("min_alarm",), ("max_alarm",)], True),
    **{("alarms", key): key != "delta_t" for key in _ALARMS},
    ("events", "per_event", "period"): False,
    ("events", "arch_event", "period"): False,
}


# --- shapes ---


def shape(info: AttributeConfiguration, state_type: str = "State") -> JsonObject:
    """Return all 27 keys. state_type: the name of the type DevState."""
    data_type = values.type_name(info.data_type)
    memorized = values.MEMORIZED.get(values.enum_name(info, "memorized"), "UNKNOWN")
    return {
        "name": read_text(info, "name"),
        "writable": values.enum_name(info, "writable"),
        "data_format": values.enum_name(info, "data_format"),
        "data_type": state_type if data_type == "DevState" else data_type,
        "max_dim_x": info.max_dim_x,
        "max_dim_y": info.max_dim_y,
        **_texts(info, "description", "label", "unit", "standard_unit", "display_unit", "format"),
        **_texts(info, "min_value", "max_value", "min_alarm", "max_alarm", "writable_attr_name"),
        "level": values.enum_name(info, "disp_level"),
        "extensions": read_texts(info, "extensions"),
        "sys_extensions": read_texts(info, "sys_extensions"),
        "alarms": {**_texts(info.alarms, *_ALARMS), "extensions": read_texts(info.alarms, "extensions")},
        "events": _shape_events(info.events),
        "isMemorized": memorized in ("MEMORIZED", "MEMORIZED_WRITE_INIT"),
        "isSetAtInit": memorized == "MEMORIZED_WRITE_INIT",
        "memorized": memorized,
        "root_attr_name": read_text(info, "root_attr_name"),
        "enum_label": values.enum_labels(info),
    }


def _texts(holder: Any, *keys: str) -> dict[str, str]:
    return {key: read_text(holder, key) for key in keys}


def _shape_events(events: Any) -> JsonObject:
    change, periodic, archive = events.ch_event, events.per_event, events.arch_event
    return {
        "ch_event": {
            **_texts(change, "rel_change", "abs_change"),
            "extensions": read_texts(change, "extensions"),
        },
        "per_event": {**_texts(periodic, "period"), "extensions": read_texts(periodic, "extensions")},
        "arch_event": {
            "rel_change": read_text(archive, "archive_rel_change"),
            "abs_change": read_text(archive, "archive_abs_change"),
            "period": read_text(archive, "archive_period"),
            "extensions": read_texts(archive, "extensions"),
        },
    }


def shaper(device: Device, names: Collection[str], state_type: str = "State") -> Callable[[str], JsonObject]:
    """Return a function that returns the shape of the attribute of one of these names, or of the failure in its place.

    Raises ApiError where the client may read none of them, and DevFailed.
    """
    refused = guard.refused_items("attribute", device, names)
    known = by_name(device.list_attributes(config().metadata_max_age)) if names else {}

    def shape_named(name: str) -> JsonObject:
        info = known.get(folded(name))
        if name in refused or info is None:
            return failures.failed_item(name, describe(refused.get(name) or not_found(name)))
        return failures.shape_item(read_text(info, "name"), lambda: shape(info, state_type))

    return shape_named


def by_name(infos: Collection[AttributeConfiguration]) -> dict[str, AttributeConfiguration]:
    """Return configurations by the name of the attribute in lower case."""
    return {folded(read_text(info, "name")): info for info in infos}


def not_found(name: str) -> DevFailed:
    """Return Tango's failure for an attribute that the device does not have."""
    return tango_failure("API_AttrNotFound", f"{name} attribute not found")


# --- changes ---


def put(device: Device, attribute: str, state_type: str = "State") -> Response:
    """Change the keys that the document has, in the device's present configuration, and answer all of it."""
    change_keys = functools.partial(_change_and_note, writes.document(), state_type)
    if writes.asynchronous():
        change_keys((), device.ask_attribute(attribute))
        configure = functools.partial(device.configure_attribute, attribute)
        changes.later(
            device, f"configuration of {attribute}", lambda noted: configure(functools.partial(change_keys, noted))
        )
        return reply.no_content()
    info = device.configure_attribute(attribute, functools.partial(change_keys, current().changes))
    with failures.after_change("it was changed, but cannot be shown"):
        return reply.metadata(shape(info, state_type))


def _change_and_note(
    document: JsonObject, state_type: str, noted: Sequence[Change], info: AttributeConfiguration
) -> None:
    changes.note_old(noted, change(document, info, state_type))


def change(document: JsonObject, info: AttributeConfiguration, state_type: str = "State") -> JsonObject:
    """Set the keys of `document` that differ from `info`, and return what they were; it may be a whole answer.

    Raises BadRequest for an unknown key, a key that cannot be changed, a value that is not a text or a number that
    fits, and for two different new values of one setting.
    """
    chosen: dict[Path, str | list[str]] = {}
    old: JsonObject = {}
    known = shape(info, state_type)
    for path, value in _differences(document, known):
        name = ".".join(path)
        if path not in CHANGEABLE:
            raise BadRequest(f"{name}: cannot be changed, expected the present value, got {shown(value)}")
        value = _checked_labels(value) if path == ("enum_label",) else _checked_text(info, path, value)
        present = functools.reduce(operator.getitem, path, known)
        if value == present:  # a number whose text is the present one
            continue
        old[name] = present
        if chosen.setdefault(CHANGEABLE[path], value) != value:
            raise BadRequest(f"{name}: expected one value, got it twice with different ones")
    for path, value in chosen.items():
        values.set_configuration(info, path, value)
    return old


def _differences(document: JsonObject, known: JsonObject, above: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield (path, value) of the keys of the document that differ from those known."""
    for key, value in document.items():
        path = (*above, key)
        if key not in known:
            raise BadRequest(f"{'.'.join(path)}: expected a key of an attribute's configuration")
        if isinstance(known[key], dict) and isinstance(value, dict):
            yield from _differences(value, known[key], path)
        elif value != known[key]:
            yield path, value


def _checked_text(info: AttributeConfiguration, path: Path, value: object) -> str:
    """Return a value as a text, as Tango keeps numbers too; Tango would cut a number that does not fit.

    The device knows the meaning of other texts in the place of a number.
    """
    name = ".".join(path)
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(text, str) or "\0" in text:
        raise BadRequest(f"{name}: expected a text without NUL, got {shown(value)}")
    try:
        if path in NUMBERS:
            values.check_setting(info, text, NUMBERS[path])
    except ValueError as error:
        owner = f"{name} of attribute {read_text(info, 'name')}, {values.type_name(info.data_type)}"
        raise BadRequest(f"{owner}: {error}, got {shown(value)}") from None
    return text


def _checked_labels(value: object) -> list[str]:
    """Return a list of labels, which Tango keeps in one text, separated by commas."""
    if not isinstance(value, list) or not all(isinstance(each, str) and not {"\0", ","} & set(each) for each in value):
        raise BadRequest(f"enum_label: expected a list of texts without commas, got {shown(value)}")
    check_limit(len(value), limits.NAMES, "labels")
    return value
