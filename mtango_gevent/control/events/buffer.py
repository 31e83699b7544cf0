"""The last events of one attribute, numbered, for any number of readers."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import deque
from typing import Any

import tango

from mtango_gevent import values
from mtango_gevent.control.events.cursor import Cursor, microseconds
from mtango_gevent.errors import DevFailed

# How much later or earlier, in microseconds, one event arrives in another worker at most.
_SAME_EVENT = 2_000_000


@dataclasses.dataclass(frozen=True)
class Event:
    """A value, or the failure to have one."""

    item: tango.DeviceAttribute | None
    failure: DevFailed | None
    time: int
    """Milliseconds since the epoch: of the value as the device says, of a failure as it came."""

    size: int
    """About how many bytes the value takes."""

    mark: int = 0
    """The device's time of the value in microseconds since the epoch; 0 for a failure."""

    after_gap: bool = False
    """Whether Tango says that events before it are lost."""

    came: int = dataclasses.field(default_factory=microseconds)
    """When it arrived, by the gateway's clock: microseconds since the epoch."""

    @classmethod
    def of_value(cls, item: tango.DeviceAttribute) -> Event:
        mark = item.time.tv_sec * 1_000_000 + item.time.tv_usec
        return cls(item, None, values.milliseconds(item.time), size(item), mark)

    @classmethod
    def of_failure(cls, failure: DevFailed) -> Event:
        """A copy of it: one that has been raised holds what was there then, proxies too."""
        return cls(None, DevFailed(*failure.args), int(time.time() * 1000), 0)


class EventBuffer:
    """At most `length` events and `memory` bytes of them, but always the last one; who guards it is the owner's affair.

    first: number of the oldest event; end: number of the next to come. The first event has number 1. Number 0 is for
    the value that was there before any event, where that becomes known in time.
    """

    def __init__(self, length: int, memory: int) -> None:
        self.first = self.origin = 1
        self._events: deque[Event] = deque()
        self._length = length
        self._memory = self._free = memory

    def __bool__(self) -> bool:
        """Whether anything has come."""
        return bool(self._events)

    @property
    def end(self) -> int:
        return self.first + len(self._events)

    def begin_with(self, event: Event) -> bool:
        """Keep the value that was there before any event, unless an event has come already; return whether it is."""
        if self.end > 1 or not self.origin:
            return False
        self.first = self.origin = 0
        self.append(event)
        return True

    def append(self, event: Event) -> None:
        self._events.append(event)
        self._free -= event.size
        while len(self._events) > self._length or (self._free < 0 and len(self._events) > 1):
            self._free += self._events.popleft().size
            self.first += 1

    def __getitem__(self, number: int) -> Event:
        return self._events[number - self.first]

    def last(self) -> Event | None:
        return self._events[-1] if self._events else None

    def behind(self, time: int, unit: int) -> int:
        """The number of what came after the last event of that time, else after the last one that is older.

        Times need not be in order: those of values are the device's, those of failures the gateway's.
        """
        times = [event.time // unit for event in self._events]
        older = [index for index, each in enumerate(times) if each <= time]
        same = [index for index in older if times[index] == time]
        return self.first + (same or older or [-1])[-1] + 1

    def same_event(self, cursor: Cursor) -> int | None:
        """The number of the event that a cursor of another channel stands behind, if it is kept here."""
        found = [
            (abs(event.came - cursor.came), number)
            for number, event in enumerate(self._events, self.first)
            if cursor.mark and event.mark == cursor.mark and abs(event.came - cursor.came) <= _SAME_EVENT
        ]
        return min(found)[1] if found else None

    def after(self, came: int) -> int:
        """The number of the first event that arrived after that time, in microseconds."""
        return next((number for number, event in enumerate(self._events, self.first) if event.came > came), self.end)


def size(item: tango.DeviceAttribute) -> int:
    """About how many bytes its value takes."""
    return _size(item.value) + _size(item.w_value)


def _size(value: Any) -> int:
    if isinstance(value, (tuple, list)):
        return sum(map(_size, value))
    return getattr(value, "nbytes", None) or sys.getsizeof(value)
