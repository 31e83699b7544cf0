"""Records of the WebSocket: what has changed of an attribute, in JSON or in a binary frame.

Parts that are the same for all clients are encoded once and kept with the event. Reference: docs/reference/stream.md.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

import numpy

from mtango_gevent import values
from mtango_gevent.api import reply
from mtango_gevent.api.failures import unshown_item
from mtango_gevent.api.value_shapes import bare_value
from mtango_gevent.control.device import Device
from mtango_gevent.control.events import Event
from mtango_gevent.errors import describe
from mtango_gevent.text import read_text
from mtango_gevent.values import AttributeConfiguration, JsonObject

# The longest encoded value that is kept to be compared with the next one, in bytes.
_COMPARED = 1_000

# Microseconds between the device's time of a value and its arrival, above which a record tells both.
_NEAR = 1_000_000

# Version, type, dimensions, quality, id, sequence number, missed events, time, came, width, height.
_HEADER = struct.Struct("<BBBBIIIqqII")
_UNKNOWN = (1 << 32) - 1

# Codes of the types of binary frames.
_TYPES = {"u1": 1, "i2": 2, "u2": 3, "i4": 4, "u4": 5, "i8": 6, "u8": 7, "f4": 8, "f8": 9, "b1": 10}


@dataclasses.dataclass(slots=True, eq=False)
class Item:
    """A subscription of a client, and what the client knows of it.

    with_set_value: whether the client wants the set value. described: the configuration that it has.
    """

    id: int
    device: Device
    attribute: str
    binary: bool
    with_set_value: bool = False
    described: AttributeConfiguration | None = None
    configuration: bytes = b""
    value: bytes = b""
    quality: str = ""
    set_value: bytes = b""

    def forget(self) -> None:
        """Have the next record tell all."""
        self.value, self.quality, self.set_value = b"", "", b""


def encode_record(item: Item, event: Event, missed: int | None) -> bytes:
    """Return what the client does not know yet, as the JSON object of a record."""
    parts = [b'"id":%d' % item.id, *_changes(item, event), _times(event)]
    if missed != 0:
        parts.append(b'"missed":null' if missed is None else b'"missed":%d' % missed)
    return b"{" + b",".join(parts) + b"}"


def _changes(item: Item, event: Event) -> list[bytes]:
    value = _kept(event, "value", lambda: _value(item.device, event))
    if not value.startswith(b'"value"'):
        item.forget()
        return [value]
    parts, quality = [], _quality(event)
    if value != item.value:
        parts.append(value)
    if quality != item.quality:
        parts.append(b'"quality":"%s"' % quality.encode("ascii"))
    if item.with_set_value:
        parts += _changed_set_value(item, event)
    item.value, item.quality = value if len(value) <= _COMPARED else b"", quality
    return parts


def _changed_set_value(item: Item, event: Event) -> list[bytes]:
    found = _kept(event, "set", lambda: _set_value(item.device, event))
    if found == item.set_value:
        return []
    item.set_value = found
    return [found]


def _kept(event: Event, form: str, encode: Callable[[], bytes]) -> bytes:
    """Return a form of an event, encoded by its first client."""
    shown = event.shown.get(("stream", form))
    if shown is None:
        shown = event.shown["stream", form] = encode()
    return shown


def _value(device: Device, event: Event) -> bytes:
    """Return the member `value` of a record, or `errors` where there is none."""
    try:
        if event.item is None:
            assert event.failure is not None
            return b'"errors":' + reply.encode(describe(event.failure))
        return b'"value":' + reply.encode(bare_value(device, event.item))
    except Exception as error:
        return b'"errors":' + reply.encode(unshown_item(device.full_name, error)["errors"])


def _set_value(device: Device, event: Event) -> bytes:
    """Return the member `set_value` of a record: null where there is none, or it has no JSON form."""
    read: Any = event.item
    try:
        found = values.set_value(read, device.enum_labels(read), device.host.client.config.text_encoding)
    except Exception:
        found = None
    return b'"set_value":' + reply.encode(found)


def _quality(event: Event) -> str:
    return values.enum_name(event.item, "quality")


def _times(event: Event) -> bytes:
    time = event.mark or event.came
    return b'"time":%d' % time if abs(event.came - time) <= _NEAR else b'"time":%d,"came":%d' % (time, event.came)


def encode_members(
    configurations: list[bytes], records: list[bytes], failures: list[bytes], pong: str | float | None
) -> bytes:
    """Return the members of the JSON object of a frame, apart from `seq`."""
    lists = ((b"configurations", configurations), (b"records", records), (b"failures", failures))
    members = [b'"%s":[%s]' % (name, b",".join(each)) for name, each in lists if each]
    return b",".join(members if pong is None else [*members, b'"pong":' + reply.encode(pong)])


# --- binary ---


def is_binary(item: Item, event: Event) -> bool:
    """Return whether a record becomes a binary frame: a spectrum or image of numbers, if the client wants that."""
    value: Any = event.item.value if item.binary and event.item is not None else None
    return isinstance(value, numpy.ndarray) and value.dtype.str[1:] in _TYPES and value.ndim in (1, 2)


def encode_binary(item: Item, event: Event, missed: int | None, sequence: int) -> bytes:
    """Return a binary frame: the header, and the numbers row by row in little-endian order."""
    read: Any = event.item
    array: numpy.ndarray = read.value
    data = numpy.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    lost = _UNKNOWN if missed is None else min(missed, _UNKNOWN - 1)
    height, width = data.shape if data.ndim == 2 else (0, len(data))
    kind, quality = _TYPES[data.dtype.str[1:]], int(read.quality)
    item.forget()
    header = (1, kind, data.ndim, quality, item.id, sequence, lost, event.mark, event.came, width, height)
    return _HEADER.pack(*header) + data.tobytes()


# --- configurations ---

_TEXTS = ("label", "description", "unit", "standard_unit", "display_unit", "format", "min_value", "max_value")
_ALARMS = ("min_alarm", "max_alarm", "min_warning", "max_warning", "delta_t", "delta_val")


def encode_configuration(item: Item, info: AttributeConfiguration) -> bytes:
    """Return the configuration of an attribute as a JSON object."""
    shape: JsonObject = {
        "id": item.id,
        "device": item.device.full_name,
        "name": read_text(info, "name"),
        "data_type": values.type_name(info.data_type),
        "data_format": values.enum_name(info, "data_format"),
        "writable": values.enum_name(info, "writable"),
        "max_dim_x": info.max_dim_x,
        "max_dim_y": info.max_dim_y,
        "level": values.enum_name(info, "disp_level"),
        **{key: read_text(info, key) for key in _TEXTS},
        "alarms": {key: read_text(info.alarms, key) for key in _ALARMS},
        "enum_label": values.enum_labels(info),
    }
    return reply.encode_to_keep(shape)
