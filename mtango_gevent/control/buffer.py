"""The last events of one attribute, numbered, for any number of readers."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import deque
from typing import Any

import tango

from mtango_gevent import values
from mtango_gevent.errors import DevFailed


@dataclasses.dataclass(frozen=True)
class Event:
    """A value, or the failure to have one."""

    item: tango.DeviceAttribute | None
    failure: DevFailed | None
    time: int
    """Milliseconds since the epoch: of the value as the device says, of a failure as it came."""

    size: int
    """About how many bytes the value takes."""

    @classmethod
    def of_value(cls, item: tango.DeviceAttribute) -> Event:
        return cls(item, None, values.milliseconds(item.time), size(item))

    @classmethod
    def of_failure(cls, failure: DevFailed) -> Event:
        """A copy of it: one that has been raised holds what was there then, proxies too."""
        return cls(None, DevFailed(*failure.args), int(time.time() * 1000), 0)


class EventBuffer:
    """At most `length` events and `memory` bytes of them, but always the last one; who guards it is the owner's affair.

    first: number of the oldest event; end: number of the next to come.
    """

    def __init__(self, length: int, memory: int) -> None:
        self.first = 0
        self._events: deque[Event] = deque()
        self._length = length
        self._memory = self._free = memory

    @property
    def end(self) -> int:
        return self.first + len(self._events)

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


def size(item: tango.DeviceAttribute) -> int:
    """About how many bytes its value takes."""
    return _size(item.value) + _size(item.w_value)


def _size(value: Any) -> int:
    if isinstance(value, (tuple, list)):
        return sum(map(_size, value))
    return getattr(value, "nbytes", None) or sys.getsizeof(value)
