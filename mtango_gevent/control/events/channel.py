"""A channel distributes the events of one source; a listener is one request that follows them."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from types import TracebackType

from cachetools import LRUCache

from mtango_gevent.config import Config
from mtango_gevent.control.calls import NativeLock, Signal
from mtango_gevent.control.events.buffer import Cursor, Event, EventBuffer, microseconds
from mtango_gevent.control.events.source import Source

# Timestamps of answers that a channel remembers, with the positions that they stand for.
_NOTED = 256


class EventCounters:
    """Totals of all channels of a process.

    received: events from Tango; missed: reports of Tango that it has lost events; dropped: events that left the buffer
    before a listener took them.
    """

    def __init__(self) -> None:
        self.received = self.missed = self.dropped = 0
        self._guard = NativeLock()

    def add(self, received: int = 0, missed: int = 0, dropped: int = 0) -> None:
        with self._guard:
            self.received, self.missed = self.received + received, self.missed + missed
            self.dropped += dropped


class Channel:
    """The buffered events of one source, for any number of listeners.

    generation: marks the cursors of this channel. retired: new listeners get another channel.
    make_signal: returns a signal that its caller, greenlet or thread, can wait for.
    """

    def __init__(
        self, source: Source, config: Config, make_signal: Callable[[], Signal], counters: EventCounters
    ) -> None:
        self.source = source
        self.generation = secrets.token_hex(6)
        self.listeners = 0
        self.unheard_since = time.monotonic()
        self.retired = self.stopping = False
        self._buffer = EventBuffer(config.event_buffer, config.event_memory)
        self._guard = NativeLock()  # for the buffer and the listeners; held for dictionary work only
        self._make_signal, self._counters = make_signal, counters
        self._waiting: set[Signal] = set()
        self._followers: dict[Listener, Callable[[], None]] = {}  # which are told about each event
        self._noted: LRUCache[int, int] = LRUCache(_NOTED)
        self._closed = self._gap = False

    # --- for the hub ---

    @property
    def end(self) -> int:
        """The number of the next event."""
        with self._guard:
            return self._buffer.end

    def listen(self, position: int, on_leave: Callable[[], None]) -> Listener | None:
        """Return a listener from event number `position` on, or None if the channel is closed.

        on_leave: called when the listener ends.
        """
        with self._guard:
            if self._closed:
                return None
            self.listeners += 1
        return Listener(self, position, on_leave)

    def is_unheard(self, since: float) -> bool:
        """Return whether there has been no listener since that time (time.monotonic())."""
        return not self.listeners and self.unheard_since <= since

    def close(self) -> bool:
        """Accept no more listeners, unless there are some; return whether the channel is closed."""
        with self._guard:
            self._closed = not self.listeners
            return self._closed

    def stop(self) -> None:
        """End the waiting of all listeners."""
        self.stopping = True
        self._wake()

    # --- for the subscription ---

    def last(self) -> Event | None:
        """Return the last event that is kept."""
        with self._guard:
            return self._buffer.last()

    def _begin_with(self, event: Event) -> bool:
        """Store the value from before the first event, unless an event has arrived; return whether it is stored."""
        with self._guard:
            stored = self._buffer.begin_with(event)
        if stored:
            self._wake()
        return stored

    def _push(self, event: Event) -> None:
        with self._guard:
            self._buffer.append(dataclasses.replace(event, after_gap=True) if self._gap else event)
            self._gap = False
        self._counters.add(received=1)
        self._wake()

    def _miss(self) -> None:
        """Mark the next event: Tango has lost events before it."""
        self._gap = True
        self._counters.add(missed=1)

    def _wake(self) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, set()
            followers = list(self._followers.values())
        for signal in waiting:
            signal.set()
        for notify in followers:
            notify()


class Listener:
    """A position in the events of a channel; a context manager, at whose end it leaves the channel.

    lost: number of events that left the buffer before this listener took them; None if events may have been lost and
    their number is unknown.
    """

    def __init__(self, channel: Channel, position: int, on_leave: Callable[[], None]) -> None:
        self._channel = channel
        self._position = position
        self._on_leave = on_leave
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
        with self._channel._guard:
            self._channel._followers.pop(self, None)
            self._channel.listeners -= 1
            self._channel.unheard_since = time.monotonic()
        self._on_leave()

    def follow_with(self, notify: Callable[[], None]) -> None:
        """Have `notify` called in any thread after each event, which `take` then returns."""
        with self._channel._guard:
            self._channel._followers[self] = notify

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
