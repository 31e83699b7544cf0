"""Attributes from rows of a table; a class body takes them with `vars().update(by_name(...))`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tango import AttrWriteType
from tango.server import Device, attribute

from mtango_gevent.demo.signals import Source


class Keeping(Device):
    """A device that keeps its state and the values written to its attributes until the next Init."""

    def init_device(self) -> None:
        super().init_device()
        self.set_state(self.DEVICE_CLASS_INITIAL_STATE)
        self.written: dict[str, Any] = {}


def by_name(attributes: Iterable[attribute]) -> dict[str, attribute]:
    return {each.name: each for each in attributes}


def shown(name: str, dtype: Any, source: Source, **config: Any) -> attribute:
    """Return a READ attribute with the values of `source`; None is an attribute without a value."""
    return attribute(name=name, dtype=dtype, fget=lambda device: source(), **config)


def kept(name: str, dtype: Any, source: Source, **config: Any) -> attribute:
    """Return a READ_WRITE attribute of a `Keeping` device; before the first write it reads `source`."""

    def read(device: Keeping) -> Any:
        return device.written[name] if name in device.written else source()

    def write(device: Keeping, value: Any) -> None:
        device.written[name] = value

    return attribute(name=name, dtype=dtype, fget=read, fset=write, **config)


def swallowed(name: str, dtype: Any, **config: Any) -> attribute:
    """Return a WRITE attribute of a `Keeping` device."""

    def write(device: Keeping, value: Any) -> None:
        device.written[name] = value

    return attribute(name=name, dtype=dtype, fset=write, access=AttrWriteType.WRITE, **config)
