"""The last events of one attribute, numbered, and the cursors with which clients continue behind one of them."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import deque
from collections.abc import Hashable

import tango

from mtango_gevent import values
from mtango_gevent.control.records import value_size
from mtango_gevent.errors import DevFailed

_CURSOR = re.compile(r"e([0-9a-f]{12})\.([0-9]{1,15})\.([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)

_NO_GENERATION = "0" * 12

# Bytes of a value from which on its forms are kept for the last events only: as text they are several times as long.
_LARGE = 4096
_WITH_FORMS = 2

# Microseconds between the arrivals of one event in two workers, at most.
_SAME_EVENT = 2_000_000


def microseconds() -> int:
    """Return the time of the gateway's clock, which all workers share, in microseconds since the epoch."""
    return time.time_ns() // 1000


@dataclasses.dataclass(frozen=True)
class Cursor:
    """A position behind an event, or before the first one.

    `number` is the position in the channel that made the cursor (`generation`). Another channel of the same attribute,
    in another worker or after a restart, has other numbers: it finds the event by `mark`, the device's time of the
    value, or else by `came`, the time at which the event arrived or the answer without an event was made. Both are
    microseconds since the epoch; `mark` is 0 for a failure and where there is no event.
    """

    generation: str
    number: int
    came: int
    mark: int

    @classmethod
    def now(cls) -> Cursor:
        """Return the cursor of an answer without a subscription."""
        return cls(_NO_GENERATION, 0, microseconds(), 0)

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        found = _CURSOR.fullmatch(text)
        return cls(found[1], *(int(part) for part in found.groups()[1:])) if found else None

    def __str__(self) -> str:
        return f"e{self.generation}.{self.number}.{self.came}.{self.mark}"


class Forms(dict[Hashable, bytes]):
    """Forms of an event that are kept until they are closed."""

    __slots__ = ("_is_closed",)

    def __init__(self) -> None:
        self._is_closed = False

    def __setitem__(self, key: Hashable, form: bytes) -> None:
        if not self._is_closed:
            super().__setitem__(key, form)

    def close(self) -> None:
        """Keep none any more: a client that asks so late has its own one made."""
        self._is_closed = True
        self.clear()


@dataclasses.dataclass(frozen=True)
class Event:
    """A value, or the failure to read it."""

    item: tango.DeviceAttribute | None
    failure: DevFailed | None
    time: int
    """Milliseconds since the epoch: the device's time of a value, the time of arrival of a failure."""

    size: int
    """About how many bytes the value takes."""

    mark: int = 0
    """The device's time of the value in microseconds since the epoch; 0 for a failure."""

    after_gap: bool = False
    """Whether Tango has lost events before this one."""

    was_read: bool = False
    """Whether the value was read: older events may have been on their way meanwhile."""

    came: int = dataclasses.field(default_factory=microseconds)
    """The time of arrival by the gateway's clock, in microseconds since the epoch."""

    shown: Forms = dataclasses.field(default_factory=Forms, compare=False, repr=False)
    """Forms in which the event is sent, by whatever they depend on: each is made once for all clients."""

    @classmethod
    def of_value(cls, item: tango.DeviceAttribute, was_read: bool = False) -> Event:
        mark = item.time.tv_sec * 1_000_000 + item.time.tv_usec
        return cls(item, None, values.milliseconds(item.time), value_size(item), mark, was_read=was_read)

    @classmethod
    def of_failure(cls, failure: DevFailed) -> Event:
        """Keep a copy of the failure: one that has been raised keeps alive the frames it passed, proxies included."""
        return cls(None, DevFailed(*failure.args), int(time.time() * 1000), 0)


class EventBuffer:
    """At most `length` events and `memory` bytes of events, but always the last one. The caller locks it.

    first: number of the oldest event; end: number of the next event. The first event has number 1. Number 0 is the
    value from before the first event, if it becomes known in time.
    """

    def __init__(self, length: int, memory: int) -> None:
        self.first = self.origin = 1
        self._events: deque[Event] = deque()
        self.length = length
        self._free = memory

    def __bool__(self) -> bool:
        return bool(self._events)

    @property
    def end(self) -> int:
        return self.first + len(self._events)

    def begin_with(self, event: Event) -> bool:
        """Store the value from before the first event, unless an event has arrived; return whether it is stored."""
        if self.end > 1 or not self.origin:
            return False
        self.first = self.origin = 0
        self.append(event)
        return True

    def append(self, event: Event) -> None:
        self._events.append(event)
        self._free -= event.size
        if event.size > _LARGE and len(self._events) > _WITH_FORMS:
            self._events[-1 - _WITH_FORMS].shown.close()
        while len(self._events) > self.length or (self._free < 0 and len(self._events) > 1):
            self._free += self._events.popleft().size
            self.first += 1

    def __getitem__(self, number: int) -> Event:
        return self._events[number - self.first]

    def get(self, number: int) -> Event | None:
        """Return the event with that number, or None if it is not kept."""
        return self[number] if self.first <= number < self.end else None

    def last(self) -> Event | None:
        return self._events[-1] if self._events else None

    def behind(self, time: int, unit: int) -> int:
        """Return the number behind the last event with that time, else behind the last older event.

        time: in units of `unit` milliseconds. Times are not in order: those of values are the device's, those of
        failures the gateway's.
        """
        times = [event.time // unit for event in self._events]
        older = [index for index, each in enumerate(times) if each <= time]
        same = [index for index in older if times[index] == time]
        return self.first + (same or older or [-1])[-1] + 1

    def same_event(self, cursor: Cursor) -> int | None:
        """Return the number of the event that another channel's cursor stands behind, or None if it is not kept."""
        found = [
            (abs(event.came - cursor.came), number)
            for number, event in enumerate(self._events, self.first)
            if cursor.mark and event.mark == cursor.mark and abs(event.came - cursor.came) <= _SAME_EVENT
        ]
        return min(found)[1] if found else None

    def arrival(self, time: int) -> int | None:
        """Return when the first event with that time arrived, in microseconds since the epoch; None without one."""
        return next((event.came for event in self._events if event.time == time), None)

    def after(self, came: int) -> int:
        """Return the number of the first event that arrived after that time, in microseconds since the epoch."""
        return next((number for number, event in enumerate(self._events, self.first) if event.came > came), self.end)
