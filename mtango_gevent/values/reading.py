"""What a device answers as JSON values. Contract: rc3, section 6 and Decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import tango
from numpy.typing import NDArray
from tango import CmdArgType

from mtango_gevent.text import LATIN_1, UTF_8, from_utf8, read_text
from mtango_gevent.values.aliases import AttributeData
from mtango_gevent.values.raw_input import shown
from mtango_gevent.values.types import ARRAYS, as_bytes, each, tango_type


def attribute_value(item: AttributeData, labels: Sequence[str] = (), encoding: str = LATIN_1) -> Any:
    """Return the read part of an attribute: a scalar, list or list of rows; None if there is no value.

    labels: of an enumeration; a number without a label stays a number. encoding: of Tango's texts.
    """
    if item.value is None:
        return None if _is_scalar(item) or item.quality == tango.AttrQuality.ATTR_INVALID else []
    return _part_value(item, item.value, labels, encoding)


def set_value(item: AttributeData, labels: Sequence[str] = (), encoding: str = LATIN_1) -> Any:
    """Return the set value of a scalar, None if there is none. labels, encoding: as in attribute_value."""
    if not _is_scalar(item) or item.w_value is None:
        return None
    return _part_value(item, item.w_value, labels, encoding)


def _is_scalar(item: AttributeData) -> bool:
    return item.data_format == tango.AttrDataFormat.SCALAR


def _part_value(item: AttributeData, part: Any, labels: Sequence[str], encoding: str) -> Any:
    if item.type == CmdArgType.DevEnum:
        return each(lambda number: _label(int(number), labels))(part)
    row = tango_type(item.type, _encoding_of(read_text(item, "name"), encoding))
    return row.scalar(part) if _is_scalar(item) else row.array(part)


# Types whose values are numbers that JSON shows in another form.
_NAMED = (CmdArgType.DevState, CmdArgType.DevEnum, CmdArgType.DevEncoded)


def has_numbers(item: AttributeData, named: bool = True) -> bool:
    """Return whether the values of an attribute are numbers. named: also states, enumerations and bytes."""
    return tango_type(item.type).dtype is not None and (named or item.type not in _NAMED)


def numbers(item: AttributeData) -> NDArray[numpy.generic]:
    """Return the read part of an attribute that has numbers: little-endian, in C order; empty if there is no value.

    States and enumerations are their numbers, a DevEncoded is its bytes.
    """
    dtype = numpy.dtype(tango_type(item.type).dtype).newbyteorder("<")
    if item.value is None:
        return numpy.empty((0, 0) if is_image(item) else 0, dtype)
    if is_encoded(item):
        return numpy.frombuffer(as_bytes(item.value[1]), dtype)
    return numpy.asarray(item.value, dtype, order="C")


def is_encoded(item: AttributeData) -> bool:
    return item.type == CmdArgType.DevEncoded


def encoded_format(item: AttributeData, encoding: str = LATIN_1) -> str:
    """Return the format of a DevEncoded value. encoding: of Tango's texts."""
    text = item.value[0] if item.value else ""
    return from_utf8(text) if encoding == UTF_8 else text


def brief_value(item: AttributeData, encoding: str, most: int = 100) -> str:
    """Return the read part of an attribute for people: of a spectrum the first elements, of an image its size."""
    if item.value is None:
        return ""
    if is_image(item):
        return f"image of {len(item.value[0]) if len(item.value) else 0} x {len(item.value)}"
    if item.type == CmdArgType.DevEnum or item.data_format == tango.AttrDataFormat.SCALAR:
        value = attribute_value(item, attached_labels(item) or (), encoding)
    else:
        value = tango_type(item.type, encoding).array(item.value[:most])
    if isinstance(value, numpy.ndarray):
        value = value.tolist()
    return value if isinstance(value, str) else shown(value, 2 * most)


def command_value(value: Any, data_type: CmdArgType, encoding: str = LATIN_1, name: str = "") -> Any:
    """Return the output of a command, or the value of a pipe's element. name: of the command."""
    if value is None:
        return None
    encoding = _encoding_of(name, encoding)
    if data_type in ARRAYS:
        return tango_type(ARRAYS[data_type], encoding).array(value)
    return tango_type(data_type, encoding).scalar(value)


def _encoding_of(name: str, encoding: str) -> str:
    """PyTango's servers send the Status as UTF-8, whatever the encoding of their other texts."""
    return UTF_8 if name.lower() == "status" else encoding


def _label(number: int, labels: Sequence[str]) -> str | int:
    return labels[number] if 0 <= number < len(labels) else number


def attach_labels(item: tango.DeviceAttribute, labels: Sequence[str] | None) -> tango.DeviceAttribute:
    """Give the value of an enumeration the labels that were valid when it was read, if they are known."""
    if labels is not None and item.type == CmdArgType.DevEnum:
        item.labels = labels
    return item


def attached_labels(item: AttributeData) -> Sequence[str] | None:
    """Return the labels from `attach_labels`."""
    return getattr(item, "labels", None)


def is_image(item: AttributeData) -> bool:
    return item.data_format == tango.AttrDataFormat.IMAGE


def is_picture(item: AttributeData) -> bool:
    """Return whether an attribute is an image of numbers that is not empty."""
    return is_image(item) and isinstance(item.value, numpy.ndarray) and item.value.size > 0


def milliseconds(time: tango.TimeVal) -> int:
    """Return milliseconds since the epoch, rounded down as in the Java server."""
    return time.tv_sec * 1000 + time.tv_usec // 1000
