"""A client's raw input as the values that PyTango writes. Contract: rc3, section 6 and Decisions "Writes".

Refusals are BadRequest: "attribute x, DevLong from 0 to 10: expected ..., got ...".
"""

from __future__ import annotations

from typing import Any

import numpy
import tango
from tango import CmdArgType

from mtango_gevent.errors import BadRequest, tango_failure
from mtango_gevent.text import LATIN_1, read_text
from mtango_gevent.values import converters
from mtango_gevent.values.aliases import AttributeConfiguration
from mtango_gevent.values.configuration import enum_labels, is_enumeration
from mtango_gevent.values.converters import Converter
from mtango_gevent.values.raw_input import RawInput
from mtango_gevent.values.types import ARRAYS, enum_name, tango_type, type_name

# The text of a limit of an attribute that has none.
_NOT_SPECIFIED = "Not specified"


def attribute_argument(info: AttributeConfiguration, raw: RawInput, encoding: str = LATIN_1) -> Any:
    """Return the value to write to an attribute: an element, a list, or an array of one or two axes.

    encoding: of Tango's texts. Raises BadRequest for input that does not fit the type, and DevFailed for a type or
    format that the gateway does not know.
    """
    converter = tango_type(info.data_type, encoding).converter
    data_format = enum_name(info, "data_format")
    if data_format not in _ARGUMENTS:
        name = read_text(info, "name")
        raise tango_failure("MTANGO_UnknownType", f"attribute {name} has an unknown data format: {data_format}")
    if is_enumeration(info) and enum_labels(info):
        converter = converters.Label(enum_labels(info))
    try:
        return _ARGUMENTS[data_format](converter, raw)
    except ValueError as error:
        raise BadRequest(f"{_describe_attribute(info)}: {error}") from None


def describe_write(info: AttributeConfiguration, raw: RawInput) -> str:
    """Return what the failure of a write adds to Tango's text: attribute, format, type, limits and value."""
    return f"{_describe_attribute(info)}; got {raw.shown()}"


def _describe_attribute(info: AttributeConfiguration) -> str:
    data_format = "" if info.data_format == tango.AttrDataFormat.SCALAR else f"{info.data_format} of "
    limits = {"from": read_text(info, "min_value"), "to": read_text(info, "max_value")}
    span = "".join(f" {word} {limit}" for word, limit in limits.items() if limit != _NOT_SPECIFIED)
    return f"attribute {read_text(info, 'name')}, {data_format}{type_name(info.data_type)}{span}"


def command_argument(data_type: CmdArgType, raw: RawInput, owner: str = "", encoding: str = LATIN_1) -> Any:
    """Return the argument of a command, or the value of a pipe's element.

    owner: what the argument belongs to, for error texts; encoding: of Tango's texts. Raises BadRequest for input that
    does not fit the type, and DevFailed for a type that the gateway does not know.
    """
    try:
        if data_type in ARRAYS:
            return _spectrum(tango_type(ARRAYS[data_type], encoding).converter, raw)
        return _scalar(tango_type(data_type, encoding).converter, raw)
    except ValueError as error:
        where = f"{owner}, {type_name(data_type)}" if owner else type_name(data_type)
        raise BadRequest(f"{where}: {error}") from None


def check_setting(info: AttributeConfiguration, text: str, own_type: bool) -> None:
    """Raise ValueError if the text of a configuration's field is a number that Tango would not keep as it is.

    own_type: whether the number has the type of the attribute, as limits have; else it is a number of milliseconds.
    """
    converter = tango_type(info.data_type if own_type else CmdArgType.DevLong).converter
    if isinstance(converter, (converters.Integer, converters.Float)):
        converter.check_setting(text)


def _scalar(converter: Converter, raw: RawInput) -> Any:
    element = raw.text() if isinstance(converter, converters.Text) else raw.element()
    try:
        return converter.convert(element)
    except ValueError as error:
        raise ValueError(f"{error}, got {raw.shown()}") from None


def _spectrum(converter: Converter, raw: RawInput) -> Any:
    return converter.convert_list(raw.elements())


def _image(converter: Converter, raw: RawInput) -> Any:
    """Convert all elements at once. PyTango takes an empty image only as an array, of any type."""
    rows = raw.rows()
    if not any(rows):
        return numpy.zeros((0, 0))
    elements = converter.convert_list([item for row in rows for item in row])
    width = len(rows[0])
    if isinstance(elements, numpy.ndarray):
        return elements.reshape(-1, width)
    return [elements[start : start + width] for start in range(0, len(elements), width)]


_ARGUMENTS = {"SCALAR": _scalar, "SPECTRUM": _spectrum, "IMAGE": _image}
