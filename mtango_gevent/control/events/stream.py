"""A stream: the events of many sources, for one client that stays connected.

The events wait in the buffers of their channels, not in the stream: a slow client loses the oldest ones and is told
how many.
"""

from __future__ import annotations

import heapq
import secrets
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

from mtango_gevent.control.calls import Concurrency, NativeLock, Signal
from mtango_gevent.control.events.buffer import Cursor
from mtango_gevent.control.events.feed import ALL, Feed, Filter, Record
from mtango_gevent.control.events.listener import Listener

# Bytes of values that are taken at a time: as text they are several times as long.
_BYTES = 256 << 10

# Timers that are out of date and kept for a while, so that few feeds do not have them dropped all the time.
_SPARE_TIMERS = 100


class StreamClient(NamedTuple):
    """The client of a stream. transport: `sse` or `websocket`; user: empty if anonymous."""

    transport: str = ""
    user: str = ""
    address: str = ""

    @property
    def owner(self) -> str:
        """The user, or the address of an anonymous one, whose streams are counted together."""
        return f"user {self.user}" if self.user else f"address {self.address}"


NOBODY = StreamClient()


class Registry(Protocol):
    """Where a stream and its feeds are counted."""

    def take_place(self, stream: Stream) -> None:
        """Count a further feed of a stream. Raises DevFailed, MTANGO_TooManyItems."""

    def return_place(self, stream: Stream) -> None:
        """Count a feed of a stream less."""

    def remove(self, stream: Stream) -> None:
        """Count a closed stream no more."""


class StreamClosed(Exception):
    """A feed cannot be added, as its stream is closed."""


class Stream:
    """The feeds of one client.

    One greenlet or thread at a time calls `take`; feeds are added and removed by any.
    stopping: the gateway stops, and the client is to connect again. since: seconds since the epoch.
    places: feeds that the registry has counted, with those that have ended and still wait for Tango.
    sent: records that were taken; dropped: events that the client was too slow for.
    """

    __slots__ = (
        "_is_woken",
        "_later",
        "_noted",
        "_ready",
        "_room",
        "_signal",
        "_timers",
        "client",
        "closed",
        "concurrency",
        "dropped",
        "feeds",
        "guard",
        "id",
        "places",
        "registry",
        "sent",
        "since",
        "stopping",
    )

    def __init__(
        self, concurrency: Concurrency, client: StreamClient = NOBODY, registry: Registry | None = None
    ) -> None:
        self.concurrency, self.client, self.registry = concurrency, client, registry
        self.id, self.since = secrets.token_hex(8), time.time()
        self.sent = self.dropped = self.places = 0
        self.feeds: dict[Hashable, Feed] = {}
        self.guard = NativeLock()  # held for dictionary work only
        self.stopping = self.closed = False
        self._ready: dict[Feed, float] = {}  # since when by time.monotonic(), in that order
        self._later: dict[Feed, float] = {}  # when they may have a record, by time.monotonic()
        self._timers: list[tuple[float, int, Feed]] = []  # a heap of these, with some that are out of date
        self._noted = 0  # timers, which are told apart by this number
        self._signal: Signal | None = None
        self._is_woken = False
        self._room = 0  # bytes that `take` may still take

    def add(
        self, key: Hashable, listen: Callable[..., Listener], after: Cursor | None = None, through: Filter = ALL
    ) -> Feed:
        """Add a feed, in place of one with the same key. It begins in the background.

        after: where a client continues that was connected before; through: which events it wants.
        listen: see Feed. Raises DevFailed, MTANGO_TooManyItems, and StreamClosed.
        """
        if key in self.feeds:
            self.remove(key)
        if self.registry:
            self.registry.take_place(self)
        feed = Feed(self, key, listen, after, through)
        with self.guard:
            is_closed = self.closed
            if not is_closed:
                self.feeds[key] = feed
        if is_closed:
            self.return_place()
            raise StreamClosed
        feed.begin()
        return feed

    def remove(self, key: Hashable) -> None:
        """End a feed. Records that have been taken are not affected. Raises KeyError."""
        feed = self.feeds.pop(key)
        feed.end()
        with self.guard:
            self._ready.pop(feed, None)
            self._later.pop(feed, None)
            self._drop_timers()

    def close(self) -> None:
        """End all feeds, and take no more. A stream may be closed several times."""
        with self.guard:
            self.closed = True
        if self.registry:
            self.registry.remove(self)
        for key in self.concurrency.in_turns(list(self.feeds)):
            if key in self.feeds:
                self.remove(key)

    def stop(self) -> None:
        """Have the client connect again, elsewhere."""
        self.stopping = True
        self.wake()

    def wake(self) -> None:
        """End the waiting of `take`, or its next one."""
        with self.guard:
            self._is_woken = True
        self._set_signal()

    def take(self, seconds: float, most: int = 100) -> list[Record]:
        """Return at most that many records, waiting for the first one; none at the timeout and after `wake`.

        Large values are taken a few at a time. Other greenlets run meanwhile, also where there always is a record.
        """
        until = time.monotonic() + seconds
        if self._ready:
            signal = self.concurrency.stream_signal()
            signal.set()
            signal.wait(None)
        while True:
            now = time.monotonic()
            records = self._take_ready(now, most)
            if records or self._is_woken or now >= until:
                self._is_woken = False
                self.sent += len(records)
                return records
            self._wait(min(until, next(iter(self._timers), (until,))[0]) - now)

    @property
    def lag(self) -> float:
        """Seconds for which the oldest record has been waiting to be taken."""
        with self.guard:
            since = next(iter(self._ready.values()), None)
        return 0.0 if since is None else time.monotonic() - since

    # --- for the feeds ---

    def note_ready(self, feed: Feed) -> None:
        with self.guard:
            if not feed.is_ended:
                self._ready.setdefault(feed, time.monotonic())
        self._set_signal()

    def note_later(self, feed: Feed, due: float) -> None:
        with self.guard:
            if not feed.is_ended and due < self._later.get(feed, due + 1):
                self._later[feed] = due
                self._noted += 1
                heapq.heappush(self._timers, (due, self._noted, feed))
                self._drop_timers()

    def return_place(self) -> None:
        if self.registry:
            self.registry.return_place(self)

    def spawn(self, function: Callable[[], None]) -> None:
        self.concurrency.spawn(function)

    def _drop_timers(self) -> None:
        """Drop the timers that are out of date once they are the most. The caller holds the guard."""
        if len(self._timers) > 2 * len(self._later) + _SPARE_TIMERS:
            self._timers = [timer for timer in self._timers if self._later.get(timer[2]) == timer[0]]
            heapq.heapify(self._timers)

    # --- for `take` ---

    def _set_signal(self) -> None:
        signal = self._signal
        if signal is not None:
            signal.set()

    def _wait(self, seconds: float) -> None:
        self._signal = signal = self.concurrency.stream_signal()
        if not self._ready and not self._is_woken:  # else a thread has found no signal to set
            signal.wait(seconds)
        self._signal = None

    def _take_ready(self, now: float, most: int) -> list[Record]:
        self._take_timers(now)
        self._room = _BYTES
        records = list[Record]()
        while len(records) < most and self._room > 0:
            with self.guard:
                feed = next(iter(self._ready), None)
                if feed is None:
                    break
                del self._ready[feed]
            if not self._take_of(feed, records, most):
                self.note_ready(feed)
        return records

    def _take_of(self, feed: Feed, records: list[Record], most: int) -> bool:
        """Take the records of a feed; return whether these are all."""
        while len(records) < most and self._room > 0:
            record = feed.take()
            if record is None:
                return True
            records.append(record)
            self._room -= record.event.size
            self.dropped += record.missed or 0
        return False

    def _take_timers(self, now: float) -> None:
        """Make ready the feeds that are due."""
        while True:
            with self.guard:
                if not self._timers or self._timers[0][0] > now:
                    return
                due, _, feed = heapq.heappop(self._timers)
                if self._later.get(feed) == due:
                    del self._later[feed]
                    self._ready.setdefault(feed, now)
