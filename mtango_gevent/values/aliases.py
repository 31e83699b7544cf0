"""Names of PyTango's types for modules that do not import PyTango, such as the views."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import tango

AttributeConfiguration: TypeAlias = tango.AttributeInfoEx
CommandDescription: TypeAlias = tango.CommandInfo
CommandRecord: TypeAlias = tango.DeviceDataHistory
PipeDescription: TypeAlias = Any  # PyTango has no name for it from 10.1 on
DataType: TypeAlias = tango.CmdArgType

# A JSON object, or a part of one, as a view builds it and orjson encodes it.
JsonObject: TypeAlias = dict[str, Any]


class AttributeData(Protocol):
    """The reading of an attribute: PyTango's DeviceAttribute, a record of its history, or what replaces them."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> tango.CmdArgType: ...
    @property
    def data_format(self) -> tango.AttrDataFormat: ...
    @property
    def has_failed(self) -> bool: ...
    @property
    def value(self) -> Any: ...
    @property
    def w_value(self) -> Any: ...
    @property
    def quality(self) -> tango.AttrQuality: ...
    @property
    def time(self) -> tango.TimeVal: ...
    def get_err_stack(self) -> tuple[tango.DevError, ...]: ...
