"""A stream: the events of many sources, for one client that stays connected.

The events wait in the buffers of their channels, not in the stream: a slow client loses the oldest ones and is told
how many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

from mtango_gevent.control.calls import Concurrency, NativeLock, Signal
from mtango_gevent.control.events.buffer import Cursor, Event
from mtango_gevent.control.events.channel import Listener
from mtango_gevent.errors import DevFailed

# Seconds after which a source that could not be subscribed to is tried again, at first and at most.
_FIRST_RETRY, _LAST_RETRY = 1.0, 10.0


class Record(NamedTuple):
    """An event for a client. missed: events before it that the client does not get; None if their number is unknown."""

    feed: Feed
    event: Event
    missed: int | None


class Feed:
    """One source of a stream. key: what the client calls it; since: seconds since the epoch.

    listen: returns a new listener, from the last event on. Raises DevFailed. It waits for Tango.
    after: where a client continues that was connected before.
    """

    def __init__(self, stream: Stream, key: Hashable, listen: Callable[[], Listener], after: Cursor | None) -> None:
        self.key, self.since = key, time.time()
        self.sent = self.dropped = 0
        self.is_ended = False
        self._stream, self._listen, self._after = stream, listen, after
        self._listener: Listener | None = None
        self._failure: Event | None = None

    def begin(self) -> None:
        """Listen, in a greenlet or thread of its own, and tell the client about each other failure to do so."""
        pause, told = _FIRST_RETRY, ""
        while not self.is_ended:
            try:
                self._attach(self._listen())
                return
            except DevFailed as failure:
                if str(failure.args) != told:
                    self._failure, told = Event.of_failure(failure), str(failure.args)
                    self._stream.note_ready(self)
            self._stream.concurrency.sleep(pause)
            pause = min(2 * pause, _LAST_RETRY)

    def _attach(self, listener: Listener) -> None:
        if self._after is not None:
            listener.follow(self._after)
        with self._stream.guard:
            ended = self.is_ended
            if not ended:
                self._listener = listener
        if ended:
            listener.leave()
            return
        listener.follow_with(lambda: self._stream.note_ready(self))
        self._stream.note_ready(self)

    def take(self) -> Record | None:
        """Return the next record that is there."""
        failure, self._failure = self._failure, None
        if failure is not None:
            return Record(self, failure, 0)
        listener = self._listener
        event = listener.take() if listener is not None else None
        if listener is None or event is None:
            return None
        missed, listener.lost = listener.lost, 0
        self.sent += 1
        self.dropped += missed or 0
        return Record(self, event, missed)

    def end(self) -> None:
        with self._stream.guard:
            self.is_ended, listener, self._listener = True, self._listener, None
        if listener is not None:
            listener.leave()


class Stream:
    """The feeds of one client.

    One greenlet or thread at a time calls `take`; feeds are added and removed by any.
    """

    def __init__(self, concurrency: Concurrency) -> None:
        self.concurrency = concurrency
        self.feeds: dict[Hashable, Feed] = {}
        self.guard = NativeLock()  # held for dictionary work only
        self.stopping = False
        self._ready: dict[Feed, None] = {}  # in the order in which their events have arrived
        self._signal: Signal | None = None

    def add(self, key: Hashable, listen: Callable[[], Listener], after: Cursor | None = None) -> Feed:
        """Add a feed, which begins in the background."""
        feed = self.feeds[key] = Feed(self, key, listen, after)
        self.concurrency.spawn(feed.begin)
        return feed

    def remove(self, key: Hashable) -> None:
        feed = self.feeds.pop(key)
        feed.end()
        with self.guard:
            self._ready.pop(feed, None)

    def close(self) -> None:
        for key in self.concurrency.in_turns(list(self.feeds)):
            self.remove(key)

    def wake(self) -> None:
        """End the waiting of `take`."""
        with self.guard:
            signal, self._signal = self._signal, None
        if signal is not None:
            signal.set()

    def note_ready(self, feed: Feed) -> None:
        """Note that a feed may have a record; called from any thread."""
        with self.guard:
            self._ready[feed] = None
        self.wake()

    def take(self, seconds: float, most: int = 100) -> list[Record]:
        """Return at most that many records, waiting for the first one; none at the timeout and after `wake`."""
        signal = self.concurrency.signal()
        with self.guard:
            self._signal = signal
        records = self._take_ready(most)
        if not records and signal.wait(seconds):
            records = self._take_ready(most)
        return records

    def _take_ready(self, most: int) -> list[Record]:
        records = list[Record]()
        while len(records) < most:
            with self.guard:
                feed = next(iter(self._ready), None)
                if feed is None:
                    break
                del self._ready[feed]
            while len(records) < most:
                record = feed.take()
                if record is None:
                    break
                records.append(record)
            else:
                self.note_ready(feed)
        return records
