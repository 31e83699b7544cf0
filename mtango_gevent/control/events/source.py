"""The source of a subscription: an attribute, a kind of event, and how Tango is asked for them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import tango

from mtango_gevent.control.calls import Bulkhead
from mtango_gevent.control.events.consumer import subscribe_event
from mtango_gevent.names import folded
from mtango_gevent.text import raw_text, read_text
from mtango_gevent.values import is_enumeration

# Alarm events are change events with another quality than the event before. Tango's own alarm events are not used: a
# server (cppTango 10.0 to 10.3) whose device pushes its change events itself then sends wrong values with them, to all
# clients.
KINDS = {
    "change": tango.EventType.CHANGE_EVENT,
    "periodic": tango.EventType.PERIODIC_EVENT,
    "user": tango.EventType.USER_EVENT,
    "archive": tango.EventType.ARCHIVE_EVENT,
    "alarm": tango.EventType.CHANGE_EVENT,
}

# PyTango from 10.1 on can subscribe without reading the attribute. Then only the device's server answers, so a device
# that hangs delays no subscription; while Tango subscribes and reads, all other subscriptions wait.
SUBSCRIBES_WITHOUT_READING = hasattr(tango, "EventSubMode")

# ZeroMQ tells the device server asynchronously about a subscription; events sent before that are lost. The 10 ms for
# which Tango before 10.1 waits between subscribing and reading are too short where the processors are busy.
SETTLING_SECONDS = 0.05

# Device, attribute, kind.
Key: TypeAlias = tuple[str, str, str]

# The labels of an enumeration, as its configuration events say; None where they are unknown.
Labels: TypeAlias = Sequence[str] | None


@dataclasses.dataclass
class Source:
    """attribute: its name, in the device's spelling once it is subscribed to; bulkhead: that of the device's calls.

    read: reads the attribute; describe: asks for its configuration; labels: returns those that belong to a value.
    follow_labels: takes a plain proxy and the name, follows the labels of an enumeration by its configuration events,
    and returns two functions: one returns the labels of now, the other ends it.
    """

    url: str
    attribute: str
    kind: str
    bulkhead: Bulkhead
    read: Callable[[], tango.DeviceAttribute]
    describe: Callable[[], tango.AttributeInfoEx]
    labels: Callable[[tango.DeviceAttribute], Sequence[str]]
    follow_labels: Callable[[tango.DeviceProxy, str | bytes], tuple[Callable[[], Labels], Callable[[], None]]]

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.url}/{self.attribute}"

    @property
    def key(self) -> Key:
        return self.url, folded(self.attribute), self.kind

    @property
    def readable(self) -> bool:
        """Whether reading can take the place of events; only the device knows when a user event is due."""
        return self.kind != "user"

    def subscribe(
        self, proxy: tango.DeviceProxy, receive: Callable[[tango.EventData, Labels], None]
    ) -> Callable[[], None]:
        """Subscribe with a plain proxy, and return what unsubscribes. Blocks its thread. Raises DevFailed.

        receive: called with each event and the labels of its value.
        """
        info = self.describe()
        self.attribute, name = read_text(info, "name"), raw_text(info, "name")
        mode = [tango.EventSubMode.Sync] if SUBSCRIBES_WITHOUT_READING else []
        with contextlib.ExitStack() as undo:  # what is done already is undone if a later step fails
            labels: Callable[[], Labels] = _no_labels
            if is_enumeration(info):
                labels, end = self.follow_labels(proxy, name)
                undo.callback(end)
            number = subscribe_event(proxy, name, KINDS[self.kind], lambda event: receive(event, labels()), *mode)
            undo.callback(proxy.unsubscribe_event, number)
            return undo.pop_all().close


def _no_labels() -> None:
    return None
