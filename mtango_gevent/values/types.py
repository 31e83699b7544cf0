"""Tango values as JSON values and back, one row for each Tango type. No I/O.

Contract: rc3, section 6 and Decisions. Arrays of numbers stay NumPy arrays, which the JSON encoder reads in place.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import tango
from tango import CmdArgType

from mtango_gevent.errors import BadRequest, tango_failure
from mtango_gevent.text import LATIN_1, UTF_8, from_utf8, read_text, read_texts
from mtango_gevent.values import converters as elements
from mtango_gevent.values.converters import Element
from mtango_gevent.values.raw_input import RawInput

# Tango's kinds of memorized attributes, under the names of the REST API (contract: rc3, 2.6).
MEMORIZED = {
    "NOT_KNOWN": "UNKNOWN",
    "NONE": "NOT_MEMORIZED",
    "MEMORIZED": "MEMORIZED",
    "MEMORIZED_WRITE_INIT": "MEMORIZED_WRITE_INIT",
}

# The name of a type, format, ... that PyTango does not know, such as that of a forwarded attribute without a root.
UNKNOWN = "Unknown"

# Where a property of an attribute has no value.
NOT_SPECIFIED = "Not specified"

# JSON has no such numbers; a bare NaN breaks every browser.
NOT_A_NUMBER, INFINITY, MINUS_INFINITY = "NaN", "Infinity", "-Infinity"


def _same(value: Any) -> Any:
    return value


def _elements(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The conversion of arrays, of any depth, whose elements are converted one by one."""

    def convert_array(values: Any) -> Any:
        if isinstance(values, (tuple, list, numpy.ndarray)):
            return [convert_array(value) for value in values]
        return convert(values)

    return convert_array


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return NOT_A_NUMBER
    return INFINITY if value > 0 else MINUS_INFINITY


def _single(value: float) -> Any:
    """A DevFloat with the digits that it has: 0.1 and not 0.10000000149011612, as within arrays."""
    return numpy.float32(value) if math.isfinite(value) else _number(value)


def _integers(values: Any) -> Any:
    return numpy.ascontiguousarray(values)


def _numbers(values: Any) -> Any:
    """Untouched when all are finite, which a sum tells without a copy; else lists of those rows that are not."""
    values = numpy.ascontiguousarray(values)
    with numpy.errstate(all="ignore"):  # the sum of large ones may overflow: then each is looked at
        if math.isfinite(values.sum()):
            return values
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    numbers = list(values)  # of NumPy's own numbers, which keep the digits of their type
    for index in numpy.flatnonzero(~numpy.isfinite(values)):
        numbers[index] = _number(numbers[index])
    return numbers


def _state(value: Any) -> str:
    return str(tango.DevState.values[int(value)])


def _encoded(text: Callable[[Any], Any]) -> Callable[[Any], dict[str, str]]:
    """text: converts texts, as in _text_types."""

    def convert(value: tuple[str, Any]) -> dict[str, str]:
        encoding, data = value
        raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)
        return {"encoded_format": text(encoding), "encoded_data": base64.b64encode(raw).decode("ascii")}

    return convert


@dataclasses.dataclass(frozen=True)
class TangoType:
    """How values of one Tango type look in JSON, and how an element of one is made of what a client sent."""

    scalar: Callable[[Any], Any]
    array: Callable[[Any], Any]
    element: Element


def _integer(dtype: type[numpy.integer]) -> TangoType:
    return TangoType(_same, _integers, elements.Whole(dtype))


_VOID = TangoType(lambda _: None, lambda _: None, elements.Nothing())
_BOOLEAN = TangoType(_same, _integers, elements.Boolean())
_STATE = TangoType(_state, _elements(_state), elements.State())


def _text_types(encoding: str) -> dict[CmdArgType, TangoType]:
    """The types that have texts, in the given encoding of Tango's values. PyTango reads all of them as Latin-1."""
    text = _same if encoding == LATIN_1 else from_utf8
    texts = _same if encoding == LATIN_1 else _elements(from_utf8)
    string = TangoType(text, texts, elements.Text(encoding))
    encoded = elements.Encoded(encoding)
    integers, numbers = elements.Whole(numpy.int32), elements.Decimal(numpy.float64)
    return {
        CmdArgType.DevString: string,
        CmdArgType.ConstDevString: string,
        CmdArgType.DevEncoded: TangoType(_encoded(text), _elements(_encoded(text)), encoded),
        CmdArgType.DevVarLongStringArray: TangoType(
            lambda value: {"lvalue": _integers(value[0]), "svalue": texts(value[1])},
            _same,
            elements.WithTexts("lvalue", integers, elements.Text(encoding)),
        ),
        CmdArgType.DevVarDoubleStringArray: TangoType(
            lambda value: {"dvalue": _numbers(value[0]), "svalue": texts(value[1])},
            _same,
            elements.WithTexts("dvalue", numbers, elements.Text(encoding)),
        ),
    }


# Attributes name the type of their elements; so do commands, where it is not in ARRAYS.
TYPES = {
    CmdArgType.DevVoid: _VOID,
    CmdArgType.DevBoolean: _BOOLEAN,
    CmdArgType.DevUChar: _integer(numpy.uint8),
    CmdArgType.DevShort: _integer(numpy.int16),
    CmdArgType.DevUShort: _integer(numpy.uint16),
    CmdArgType.DevLong: _integer(numpy.int32),
    CmdArgType.DevULong: _integer(numpy.uint32),
    CmdArgType.DevLong64: _integer(numpy.int64),
    CmdArgType.DevULong64: _integer(numpy.uint64),
    CmdArgType.DevFloat: TangoType(_single, _numbers, elements.Decimal(numpy.float32)),
    CmdArgType.DevDouble: TangoType(_number, _numbers, elements.Decimal(numpy.float64)),
    CmdArgType.DevState: _STATE,
    # Its labels are the attribute's: see attribute_value and attribute_argument.
    CmdArgType.DevEnum: TangoType(_same, _integers, elements.Whole(numpy.int16, low=0)),
    **_text_types(LATIN_1),
}
_TYPES_IN_UTF8 = {**TYPES, **_text_types(UTF_8)}

# Commands have a type of their own for each array: the type of its elements.
ARRAYS = {
    CmdArgType.DevVarBooleanArray: CmdArgType.DevBoolean,
    CmdArgType.DevVarCharArray: CmdArgType.DevUChar,
    CmdArgType.DevVarShortArray: CmdArgType.DevShort,
    CmdArgType.DevVarUShortArray: CmdArgType.DevUShort,
    CmdArgType.DevVarLongArray: CmdArgType.DevLong,
    CmdArgType.DevVarULongArray: CmdArgType.DevULong,
    CmdArgType.DevVarLong64Array: CmdArgType.DevLong64,
    CmdArgType.DevVarULong64Array: CmdArgType.DevULong64,
    CmdArgType.DevVarFloatArray: CmdArgType.DevFloat,
    CmdArgType.DevVarDoubleArray: CmdArgType.DevDouble,
    CmdArgType.DevVarStringArray: CmdArgType.DevString,
    CmdArgType.DevVarStateArray: CmdArgType.DevState,
}
if "DevVarEncodedArray" in CmdArgType.names:  # from PyTango 10.1 on
    ARRAYS[CmdArgType.names["DevVarEncodedArray"]] = CmdArgType.DevEncoded


# --- read ---


def tango_type(data_type: int, encoding: str = LATIN_1) -> TangoType:
    """Return the row of a type, for the given encoding of texts. Raises DevFailed for a type that is not known."""
    rows = _TYPES_IN_UTF8 if encoding == UTF_8 else TYPES
    row = rows.get(CmdArgType.values.get(int(data_type)))
    if row is None:
        raise tango_failure("MTANGO_UnknownType", f"the gateway does not know the Tango type {int(data_type)}")
    return row


def attribute_value(item: tango.DeviceAttribute, labels: Sequence[str] = (), encoding: str = LATIN_1) -> Any:
    """The read part of an attribute as a JSON value: scalar, list, or list of rows; None where there is no value.

    labels: those of an enumeration. A number that has no label stays a number. encoding: that of texts; Status is
    UTF-8 where it can be, whatever the encoding.
    """
    scalar = item.data_format == tango.AttrDataFormat.SCALAR
    if item.value is None:
        return None if scalar or item.quality == tango.AttrQuality.ATTR_INVALID else []
    if item.type == CmdArgType.DevEnum:
        return _elements(lambda number: _label(int(number), labels))(item.value)
    row = tango_type(item.type, _encoding_of(read_text(item, "name"), encoding))
    return row.scalar(item.value) if scalar else row.array(item.value)


def command_value(value: Any, data_type: CmdArgType, encoding: str = LATIN_1, name: str = "") -> Any:
    """The output of a command, or the value of a pipe's element, as a JSON value. name: of the command."""
    if value is None:
        return None
    encoding = _encoding_of(name, encoding)
    if data_type in ARRAYS:
        return tango_type(ARRAYS[data_type], encoding).array(value)
    return tango_type(data_type, encoding).scalar(value)


def _encoding_of(name: str, encoding: str) -> str:
    """PyTango's servers send the Status in UTF-8, whatever their other texts are in."""
    return UTF_8 if name.lower() == "status" else encoding


# --- written ---


def attribute_argument(info: tango.AttributeInfoEx, sent: RawInput, encoding: str = LATIN_1) -> Any:
    """What PyTango is to write to an attribute of this configuration: an element, a list, an array of one or two axes.

    encoding: that of texts. Raises BadRequest, which says attribute, type, limits and what was sent, where that does
    not fit the type, and DevFailed for a type or format that is not known.
    """
    element = tango_type(info.data_type, encoding).element
    form = enum_name(info, "data_format")
    if form not in _ARGUMENTS:
        name = read_text(info, "name")
        raise tango_failure("MTANGO_UnknownType", f"the gateway does not know the data format of {name}: {form}")
    if info.data_type == CmdArgType.DevEnum and labels(info):
        element = elements.Enumerated(labels(info))
    try:
        return _ARGUMENTS[form](element, sent)
    except ValueError as error:
        raise BadRequest(f"{describe_write(info, sent)}, which {error}") from None


def describe_write(info: tango.AttributeInfoEx, sent: RawInput) -> str:
    """The words of all messages about a write: attribute, format, type, limits, and what was sent."""
    form = "" if info.data_format == tango.AttrDataFormat.SCALAR else f"{info.data_format} of "
    bounds = {"from": read_text(info, "min_value"), "to": read_text(info, "max_value")}
    span = "".join(f" {word} {bound}" for word, bound in bounds.items() if bound != NOT_SPECIFIED)
    return f"{read_text(info, 'name')} is {form}{type_name(info.data_type)}{span}; sent was {sent.shown()}"


def command_argument(data_type: CmdArgType, sent: RawInput, about: str = "", encoding: str = LATIN_1) -> Any:
    """The argument of a command, or the value of a pipe's element. Raises BadRequest, which says type and value.

    about: what such a message begins with. encoding: that of texts. Raises DevFailed for a type that is not known.
    """
    try:
        if data_type in ARRAYS:
            return _list(tango_type(ARRAYS[data_type], encoding).element, sent)
        return _single_value(tango_type(data_type, encoding).element, sent)
    except ValueError as error:
        raise BadRequest(f"{about}a {type_name(data_type)} is wanted; sent was {sent.shown()}, which {error}") from None


def _single_value(element: Element, sent: RawInput) -> Any:
    return element.one(sent.text() if isinstance(element, elements.Text) else sent.element())


def _list(element: Element, sent: RawInput) -> Any:
    return element.many(sent.elements())


def _rows(element: Element, sent: RawInput) -> Any:
    """All in one array, made in one go. PyTango takes an empty image as an array only, of whatever type."""
    rows = sent.rows()
    if not any(rows):
        return numpy.zeros((0, 0))
    made = element.many([item for row in rows for item in row])
    width = len(rows[0])
    if isinstance(made, numpy.ndarray):
        return made.reshape(-1, width)
    return [made[start : start + width] for start in range(0, len(made), width)]


_ARGUMENTS = {
    "SCALAR": _single_value,
    "SPECTRUM": _list,
    "IMAGE": _rows,
}


# --- types ---


def type_name(data_type: int) -> str:
    """PyTango's name of a type: DevDouble, DevVarLongArray, ...; Unknown for one that it does not have."""
    known = CmdArgType.values.get(int(data_type))
    return UNKNOWN if known is None else str(known)


def enum_name(holder: Any, key: str) -> str:
    """Return the name of one of PyTango's enumerations; Unknown for a number that has none."""
    try:
        name = str(getattr(holder, key))
    except (ValueError, TypeError):
        return UNKNOWN
    return name if name.isidentifier() else UNKNOWN


def labels(info: tango.AttributeInfoEx) -> list[str]:
    """Of an enumeration."""
    return read_texts(info, "enum_labels")


def labelled(item: tango.DeviceAttribute, labels: Sequence[str] | None) -> tango.DeviceAttribute:
    """Give the value of an enumeration the labels of its time, where they are known."""
    if labels is not None and item.type == CmdArgType.DevEnum:
        item.labels = labels
    return item


def own_labels(item: tango.DeviceAttribute) -> Sequence[str] | None:
    """Return the labels that a value was given by `labelled`."""
    return getattr(item, "labels", None)


def is_enumeration(info: tango.AttributeInfoEx) -> bool:
    return info.data_type == CmdArgType.DevEnum


def takes_the_same(one: tango.AttributeInfoEx, other: tango.AttributeInfoEx) -> bool:
    """Whether what fits the one attribute fits the other."""
    return (one.data_type, one.data_format, labels(one)) == (other.data_type, other.data_format, labels(other))


def check_setting(info: tango.AttributeInfoEx, text: str, own_type: bool) -> None:
    """Raises ValueError where `text`, of an attribute's configuration, is a number, and none that Tango would keep.

    own_type: whether it is one of the attribute's type, as limits are; else an integer, of milliseconds.
    """
    element = tango_type(info.data_type if own_type else CmdArgType.DevLong).element
    if isinstance(element, (elements.Whole, elements.Decimal)):
        element.check_setting(text)


def set_configuration(info: tango.AttributeInfoEx, path: Sequence[str], value: str | list[str]) -> None:
    """Set what is at `path`, such as alarms, min_alarm."""
    holder = functools.reduce(getattr, path[:-1], info)
    if isinstance(value, list):  # PyTango 10.0 takes only its own kind of list
        vector = tango.StdStringVector()
        for each in value:
            vector.append(each)
        value = vector
    setattr(holder, path[-1], value)


def is_void(data_type: int) -> bool:
    return data_type == CmdArgType.DevVoid


def is_blob(data_type: int) -> bool:
    """A pipe within a pipe; a PyTango without pipes has no such type."""
    return data_type == getattr(CmdArgType, "DevPipeBlob", None)


def is_text(data_type: int) -> bool:
    return data_type == CmdArgType.DevString


def is_array(data_type: int) -> bool:
    return data_type in ARRAYS


def is_image(item: tango.DeviceAttribute) -> bool:
    return item.data_format == tango.AttrDataFormat.IMAGE


def is_picture(item: tango.DeviceAttribute) -> bool:
    """An image of numbers, with something in it."""
    return is_image(item) and isinstance(item.value, numpy.ndarray) and item.value.size > 0


def milliseconds(time: tango.TimeVal) -> int:
    """Milliseconds since the epoch, cut, as the servers of old did."""
    return time.tv_sec * 1000 + time.tv_usec // 1000


def _label(number: int, labels: Sequence[str]) -> str | int:
    return labels[number] if 0 <= number < len(labels) else number
