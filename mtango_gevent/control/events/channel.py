"""A channel distributes the events of one source."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable

from cachetools import LRUCache

from mtango_gevent.config import Config
from mtango_gevent.control.calls import NativeLock, Signal
from mtango_gevent.control.events.buffer import Event, EventBuffer
from mtango_gevent.control.events.notices import Follower, Notices
from mtango_gevent.control.events.source import Source

# Timestamps of answers that a channel remembers, with the positions that they stand for.
_NOTED = 256

# Seconds for which a new channel is kept without a listener: the request that made it is about to listen.
_FIRST_LINGER = 5.0


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
    make_signal: returns a signal that its caller, greenlet or thread, can wait for. length: returns how many events are
    to be kept.
    """

    def __init__(
        self,
        source: Source,
        config: Config,
        make_signal: Callable[[], Signal],
        counters: EventCounters,
        notices: Notices,
        length: Callable[[], int],
    ) -> None:
        self.source = source
        self.generation = secrets.token_hex(6)
        self.listeners = 0
        self.unheard_since = time.monotonic()
        self.kept_until = self.unheard_since + _FIRST_LINGER
        self.retired = self.stopping = False
        self._buffer = EventBuffer(length(), config.event_memory)
        self._length = length
        self._guard = NativeLock()  # for the buffer and the listeners; held for dictionary work only
        self._make_signal, self._counters, self._notices = make_signal, counters, notices
        self._waiting: set[Signal] = set()
        self._followers = dict[Follower, None]()
        self._noted: LRUCache[int, int] = LRUCache(_NOTED)
        self._closed = self._gap = self._entered = False
        self.is_noted = False  # whether the followers are about to be told of events

    # --- for the hub ---

    @property
    def end(self) -> int:
        """The number of the next event."""
        with self._guard:
            return self._buffer.end

    def enter(self) -> bool:
        """Count a listener, unless the channel is closed; return whether it is counted."""
        with self._guard:
            if not self._closed and not self._entered:
                self._entered, self.kept_until = True, 0.0
            self.listeners += not self._closed
            return not self._closed

    def leave(self, linger: float, follower: Follower | None) -> None:
        """Count a listener that has left. linger: seconds for which the channel is kept for another one."""
        with self._guard:
            if follower:
                self._followers.pop(follower, None)
            self.listeners -= 1
            self.unheard_since = time.monotonic()
            self.kept_until = max(self.kept_until, self.unheard_since + linger)

    def follow(self, follower: Follower) -> None:
        """Have `follower` told about each event from now on."""
        with self._guard:
            self._followers[follower] = None

    def followers(self) -> list[Follower]:
        with self._guard:
            return list(self._followers)

    def is_unheard(self, since: float) -> bool:
        """Return whether there has been no listener since that time (time.monotonic())."""
        return not self.listeners and self.unheard_since <= since

    def is_over(self) -> bool:
        """Return whether there is no listener, and none is waited for any more."""
        return not self.listeners and self.kept_until <= time.monotonic()

    def retire(self) -> None:
        """Have new listeners get another channel, and followers move there."""
        self.retired = True
        self._wake()

    def close(self) -> bool:
        """Accept no more listeners, unless there are some; return whether the channel is closed."""
        with self._guard:
            self._closed = not self.listeners
            return self._closed

    def stop(self) -> None:
        """End the waiting of all listeners."""
        self.stopping = True
        self._wake()

    def arrival(self, time: int) -> int | None:
        """Return when the first kept event with that time arrived; see EventBuffer."""
        with self._guard:
            return self._buffer.arrival(time)

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
            self._buffer.length = self._length()
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
        for signal in waiting:
            signal.set()
        if self._followers:
            self._notices.post(self)
