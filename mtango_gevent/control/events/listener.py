"""A listener is a position in the events of a channel: that of one request, or of one feed of a stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from mtango_gevent.control.events.buffer import Cursor, Event, EventBuffer, microseconds
from mtango_gevent.control.events.channel import Channel
from mtango_gevent.control.events.notices import Follower
from mtango_gevent.control.events.silence import differ
from mtango_gevent.control.events.source import Source


class Listener:
    """A position in the events of a channel; a context manager, at whose end it leaves the channel.

    linger: seconds for which the channel is kept when the listener has left; on_leave: called then.
    lost: number of events that left the buffer before this listener took them; None if events may have been lost and
    their number is unknown.
    """

    __slots__ = ("_channel", "_followed", "_follower", "_linger", "_on_leave", "_position", "_seek", "lost")

    def __init__(self, channel: Channel, position: int, linger: float, on_leave: Callable[[], None]) -> None:
        self._channel = channel
        self._position = position
        self._linger = linger
        self._on_leave = on_leave
        self._follower: Follower | None = None
        self._seek: Callable[[EventBuffer], int] | None = None  # finds the position once an event has arrived
        self._followed: Cursor | None = None
        self.lost: int | None = 0

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """End listening."""
        self._channel.leave(self._linger, self._follower)
        self._on_leave()

    def follow_with(self, follower: Follower) -> None:
        """Have `follower` told about each event, which `take` then returns."""
        self._follower = follower
        self._channel.follow(follower)

    @property
    def is_retired(self) -> bool:
        """Whether a new listener would get another channel, or this one's failure."""
        return self._channel.retired

    def take(self) -> Event | None:
        """Return the next event that is there, or None."""
        with self._channel._guard:
            return self._take(self._channel._buffer)

    @property
    def stopping(self) -> bool:
        """Whether waiting is over because the gateway stops."""
        return self._channel.stopping

    @property
    def source(self) -> Source:
        return self._channel.source

    @property
    def attribute(self) -> str:
        """The name of the attribute in the device's spelling."""
        return self._channel.source.attribute

    @property
    def cursor(self) -> Cursor:
        """Where the client's next request is to continue."""
        if self._seek:  # still unknown, as no event has arrived
            return self._followed or Cursor(self._channel.generation, 0, microseconds(), 0)
        with self._channel._guard:
            event = self._channel._buffer.get(self._position - 1)
        came, mark = (event.came, event.mark) if event else (microseconds(), 0)
        return Cursor(self._channel.generation, self._position, came, mark)

    def go_behind(self, time: int, unit: int) -> None:
        """Continue behind the answer with that timestamp, else behind the last older event.

        time: in units of `unit` milliseconds. A timestamp that was answered here (`note`) stands for the position of
        its client, whatever the device's clock says.
        """
        with self._channel._guard:
            noted = self._channel._noted.get(time)
        if noted is None:
            self._seek = lambda buffer: buffer.behind(time, unit)
        else:
            self._position = noted

    def note(self, timestamp: int) -> None:
        """Remember that a client with that timestamp has received all events until here."""
        with self._channel._guard:
            self._channel._noted[timestamp] = self._position

    def follow(self, cursor: Cursor) -> None:
        """Continue behind a cursor: exactly, if it is of this channel or its event is kept here too.

        Otherwise continue with the events that have arrived since, and report that events may have been lost.
        """
        if cursor.generation == self._channel.generation:
            self._position = min(cursor.number, self._channel.end)
            return

        def seek(buffer: EventBuffer) -> int:
            same = buffer.same_event(cursor)
            if same is not None:
                return same + 1
            self.lost = None
            return buffer.after(cursor.came)

        self._seek, self._followed = seek, cursor

    def resume(self, came: int | None, time: int) -> None:
        """Continue behind the last event that a client has received, but with the last one that is kept at least.

        came: its arrival, in microseconds since the epoch; None if unknown, then `time` tells, in milliseconds.
        """

        def seek(buffer: EventBuffer) -> int:
            return min(buffer.end - 1, buffer.behind(time, 1) if came is None else buffer.after(came))

        self._seek = seek

    def succeed(self, before: Listener) -> None:
        """Continue where a listener to another channel of the source has ended, which has had all events until now.

        The value from before the first event is none that has to follow, unless it differs.
        """
        last = before.last()
        self.follow(before.cursor)
        seek = self._seek
        if seek is None:
            return

        def seek_new(buffer: EventBuffer) -> int:
            number = seek(buffer)
            if last is None or last.item is None:
                return number
            self.lost = 0
            first = buffer.get(number)
            repeated = number == 0 and first is not None and not differ(self._channel.source.kind, last, first)
            return number + repeated

        self._seek = seek_new

    @property
    def position(self) -> int:
        """The number of the next event."""
        return self._position

    @property
    def end(self) -> int:
        """The number of the next event that arrives."""
        return self._channel.end

    def newest(self) -> Event | None:
        """Return the last event that has arrived."""
        return self._channel.last()

    def last(self) -> Event | None:
        """Return the last event that was taken, while it is kept."""
        with self._channel._guard:
            return self._channel._buffer.get(self._position - 1)

    def _take(self, buffer: EventBuffer) -> Event | None:
        """Return the next event that is kept, or None; the caller holds the channel's lock."""
        if self._seek and buffer:
            self._position, self._seek = self._seek(buffer), None
        if self._seek or self._position >= buffer.end or not buffer:
            return None
        dropped = max(0, buffer.first - max(self._position, buffer.origin))
        if dropped:
            self._channel._counters.add(dropped=dropped)
        self._position = max(self._position, buffer.first)
        event = buffer[self._position]
        self._position += 1
        self.lost = None if event.after_gap or self.lost is None else self.lost + dropped
        return event

    def next(self, seconds: float) -> Event | None:
        """Wait for the next event; return None if none arrives within that time or before the gateway stops."""
        until, channel = time.monotonic() + seconds, self._channel
        while True:
            signal = channel._make_signal()
            with channel._guard:
                event = self._take(channel._buffer)
                if event is not None:
                    return event
                channel._waiting.add(signal)
            try:
                if self.stopping or not signal.wait(until - time.monotonic()):
                    return None
            finally:
                with channel._guard:
                    channel._waiting.discard(signal)
