"""The last events of one attribute, numbered, for any number of readers."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
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

    @classmethod
    def of_value(cls, item: tango.DeviceAttribute) -> Event:
        return cls(item, None, values.milliseconds(item.time))

    @classmethod
    def of_failure(cls, failure: DevFailed) -> Event:
        return cls(None, failure, int(time.time() * 1000))

    @property
    def size(self) -> int:
        """About how many bytes the value takes."""
        return _size(self.item.value) + _size(self.item.w_value) if self.item else 0


class EventBuffer:
    """At most `length` events and `memory` bytes of them, but always the last one; who guards it is the owner's affair.

    first: number of the oldest event; end: number of the next to come.
    """

    def __init__(self, length: int, memory: int) -> None:
        self.first = 0
        self._events: deque[tuple[Event, int]] = deque()
        self._length = length
        self._memory = self._free = memory

    @property
    def end(self) -> int:
        return self.first + len(self._events)

    def append(self, event: Event) -> None:
        size = event.size
        self._events.append((event, size))
        self._free -= size
        while len(self._events) > self._length or (self._free < 0 and len(self._events) > 1):
            _, size = self._events.popleft()
            self._free += size
            self.first += 1

    def __getitem__(self, number: int) -> Event:
        event, _ = self._events[number - self.first]
        return event

    def find(self, wanted: Callable[[Event], bool]) -> int | None:
        """The number of the oldest event that is wanted."""
        return next((number for number, (event, _) in enumerate(self._events, self.first) if wanted(event)), None)


def _size(value: Any) -> int:
    if isinstance(value, (tuple, list)):
        return sum(map(_size, value))
    return getattr(value, "nbytes", None) or (len(value) if isinstance(value, (str, bytes)) else 8)
