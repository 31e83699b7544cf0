"""Sources of events: an attribute and a kind of event, and how Tango is asked for them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import tango

from mtango_gevent.control.calls import Bulkhead
from mtango_gevent.errors import DevFailed
from mtango_gevent.names import folded
from mtango_gevent.text import raw_text, read_text
from mtango_gevent.values import enum_labels, is_enumeration

# Alarm events are change events with another quality than before. Tango's own are not asked for: a server (cppTango
# 10.0 to 10.3) whose device pushes its change events itself then sends wrong values with them, to all clients.
KINDS = {
    "change": tango.EventType.CHANGE_EVENT,
    "periodic": tango.EventType.PERIODIC_EVENT,
    "user": tango.EventType.USER_EVENT,
    "archive": tango.EventType.ARCHIVE_EVENT,
    "alarm": tango.EventType.CHANGE_EVENT,
}

# PyTango from 10.1 on can subscribe without reading the attribute. Then a device that hangs delays no subscription,
# as only its server answers it; while Tango subscribes and reads, other subscriptions wait.
SUBSCRIBES_WITHOUT_READING = hasattr(tango, "EventSubMode")

# ZeroMQ tells the device server in its own time what it wants to have; events that are sent before are lost. Tango
# waits for 10 ms between subscribing and reading, and other subscriptions wait with it.
SETTLING_SECONDS = 0.05 if SUBSCRIBES_WITHOUT_READING else 0.0

Key: TypeAlias = tuple[str, str, str]


@dataclasses.dataclass
class Source:
    """attribute: its name, in the device's spelling once it is subscribed to. bulkhead: that of the device's calls.

    read: the attribute's value of now; describe: its configuration of now; labels: those that belong to a value.
    """

    url: str
    attribute: str
    kind: str
    bulkhead: Bulkhead
    read: Callable[[], tango.DeviceAttribute]
    describe: Callable[[], tango.AttributeInfoEx]
    labels: Callable[[tango.DeviceAttribute], Sequence[str]]

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.url}/{self.attribute}"

    @property
    def key(self) -> Key:
        return self.url, folded(self.attribute), self.kind

    @property
    def readable(self) -> bool:
        """Whether reading can take the place of events; user events mean what only the device knows."""
        return self.kind != "user"

    def subscribe(
        self,
        proxy: tango.DeviceProxy,
        receive: Callable[[tango.EventData], None],
        receive_labels: Callable[[Sequence[str] | None], None],
    ) -> Callable[[], None]:
        """Subscribe by a plain proxy, and return what unsubscribes. Blocks its thread. Raises DevFailed.

        receive_labels: told the labels of an enumeration, first and whenever they change; None when they are unknown.
        """
        info = self.describe()
        self.attribute, name = read_text(info, "name"), raw_text(info, "name")
        mode = [tango.EventSubMode.Sync] if SUBSCRIBES_WITHOUT_READING else []
        numbers = list(_subscribe_to_labels(proxy, name, receive_labels)) if is_enumeration(info) else []
        try:
            numbers.append(proxy.subscribe_event(name, KINDS[self.kind], receive, *mode))
        except DevFailed:
            _unsubscribe(proxy, numbers)
            raise
        return functools.partial(_unsubscribe, proxy, numbers)


def _subscribe_to_labels(
    proxy: tango.DeviceProxy, name: str | bytes, receive: Callable[[Sequence[str] | None], None]
) -> Iterator[int]:
    """Yield Tango's number of the subscription, if the device server has configuration events."""
    with contextlib.suppress(DevFailed):
        yield proxy.subscribe_event(
            name,
            tango.EventType.ATTR_CONF_EVENT,
            lambda event: receive(None if event.err else enum_labels(event.attr_conf)),
        )


def _unsubscribe(proxy: tango.DeviceProxy, numbers: Iterable[int]) -> None:
    for number in numbers:
        proxy.unsubscribe_event(number)
