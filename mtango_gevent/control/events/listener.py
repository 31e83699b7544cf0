"""A listener: one request that follows the events of a channel."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from mtango_gevent.control.events.buffer import Event, EventBuffer
from mtango_gevent.control.events.cursor import Cursor, microseconds

if TYPE_CHECKING:
    from mtango_gevent.control.events.channel import Channel
    from mtango_gevent.control.events.hub import EventHub


class Listener:
    """A position in the events of a channel; a context manager, at whose end it stops to listen.

    lost: number of events that were not kept until this listener came to them; None where events may have been lost
    and it is not known how many. `position` may also be found in the buffer (`seek`) once something has come.
    """

    def __init__(self, hub: EventHub, channel: Channel, position: int) -> None:
        self._hub = hub
        self._channel = channel
        self._position = position
        self._seek: Callable[[EventBuffer], int] | None = None
        self._followed: Cursor | None = None
        self.lost: int | None = 0

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.leave()

    @property
    def stopping(self) -> bool:
        """Whether waiting is over because the server stops."""
        return self._hub.stopping

    @property
    def attribute(self) -> str:
        """The name of the attribute in the device's spelling."""
        return self._channel.source.attribute

    @property
    def cursor(self) -> Cursor:
        """Where the next listener is to continue."""
        if self._seek:  # still unknown, as nothing has come
            return self._followed or Cursor(self._channel.generation, 0, microseconds(), 0)
        event = self._channel.kept(self._position - 1)
        came, mark = (event.came, event.mark) if event else (microseconds(), 0)
        return Cursor(self._channel.generation, self._position, came, mark)

    def go_behind(self, time: int, unit: int) -> None:
        """Go behind the answer with that timestamp, in units of so many milliseconds, or else to the first newer event.

        A timestamp that was answered here (`note`) says where its client has come to, whatever the device's clock says.
        """
        noted = self._channel.noted(time)
        if noted is None:
            self._seek = lambda buffer: buffer.behind(time, unit)
        else:
            self._position = noted

    def note(self, timestamp: int) -> None:
        """Remember that a client with that timestamp has had all until here."""
        self._channel.note(timestamp, self._position)

    def follow(self, cursor: Cursor) -> None:
        """Continue behind a cursor: exactly, where it is of this channel or its event is kept here too.

        Else continue with what has arrived since, and say that events may have been lost.
        """
        if cursor.generation == self._channel.generation:
            self._position = min(cursor.number, self._channel.buffer.end)
            return

        def seek(buffer: EventBuffer) -> int:
            same = buffer.same_event(cursor)
            if same is not None:
                return same + 1
            self.lost = None
            return buffer.after(cursor.came)

        self._seek, self._followed = seek, cursor

    def take(self, buffer: EventBuffer) -> Event | None:
        """Guarded. The next event that is kept, if there is one."""
        if self._seek and buffer:
            self._position, self._seek = self._seek(buffer), None
        if self._seek or self._position >= buffer.end or not buffer:
            return None
        gone = max(0, buffer.first - max(self._position, buffer.origin))
        self._hub.dropped += gone
        if self.lost is not None:
            self.lost += gone
        self._position = max(self._position, buffer.first)
        event = buffer[self._position]
        self._position += 1
        if event.after_gap:
            self.lost = None
        return event

    def next(self, seconds: float) -> Event | None:
        """Return the next event; None if there is none within that time, or before the server stops."""
        until = time.monotonic() + seconds
        while True:
            signal = self._hub.concurrency.signal()
            event = self._channel.take(self, signal)
            if event is not None:
                return event
            try:
                if self._hub.stopping or not signal.wait(until - time.monotonic()):
                    return None
            finally:
                self._channel.forget(signal)
