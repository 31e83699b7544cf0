"""Readings and outputs of PyTango in the form that the rest of the gateway expects."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import tango

from mtango_gevent.errors import not_converted
from mtango_gevent.names import folded


@dataclasses.dataclass(frozen=True)
class StateRecord:
    """A record of a polled State, from the history of the command: that of the attribute lacks the value in PyTango."""

    record: tango.DeviceDataHistory
    name = "State"
    type = tango.CmdArgType.DevState
    data_format = tango.AttrDataFormat.SCALAR
    quality = tango.AttrQuality.ATTR_VALID
    w_value = None

    @property
    def has_failed(self) -> bool:
        return self.record.has_failed()

    @property
    def value(self) -> tango.DevState:
        return self.record.extract()

    @property
    def time(self) -> tango.TimeVal:
        return self.record.get_date()

    def get_err_stack(self) -> tuple[tango.DevError, ...]:
        return self.record.get_err_stack()


@dataclasses.dataclass(frozen=True)
class FailedReading:
    """The failed reading of one of several attributes, where PyTango could not convert the value."""

    name: str
    errors: tuple[tango.DevError, ...]
    has_failed = True
    value = w_value = None

    def get_err_stack(self) -> tuple[tango.DevError, ...]:
        return self.errors


def read_together(proxy: tango.DeviceProxy, names: Sequence[str], taken: Sequence[Any]) -> list[Any]:
    """Return the readings of several attributes, one after the other where PyTango cannot convert them together.

    taken: the names as PyTango takes them.
    """
    once = dict(zip(map(folded, names), taken, strict=True))  # Tango refuses to read one twice in a call
    try:
        items = proxy.read_attributes(list(once.values()))
    except tango.DevFailed:
        raise
    except Exception:  # PyTango converts all or none: read them one by one
        items = [_read_alone(proxy, name, each) for name, each in once.items()]
    found = dict(zip(once, items, strict=True))
    return [found[folded(name)] for name in names]


def _read_alone(proxy: tango.DeviceProxy, name: str, taken: Any) -> Any:
    try:
        return proxy.read_attribute(taken)
    except tango.DevFailed as failure:
        return FailedReading(name, failure.args)
    except Exception as error:
        return FailedReading(name, not_converted(error).args)


def output(data: tango.DeviceData) -> tuple[tango.CmdArgType, Any]:
    """Return the type and the value of the output of a command."""
    try:
        return data.get_type(), data.extract()
    except tango.DevFailed as failure:
        if failure.args[0].reason != "API_EmptyDeviceData":
            raise
        return tango.CmdArgType.DevVoid, None


def value_size(item: tango.DeviceAttribute) -> int:
    """Return about how many bytes the value of an attribute takes."""
    return _size(item.value) + _size(item.w_value)


def _size(value: Any) -> int:
    if isinstance(value, (tuple, list)):
        return sum(map(_size, value))
    return getattr(value, "nbytes", None) or sys.getsizeof(value)
