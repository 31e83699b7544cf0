"""Tango values as JSON values, one row for each Tango type. No I/O.

Contract: rc3, section 6 and Decisions. Arrays of numbers stay NumPy arrays, which the JSON encoder reads in place.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import tango
from tango import CmdArgType

# Tango's kinds of memorized attributes, under the names of the REST API (contract: rc3, 2.6).
MEMORIZED = {
    "NOT_KNOWN": "UNKNOWN",
    "NONE": "NOT_MEMORIZED",
    "MEMORIZED": "MEMORIZED",
    "MEMORIZED_WRITE_INIT": "MEMORIZED_WRITE_INIT",
}

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


def _encoded(value: tuple[str, Any]) -> dict[str, str]:
    encoding, data = value
    raw = data.encode("latin-1") if isinstance(data, str) else bytes(data)
    return {"encoded_format": encoding, "encoded_data": base64.b64encode(raw).decode("ascii")}


def _integers_and_strings(value: Sequence[Any]) -> dict[str, Any]:
    return {"lvalue": _integers(value[0]), "svalue": value[1]}


def _numbers_and_strings(value: Sequence[Any]) -> dict[str, Any]:
    return {"dvalue": _numbers(value[0]), "svalue": value[1]}


@dataclasses.dataclass(frozen=True)
class TangoType:
    """How values of one Tango type look in JSON."""

    scalar: Callable[[Any], Any]
    array: Callable[[Any], Any]


_INTEGER = TangoType(_same, _integers)
_DOUBLE = TangoType(_number, _numbers)
_FLOAT = TangoType(_single, _numbers)
_STRING = TangoType(_same, _same)
_INTEGERS = TangoType(_integers, _integers)
_NUMBERS = TangoType(_numbers, _numbers)

# Attributes name the type of their elements, commands have a type of their own for each array.
TYPES = {
    CmdArgType.DevVoid: TangoType(lambda _: None, lambda _: None),
    CmdArgType.DevBoolean: _INTEGER,
    CmdArgType.DevUChar: _INTEGER,
    CmdArgType.DevShort: _INTEGER,
    CmdArgType.DevUShort: _INTEGER,
    CmdArgType.DevLong: _INTEGER,
    CmdArgType.DevULong: _INTEGER,
    CmdArgType.DevLong64: _INTEGER,
    CmdArgType.DevULong64: _INTEGER,
    CmdArgType.DevFloat: _FLOAT,
    CmdArgType.DevDouble: _DOUBLE,
    CmdArgType.DevString: _STRING,
    CmdArgType.ConstDevString: _STRING,
    CmdArgType.DevState: TangoType(_state, _elements(_state)),
    CmdArgType.DevEnum: _INTEGER,  # its labels are the attribute's: see attribute_value
    CmdArgType.DevEncoded: TangoType(_encoded, _elements(_encoded)),
    CmdArgType.DevVarBooleanArray: _INTEGERS,
    CmdArgType.DevVarCharArray: _INTEGERS,
    CmdArgType.DevVarShortArray: _INTEGERS,
    CmdArgType.DevVarUShortArray: _INTEGERS,
    CmdArgType.DevVarLongArray: _INTEGERS,
    CmdArgType.DevVarULongArray: _INTEGERS,
    CmdArgType.DevVarLong64Array: _INTEGERS,
    CmdArgType.DevVarULong64Array: _INTEGERS,
    CmdArgType.DevVarFloatArray: _NUMBERS,
    CmdArgType.DevVarDoubleArray: _NUMBERS,
    CmdArgType.DevVarStringArray: _STRING,
    CmdArgType.DevVarStateArray: TangoType(_elements(_state), _elements(_state)),
    CmdArgType.DevVarLongStringArray: TangoType(_integers_and_strings, _integers_and_strings),
    CmdArgType.DevVarDoubleStringArray: TangoType(_numbers_and_strings, _numbers_and_strings),
}
if "DevVarEncodedArray" in CmdArgType.names:  # from PyTango 10.1 on
    TYPES[CmdArgType.names["DevVarEncodedArray"]] = TangoType(_elements(_encoded), _elements(_encoded))


def attribute_value(item: tango.DeviceAttribute, labels: Sequence[str] = ()) -> Any:
    """The read part of an attribute as a JSON value: scalar, list, or list of rows; None where there is no value.

    labels: those of an enumeration. A number that has no label stays a number.
    """
    scalar = item.data_format == tango.AttrDataFormat.SCALAR
    if item.value is None:
        return None if scalar or item.quality == tango.AttrQuality.ATTR_INVALID else []
    if item.type == CmdArgType.DevEnum:
        return _elements(lambda number: _label(int(number), labels))(item.value)
    row = TYPES[item.type]
    return row.scalar(item.value) if scalar else row.array(item.value)


def command_value(value: Any, data_type: CmdArgType) -> Any:
    """The output of a command, or the value of a pipe's element, as a JSON value."""
    return None if value is None else TYPES[data_type].scalar(value)


def type_name(data_type: int) -> str:
    """PyTango's name of a type: DevDouble, DevVarLongArray, ..."""
    return str(CmdArgType.values[int(data_type)])


def is_void(data_type: int) -> bool:
    return data_type == CmdArgType.DevVoid


def is_blob(data_type: int) -> bool:
    """A pipe within a pipe; a PyTango without pipes has no such type."""
    return data_type == getattr(CmdArgType, "DevPipeBlob", None)


def is_array(data_type: int) -> bool:
    return type_name(data_type).startswith("DevVar")


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
