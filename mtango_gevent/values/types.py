"""The table of Tango types: one row says how values of a type are shown in JSON and made from a client's input.

Contract: rc3, section 6.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy
from tango import CmdArgType

from mtango_gevent.errors import tango_failure
from mtango_gevent.text import LATIN_1, UTF_8, from_utf8
from mtango_gevent.values import converters, rendering
from mtango_gevent.values.converters import Converter
from mtango_gevent.values.rendering import each, numbers_and_texts, unchanged

# The name of a type, format or quality that PyTango does not know: a forwarded attribute without a root has one.
UNKNOWN = "Unknown"


@dataclasses.dataclass(frozen=True)
class TangoType:
    """A row: scalar and array render values as JSON; converter makes an element from a client's input.

    array_type: the name of the type that commands have for arrays of these elements.
    """

    scalar: Callable[[Any], Any]
    array: Callable[[Any], Any]
    converter: Converter
    array_type: str = ""


def _integer(dtype: type[numpy.integer], array_type: str) -> TangoType:
    return TangoType(unchanged, rendering.integers, converters.Integer(dtype), array_type)


def _row_of_pairs(key: str, numbers: Callable[[Any], Any], texts: Callable[[Any], Any], *parts: Converter) -> TangoType:
    return TangoType(numbers_and_texts(key, numbers, texts), unchanged, converters.NumbersAndTexts(key, *parts))


def _rows(encoding: str) -> dict[str, TangoType]:
    """Return the table for an encoding of Tango's texts, all of which PyTango reads as Latin-1."""
    text = unchanged if encoding == LATIN_1 else from_utf8
    texts = unchanged if encoding == LATIN_1 else each(from_utf8)
    integers, floats, encoded = rendering.integers, rendering.floats, rendering.encoded(text)
    string = converters.Text(encoding)
    long, double = converters.Integer(numpy.int32), converters.Float(numpy.float64)
    return {
        "DevVoid": TangoType(rendering.nothing, rendering.nothing, converters.Void()),
        "DevBoolean": TangoType(unchanged, integers, converters.Boolean(), "DevVarBooleanArray"),
        "DevUChar": _integer(numpy.uint8, "DevVarCharArray"),
        "DevShort": _integer(numpy.int16, "DevVarShortArray"),
        "DevUShort": _integer(numpy.uint16, "DevVarUShortArray"),
        "DevLong": _integer(numpy.int32, "DevVarLongArray"),
        "DevULong": _integer(numpy.uint32, "DevVarULongArray"),
        "DevLong64": _integer(numpy.int64, "DevVarLong64Array"),
        "DevULong64": _integer(numpy.uint64, "DevVarULong64Array"),
        "DevFloat": TangoType(rendering.single, floats, converters.Float(numpy.float32), "DevVarFloatArray"),
        "DevDouble": TangoType(rendering.double, floats, double, "DevVarDoubleArray"),
        "DevString": TangoType(text, texts, string, "DevVarStringArray"),
        "ConstDevString": TangoType(text, texts, string),
        "DevState": TangoType(rendering.state, each(rendering.state), converters.State(), "DevVarStateArray"),
        # An attribute has labels for its numbers: see attribute_value and attribute_argument.
        "DevEnum": TangoType(unchanged, integers, converters.Integer(numpy.int16, low=0)),
        "DevEncoded": TangoType(encoded, each(encoded), converters.Encoded(encoding), "DevVarEncodedArray"),
        "DevVarLongStringArray": _row_of_pairs("lvalue", integers, texts, long, string),
        "DevVarDoubleStringArray": _row_of_pairs("dvalue", floats, texts, double, string),
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


def is_void(data_type: int) -> bool:
    return data_type == CmdArgType.DevVoid


def is_blob(data_type: int) -> bool:
    """Return whether a type is a pipe's blob; a PyTango without pipes has no such type."""
    return data_type == getattr(CmdArgType, "DevPipeBlob", None)


def is_array(data_type: int) -> bool:
    """Return whether a type of commands and pipes is an array."""
    return data_type in ARRAYS
