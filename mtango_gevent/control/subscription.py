"""A subscription: the events of one attribute and kind, and who listens to them.

Tango's events come in a thread of Tango's, by a plain proxy: into a bounded buffer, and whoever waits is woken. An
attribute that sends none is read at intervals.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy
import tango

from mtango_gevent.control.buffer import Event, EventBuffer
from mtango_gevent.control.lane import Lane
from mtango_gevent.control.signal import Signal
from mtango_gevent.errors import DevFailed, status_of
from mtango_gevent.names import folded

if TYPE_CHECKING:
    from mtango_gevent.control.events import EventHub

KINDS = {
    "change": tango.EventType.CHANGE_EVENT,
    "periodic": tango.EventType.PERIODIC_EVENT,
    "user": tango.EventType.USER_EVENT,
    "archive": tango.EventType.ARCHIVE_EVENT,
}

# For how long an attribute that sent no events is read before it is asked for them again.
_POLL_SECONDS = 60.0

# Why Tango sends a failure: it has lost events on their way, or the heartbeat of the device server.
_MISSED, _SILENT = "API_MissedEvents", "API_EventTimeout"

Key: TypeAlias = tuple[str, str, str]


@dataclasses.dataclass(frozen=True)
class Source:
    """An attribute and a kind of event; lane: of its device; read: the attribute's value of now."""

    url: str
    attribute: str
    kind: str
    lane: Lane
    read: Callable[[], tango.DeviceAttribute]

    @property
    def name(self) -> str:
        return f"{self.kind} of {self.url}/{self.attribute}"

    @property
    def key(self) -> Key:
        return self.url, folded(self.attribute), self.kind


class Subscription:
    """What comes from one source, by events or by polling."""

    def __init__(self, hub: EventHub, source: Source) -> None:
        self.source = source
        self.buffer = EventBuffer(hub.config.event_buffer, hub.config.event_memory)
        self.listeners = 0
        self.unheard_since = time.monotonic()
        self.retired = self.polled = False
        self._ask_again = 0.0
        self._hub = hub
        self._waiting: set[Signal] = set()
        self._unsubscribe: Callable[[], None] | None = None
        self._ended = False

    def begin(self) -> None:
        """Have events sent; read the attribute where it sends none. Blocks its thread. Raises DevFailed."""
        proxy = self._hub.connect(self.source.url)
        try:
            number = proxy.subscribe_event(self.source.attribute, KINDS[self.source.kind], self._receive)
        except DevFailed as refusal:
            if status_of(refusal) != 400:  # out of reach, or no such attribute
                raise
            self._ask_again = time.monotonic() + _POLL_SECONDS
            if not self.polled:
                self.polled = True
                self._read_first()
        else:
            self.polled = False
            self._unsubscribe = functools.partial(proxy.unsubscribe_event, number)

    def poll(self) -> None:
        """Read the attribute, or have it send events if it does by now. Blocks its thread. Raises DevFailed."""
        if time.monotonic() > self._ask_again:
            self.begin()
        if self.polled:
            self._read()

    def fail(self, failure: DevFailed) -> None:
        """Who listens is told that it could not be read."""
        self._push(Event.of_failure(DevFailed(*failure.args)))  # without the frames of the one that was raised

    def is_unheard(self, since: float) -> bool:
        """Whether nobody has listened since then."""
        return not self.listeners and self.unheard_since <= since

    def listen(self, position: int) -> Listener | None:
        """From event number `position` on. None when all is over here."""
        with self._hub.guard:
            if self._ended:
                return None
            self.listeners += 1
            self._hub.listeners += 1
        return Listener(self._hub, self, position)

    def leave(self) -> None:
        with self._hub.guard:
            self.listeners -= 1
            self._hub.listeners -= 1
            self.unheard_since = time.monotonic()

    def end(self) -> Callable[[], None] | None:
        """Guarded. Gives what is still to be done, if anything is."""
        self._ended = True
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        return unsubscribe

    def take(self, position: int, signal: Signal) -> tuple[Event | None, int]:
        """(event number `position`, or the oldest there is, number of the next); without one, `signal` tells when."""
        with self._hub.guard:
            if position >= self.buffer.end:
                self._waiting.add(signal)
                return None, position
            self._hub.dropped += max(0, self.buffer.first - position)
            position = max(position, self.buffer.first)
            return self.buffer[position], position + 1

    def forget(self, signal: Signal) -> None:
        with self._hub.guard:
            self._waiting.discard(signal)

    def _read_first(self) -> None:
        try:
            self._read()
        except DevFailed as failure:  # who listens is told
            self.fail(failure)

    def _read(self) -> None:
        event = Event.of_value(self.source.read())
        with self._hub.guard:
            last = self.buffer.last()
        if self.source.kind == "periodic" or last is None or _differ(last, event):
            self._push(event)

    def _receive(self, received: Any) -> None:
        """Called by Tango, in the thread that subscribes or in one of its own; nothing may escape from here."""
        reasons = {error.reason for error in received.errors} if received.err else ()
        if _MISSED in reasons:
            with self._hub.guard:
                self._hub.missed += 1
            return
        if received.err:
            self._push(Event.of_failure(DevFailed(*received.errors)))
        else:
            self._push(Event.of_value(received.attr_value))
        if _SILENT in reasons:  # who comes now is told at once what is wrong, and finds it again as soon as it is back
            self._hub.retire(self)

    def _push(self, event: Event) -> None:
        with self._hub.guard:
            self.buffer.append(event)
            self._hub.received += 1
        self.wake()

    def wake(self) -> None:
        """All who wait."""
        with self._hub.guard:
            waiting, self._waiting = self._waiting, set()
        for signal in waiting:
            signal.set()


class Listener:
    """One who listens, and how far; a context manager, at whose end it stops."""

    def __init__(self, hub: EventHub, subscription: Subscription, position: int) -> None:
        self._hub = hub
        self._subscription = subscription
        self._position = position

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscription.leave()

    @property
    def stopping(self) -> bool:
        """Whether nobody is to wait any more."""
        return self._hub.stopping

    def go_behind(self, time: int, unit: int) -> None:
        """To what came after the event of that time, in units of so many milliseconds, as far as it is still there."""
        with self._hub.guard:
            self._position = self._subscription.buffer.behind(time, unit)

    def next(self, seconds: float) -> Event | None:
        """The next event; None if there is none within that time, or before nobody is to wait any more."""
        until = time.monotonic() + seconds
        while True:
            signal = self._hub.green.signal()
            event, self._position = self._subscription.take(self._position, signal)
            if event is not None:
                return event
            try:
                if self._hub.stopping or not signal.wait(until - time.monotonic()):
                    return None
            finally:
                self._subscription.forget(signal)


def _differ(one: Event, other: Event) -> bool:
    if one.item is None or other.item is None:
        return True
    return one.item.quality != other.item.quality or not _same(one.item.value, other.item.value)


def _same(one: Any, other: Any) -> bool:
    """NaN is the same as NaN here."""
    if isinstance(one, numpy.ndarray) and isinstance(other, numpy.ndarray):
        return (one.shape, one.dtype) == (other.shape, other.dtype) and one.tobytes() == other.tobytes()
    return repr(one) == repr(other)
