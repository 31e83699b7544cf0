"""A plain PyTango client in a process of its own, to compare the answers of the gateway with."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy
import tango

from mtango_gevent.values import set_configuration

# Calls that a device remembers.
_BLACK_BOX = 50


class PyTango:
    """Reads and changes devices and the database of a Tango host. Values are plain Python objects."""

    def __init__(self, tango_host: str, process: ProcessPoolExecutor) -> None:
        self._prefix = f"tango://{tango_host}/"
        self._tango_host = tango_host
        self._process = process

    def read(self, device: str, attribute: str) -> Any:
        return self._ask(_read, self._prefix + device, attribute, "value")

    def read_set_point(self, device: str, attribute: str) -> Any:
        """Return the value that was written last."""
        return self._ask(_read, self._prefix + device, attribute, "w_value")

    def read_pipe(self, device: str, pipe: str) -> Any:
        return self._ask(_read_pipe, self._prefix + device, pipe)

    def get_property(self, device: str, name: str) -> list[str]:
        return self._ask(_device_property, self._tango_host, device, name)

    def get_attribute_property(self, device: str, attribute: str, name: str) -> list[str] | None:
        return self._ask(_attribute_property, self._tango_host, device, attribute, name)

    def get_configuration(self, device: str, attribute: str, *path: str) -> str:
        return self._ask(_configuration, self._prefix + device, attribute, path)

    def put_properties(self, device: str, **properties: list[str]) -> None:
        """Write properties of a device; one without values is deleted."""
        self._ask(_put_properties, self._tango_host, device, properties)

    def delete_attribute_property(self, device: str, attribute: str, name: str) -> None:
        self._ask(_delete_attribute_property, self._tango_host, device, attribute, name)

    def configure(self, device: str, attribute: str, **settings: Any) -> None:
        self._ask(_configure, self._prefix + device, attribute, settings)

    def run(self, device: str, command: str, argument: Any = None) -> None:
        self._ask(_run, self._prefix + device, command, argument)

    def write(self, device: str, attribute: str, value: Any) -> None:
        self._ask(_write, self._prefix + device, attribute, value)

    def poll(self, device: str, attribute: str, milliseconds: int) -> None:
        """Have a device poll an attribute every `milliseconds`; 0 ends polling."""
        self._ask(_poll, self._prefix + device, attribute, milliseconds)

    def fill_black_box(self, device: str) -> None:
        """Call a device until its black box has none of the calls from before."""
        self._ask(_fill_black_box, self._prefix + device)

    def count_in_black_box(self, device: str, text: str) -> int:
        """Return how many calls in the black box of a device contain `text`."""
        return self._ask(_black_box, self._prefix + device, text)

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        return self._process.submit(question, *arguments).result(30)


@contextmanager
def start_pytango(tango_host: str) -> Iterator[PyTango]:
    """Start the process, and end it after a with block."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        yield PyTango(tango_host, process)


def _plain(value: Any) -> Any:
    if isinstance(value, numpy.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, tango.DevState) else value


def _read(device: str, attribute: str, part: str) -> Any:
    return _plain(getattr(tango.DeviceProxy(device).read_attribute(attribute), part))


def _read_pipe(device: str, pipe: str) -> Any:
    def plain(blob: Any) -> Any:
        name, elements = blob
        return name, {
            element["name"]: plain(element["value"])
            if str(element["dtype"]) == "DevPipeBlob"
            else _plain(element["value"])
            for element in elements
        }

    return plain(tango.DeviceProxy(device).read_pipe(pipe))


def _database(tango_host: str) -> tango.Database:
    host, port = tango_host.split(":")
    return tango.Database(host, int(port))


def _device_property(tango_host: str, device: str, name: str) -> list[str]:
    return list(_database(tango_host).get_device_property(device, name)[name])


def _put_properties(tango_host: str, device: str, properties: dict[str, list[str]]) -> None:
    database = _database(tango_host)
    database.put_device_property(device, {name: values for name, values in properties.items() if values})
    database.delete_device_property(device, [name for name, values in properties.items() if not values])


def _delete_attribute_property(tango_host: str, device: str, attribute: str, name: str) -> None:
    _database(tango_host).delete_device_attribute_property(device, {attribute: [name]})


def _attribute_property(tango_host: str, device: str, attribute: str, name: str) -> list[str] | None:
    found = _database(tango_host).get_device_attribute_property(device, attribute)[attribute]
    return list(found[name]) if name in found else None


def _configuration(device: str, attribute: str, path: tuple[str, ...]) -> str:
    found: Any = tango.DeviceProxy(device).get_attribute_config_ex(attribute)[0]
    for name in path:
        found = getattr(found, name)
    return found if isinstance(found, str) else list(found)


def _configure(device: str, attribute: str, settings: dict[str, Any]) -> None:
    proxy = tango.DeviceProxy(device)
    info = proxy.get_attribute_config_ex(attribute)[0]
    for name, value in settings.items():
        set_configuration(info, [name], value)
    proxy.set_attribute_config([info])


def _run(device: str, command: str, argument: Any) -> None:
    tango.DeviceProxy(device).command_inout(command, *([] if argument is None else [argument]))


def _write(device: str, attribute: str, value: Any) -> None:
    tango.DeviceProxy(device).write_attribute(attribute, value)


def _poll(device: str, attribute: str, milliseconds: int) -> None:
    proxy = tango.DeviceProxy(device)
    if milliseconds:
        proxy.poll_attribute(attribute, milliseconds)
    elif proxy.is_attribute_polled(attribute):
        proxy.stop_poll_attribute(attribute)


def _fill_black_box(device: str) -> None:
    proxy = tango.DeviceProxy(device)
    for _ in range(_BLACK_BOX):
        proxy.command_inout("State")


def _black_box(device: str, text: str) -> int:
    return sum(text in line for line in tango.DeviceProxy(device).black_box(_BLACK_BOX))
