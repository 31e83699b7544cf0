"""Configurations of attributes as rc3 shows them, and as a client changes them. Contract: rc3, 2.6."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import Any

from mtango_gevent import limits, values
from mtango_gevent.errors import BadRequest, check_limit
from mtango_gevent.text import read_text, read_texts
from mtango_gevent.values import shown

Path = tuple[str, ...]

_ALARMS = ("min_alarm", "max_alarm", "min_warning", "max_warning", "delta_t", "delta_val")

# What a device lets its clients change: where it is in the answer -> where PyTango has it. `min_alarm` and `max_alarm`
# are there twice.
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


# Those that are numbers: whether of the attribute's own type.
NUMBERS: dict[Path, bool] = {
    **dict.fromkeys([("min_value",), ("max_value",), ("min_alarm",), ("max_alarm",)], True),
    **{("alarms", key): key != "delta_t" for key in _ALARMS},
    ("events", "per_event", "period"): False,
    ("events", "arch_event", "period"): False,
}


def shape(info: Any, mode: str) -> dict[str, Any]:
    """All 27 keys. mode: the setting `rc3_mode`."""
    data_type = values.type_name(info.data_type)
    memorized = values.MEMORIZED.get(values.enum_name(info, "memorized"), "UNKNOWN")
    return {
        "name": read_text(info, "name"),
        "writable": values.enum_name(info, "writable"),
        "data_format": values.enum_name(info, "data_format"),
        "data_type": "State" if data_type == "DevState" and mode == "implementation" else data_type,
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


def _shape_events(events: Any) -> dict[str, Any]:
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


def change(document: dict[str, Any], mode: str, info: Any) -> None:
    """Put into `info` what of `document`, which may be a whole answer, differs from it.

    Raises BadRequest for a key that there is not, one that cannot be changed, a value that is no text (or number), a
    number that does not fit, and two values for one thing that differ from what is set and from each other.
    """
    chosen: dict[Path, Any] = {}
    known = shape(info, mode)
    for path, value in _differences(document, known):
        name = ".".join(path)
        if path not in CHANGEABLE:
            raise BadRequest(f"{name} of an attribute cannot be changed; sent was {shown(value)}")
        value = _checked_labels(value) if path == ("enum_label",) else _checked_text(info, path, value)
        if value == functools.reduce(operator.getitem, path, known):  # a number whose text is the one that is set
            continue
        if chosen.setdefault(CHANGEABLE[path], value) != value:
            raise BadRequest(f"{name} is there twice, with different values")
    for path, value in chosen.items():
        values.set_configuration(info, path, value)


def _differences(sent: dict[str, Any], known: dict[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(path, value) of what is sent and is not what is known."""
    for key, value in sent.items():
        path = (*above, key)
        if key not in known:
            raise BadRequest(f"{'.'.join(path)} is nothing that an attribute has")
        if isinstance(known[key], dict) and isinstance(value, dict):
            yield from _differences(value, known[key], path)
        elif value != known[key]:
            yield path, value


def _checked_text(info: Any, path: Path, value: Any) -> str:
    """Numbers are texts in Tango's configurations, and one that does not fit is cut there; what stands where a number
    may stand and is none, the device knows the meaning of."""
    name = ".".join(path)
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(text, str) or "\0" in text:
        raise BadRequest(f"{name} is a text; sent was {shown(value)}")
    try:
        if path in NUMBERS:
            values.check_setting(info, text, NUMBERS[path])
    except ValueError as error:
        where = f"{name} of {read_text(info, 'name')}, a {values.type_name(info.data_type)}"
        raise BadRequest(f"{where}; sent was {shown(value)}, which {error}") from None
    return text


def _checked_labels(value: Any) -> list[str]:
    """Tango keeps them in one text, with commas between."""
    if not isinstance(value, list) or not all(isinstance(each, str) and not {"\0", ","} & set(each) for each in value):
        raise BadRequest(f"enum_label is a list of texts without commas; sent was {shown(value)}")
    check_limit(len(value), limits.NAMES, "labels")
    return value
