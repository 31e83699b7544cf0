"""Tango values and the JSON values that stand for them, with names for PyTango's types. No I/O."""

from mtango_gevent.values.aliases import (
    AttributeConfiguration,
    AttributeData,
    CommandDescription,
    CommandRecord,
    DataType,
    JsonObject,
    PipeDescription,
)
from mtango_gevent.values.blobs import Blob, blob_argument, element_value
from mtango_gevent.values.configuration import (
    MEMORIZED,
    accepts_same_values,
    enum_labels,
    is_enumeration,
    set_configuration,
)
from mtango_gevent.values.raw_input import RawInput, shown
from mtango_gevent.values.reading import (
    attach_labels,
    attached_labels,
    attribute_value,
    brief_value,
    command_value,
    encoded_format,
    has_numbers,
    is_encoded,
    is_image,
    is_picture,
    milliseconds,
    numbers,
)
from mtango_gevent.values.types import enum_name, is_array, is_blob, is_void, number_or_text, type_name
from mtango_gevent.values.writing import attribute_argument, check_setting, command_argument, describe_write

__all__ = [
    "MEMORIZED",
    "AttributeConfiguration",
    "AttributeData",
    "Blob",
    "CommandDescription",
    "CommandRecord",
    "DataType",
    "JsonObject",
    "PipeDescription",
    "RawInput",
    "accepts_same_values",
    "attach_labels",
    "attached_labels",
    "attribute_argument",
    "attribute_value",
    "blob_argument",
    "brief_value",
    "check_setting",
    "command_argument",
    "command_value",
    "describe_write",
    "element_value",
    "encoded_format",
    "enum_labels",
    "enum_name",
    "has_numbers",
    "is_array",
    "is_blob",
    "is_encoded",
    "is_enumeration",
    "is_image",
    "is_picture",
    "is_void",
    "milliseconds",
    "number_or_text",
    "numbers",
    "set_configuration",
    "shown",
    "type_name",
]
