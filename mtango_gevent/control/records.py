"""What PyTango gives of readings and outputs, where that is not as the rest of the gateway wants it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tango

from mtango_gevent.errors import not_converted
from mtango_gevent.names import folded


@dataclasses.dataclass(frozen=True)
class StateRecord:
    """A polled State: the record of the command, as PyTango gives that of the attribute no value."""

    record: tango.DeviceDataHistory
    name = "State"
    type = tango.CmdArgType.DevState
    data_format = tango.AttrDataFormat.SCALAR
    quality = tango.AttrQuality.ATTR_VALID

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
    """One of several attributes, which PyTango could not convert, where the others are those that Tango gave."""

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
    except Exception:  # PyTango converts all or none: have those that it can
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
