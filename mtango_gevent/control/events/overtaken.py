"""Events that a value has overtaken: they were on their way while the attribute was read, and arrive after it."""

from __future__ import annotations

import time

from mtango_gevent.control.events.buffer import Event
from mtango_gevent.control.events.silence import differ

# Microseconds that an event takes to arrive, at most.
_ON_ITS_WAY = 2_000_000


class Overtaken:
    """Decides which events a client does not get, as it has a newer value that was read.

    The clock of a read value and that of an event need not be the same. So the last event that is left out is kept,
    and is due when no event can be on its way any more, unless a later one has come by then or it has the same value.
    read: the value.
    """

    def __init__(self, read: Event) -> None:
        self._read = read
        self._last: Event | None = None
        self.due = time.monotonic() + _ON_ITS_WAY / 1e6

    def includes(self, event: Event) -> bool:
        """Return whether the value has overtaken an event, which then is not to be sent now."""
        read, age = self._read, self._read.mark - event.mark
        if event.item is None or event.came - read.came > _ON_ITS_WAY or not 0 <= age <= _ON_ITS_WAY:
            return False
        is_equal = not differ("change", read, event)
        if age or is_equal:
            self._last = None if is_equal else event
        return bool(age or is_equal)

    @property
    def has_last(self) -> bool:
        return self._last is not None

    def take_last(self) -> Event | None:
        """Return the last event that was left out once it is due."""
        if time.monotonic() < self.due:
            return None
        last, self._last = self._last, None
        return last
