"""Configurations of attributes as rc3 shows them, and as a client changes them. Contract: rc3, 2.6."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mtango_gevent import values
from mtango_gevent.api.context import config
from mtango_gevent.errors import BadRequest
from mtango_gevent.sent import shown
from mtango_gevent.texts import read_text

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


def shape(info: Any) -> dict[str, Any]:
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
        "description": read_text(info, "description"),
        "label": read_text(info, "label"),
        "unit": read_text(info, "unit"),
        "standard_unit": read_text(info, "standard_unit"),
        "display_unit": read_text(info, "display_unit"),
        "format": read_text(info, "format"),
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
        "enum_label": values.labels(info),
    }


def _shape_alarms(alarms: Any) -> dict[str, Any]:
    return {**{key: getattr(alarms, key) for key in _ALARMS}, "extensions": list(alarms.extensions)}


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


def change(info: Any, document: dict[str, Any]) -> None:
    """Put into `info` what of `document`, which may be a whole answer, differs from it.

    Raises BadRequest for a key that there is not, one that cannot be changed, a value that is no text (or number), and
    two different values for one thing.
    """
    chosen: dict[Path, Any] = {}
    for path, value in _differences(document, shape(info)):
        name = ".".join(path)
        if path not in CHANGEABLE:
            raise BadRequest(f"{name} of an attribute cannot be changed; sent was {shown(value)}")
        value = _checked_labels(value) if path == ("enum_label",) else _checked_text(name, value)
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


def _checked_text(name: str, value: Any) -> str:
    """Numbers are texts in Tango's configurations."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or "\0" in value:
        raise BadRequest(f"{name} is a text; sent was {shown(value)}")
    return value


def _checked_labels(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(label, str) and "\0" not in label for label in value):
        raise BadRequest(f"enum_label is a list of texts; sent was {shown(value)}")
    return value
