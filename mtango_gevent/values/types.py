"""The table of Tango types: one row says how values of a type are shown in JSON and made from a client's input.

Contract: rc3, section 6. Arrays of numbers stay NumPy arrays, which the JSON encoder reads in place.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy
from tango import CmdArgType, DevState

from mtango_gevent.errors import tango_failure
from mtango_gevent.text import LATIN_1, UTF_8, from_utf8
from mtango_gevent.values import converters
from mtango_gevent.values.converters import Converter

# The name of a type, format or quality that PyTango does not know: a forwarded attribute without a root has one.
UNKNOWN = "Unknown"

# JSON has no such numbers, and a bare NaN is a syntax error in every browser.
NOT_A_NUMBER, INFINITY, MINUS_INFINITY = "NaN", "Infinity", "-Infinity"


def _unchanged(value: Any) -> Any:
    return value


def _nothing(_: Any) -> None:
    return None


def each(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the conversion of arrays of any depth whose elements are converted one by one."""

    def convert_array(values: Any) -> Any:
        if isinstance(values, (tuple, list, numpy.ndarray)):
            return [convert_array(value) for value in values]
        return convert(values)

    return convert_array


def number_or_text(value: float) -> float | str:
    """Return a number as it is if it is finite, else its text in JSON."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return NOT_A_NUMBER
    return INFINITY if value > 0 else MINUS_INFINITY


def _single(value: float) -> Any:
    """Convert a DevFloat with the digits of its type, as in arrays: 0.1 instead of 0.10000000149011612."""
    return numpy.float32(value) if math.isfinite(value) else number_or_text(value)


def _integers(values: Any) -> Any:
    return numpy.ascontiguousarray(values)


def _floats(values: Any) -> Any:
    """Return the array itself if all numbers are finite, else lists of the rows that have others."""
    values = numpy.ascontiguousarray(values)
    with numpy.errstate(all="ignore"):
        if math.isfinite(values.sum()):  # makes no copy; where the sum of finite numbers overflows, each is checked
            return values
    if values.ndim > 1:
        return [_floats(row) for row in values]
    numbers = list(values)  # NumPy's own numbers, which keep the digits of their type
    for index in numpy.flatnonzero(~numpy.isfinite(values)):
        numbers[index] = number_or_text(numbers[index])
    return numbers


def _state(value: Any) -> str:
    return str(DevState.values[int(value)])


def as_bytes(data: Any) -> bytes:
    """Return the data of a DevEncoded value."""
    return data.encode("latin-1") if isinstance(data, str) else bytes(data)


def _encoded(text: Callable[[Any], Any]) -> Callable[[Any], dict[str, str]]:
    """Return the conversion of DevEncoded values. text: the conversion of their formats."""

    def convert(value: tuple[str, Any]) -> dict[str, str]:
        encoding, data = value
        return {"encoded_format": text(encoding), "encoded_data": base64.b64encode(as_bytes(data)).decode("ascii")}

    return convert


@dataclasses.dataclass(frozen=True)
class TangoType:
    """A row: scalar and array render values as JSON; converter makes an element from a client's input.

    array_type: the name of the type that commands have for arrays of these elements; dtype: of an element as a number,
    None for a text.
    """

    scalar: Callable[[Any], Any]
    array: Callable[[Any], Any]
    converter: Converter
    array_type: str = ""
    dtype: type[numpy.generic] | None = None


def _integer(dtype: type[numpy.integer], array_type: str) -> TangoType:
    return TangoType(_unchanged, _integers, converters.Integer(dtype), array_type, dtype)


def _numbers_and_texts(
    key: str, numbers: Callable[[Any], Any], texts: Callable[[Any], Any], *converter_parts: Converter
) -> TangoType:
    return TangoType(
        lambda value: {key: numbers(value[0]), "svalue": texts(value[1])},
        _unchanged,
        converters.NumbersAndTexts(key, *converter_parts),
    )


def _rows(encoding: str) -> dict[str, TangoType]:
    """Return the table for an encoding of Tango's texts, all of which PyTango reads as Latin-1."""
    text = _unchanged if encoding == LATIN_1 else from_utf8
    texts = _unchanged if encoding == LATIN_1 else each(from_utf8)
    encoded, string = _encoded(text), converters.Text(encoding)
    long = converters.Integer(numpy.int32)
    single, double = converters.Float(numpy.float32), converters.Float(numpy.float64)
    return {
        "DevVoid": TangoType(_nothing, _nothing, converters.Void()),
        "DevBoolean": TangoType(_unchanged, _integers, converters.Boolean(), "DevVarBooleanArray", numpy.bool_),
        "DevUChar": _integer(numpy.uint8, "DevVarCharArray"),
        "DevShort": _integer(numpy.int16, "DevVarShortArray"),
        "DevUShort": _integer(numpy.uint16, "DevVarUShortArray"),
        "DevLong": _integer(numpy.int32, "DevVarLongArray"),
        "DevULong": _integer(numpy.uint32, "DevVarULongArray"),
        "DevLong64": _integer(numpy.int64, "DevVarLong64Array"),
        "DevULong64": _integer(numpy.uint64, "DevVarULong64Array"),
        "DevFloat": TangoType(_single, _floats, single, "DevVarFloatArray", numpy.float32),
        "DevDouble": TangoType(number_or_text, _floats, double, "DevVarDoubleArray", numpy.float64),
        "DevString": TangoType(text, texts, string, "DevVarStringArray"),
        "ConstDevString": TangoType(text, texts, string),
        "DevState": TangoType(_state, each(_state), converters.State(), "DevVarStateArray", numpy.uint32),
        # An attribute has labels for its numbers: see attribute_value and attribute_argument.
        "DevEnum": TangoType(_unchanged, _integers, converters.Integer(numpy.int16, low=0), dtype=numpy.int16),
        "DevEncoded": TangoType(
            encoded, each(encoded), converters.Encoded(encoding), "DevVarEncodedArray", numpy.uint8
        ),
        "DevVarLongStringArray": _numbers_and_texts("lvalue", _integers, texts, long, string),
        "DevVarDoubleStringArray": _numbers_and_texts("dvalue", _floats, texts, double, string),
    }


def _by_type(encoding: str) -> dict[CmdArgType, TangoType]:
    return {CmdArgType.names[name]: row for name, row in _rows(encoding).items()}


TYPES = _by_type(LATIN_1)
_TYPES_IN_UTF8 = _by_type(UTF_8)

# The types of arrays that the installed PyTango has -> the types of their elements.
ARRAYS = {
    CmdArgType.names[row.array_type]: data_type
    for data_type, row in TYPES.items()
    if row.array_type in CmdArgType.names  # DevVarEncodedArray from PyTango 10.1 on
}


def tango_type(data_type: int, encoding: str = LATIN_1) -> TangoType:
    """Return the row of a type. encoding: of Tango's texts. Raises DevFailed for a type without a row."""
    rows = _TYPES_IN_UTF8 if encoding == UTF_8 else TYPES
    row = rows.get(CmdArgType.values.get(int(data_type)))
    if row is None:
        raise tango_failure("MTANGO_UnknownType", f"the gateway does not know the Tango type {int(data_type)}")
    return row


def type_name(data_type: int) -> str:
    """Return PyTango's name of a type, such as DevDouble or DevVarLongArray, or Unknown."""
    known = CmdArgType.values.get(int(data_type))
    return UNKNOWN if known is None else str(known)


def enum_name(holder: Any, key: str) -> str:
    """Return the name of a value of one of PyTango's enumerations, or Unknown for a number without a name."""
    try:
        name = str(getattr(holder, key))
    except (ValueError, TypeError):
        return UNKNOWN
    return name if name.isidentifier() else UNKNOWN


def is_void(data_type: int) -> bool:
    return data_type == CmdArgType.DevVoid


def is_blob(data_type: int) -> bool:
    """Return whether a type is a pipe's blob; a PyTango without pipes has no such type."""
    return data_type == getattr(CmdArgType, "DevPipeBlob", None)


def is_array(data_type: int) -> bool:
    """Return whether a type of commands and pipes is an array."""
    return data_type in ARRAYS
