"""A feed: the events of one source for a stream, with its wish for fewer of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

from mtango_gevent.control.events.admission import GivenUp, Turn
from mtango_gevent.control.events.buffer import Cursor, Event
from mtango_gevent.control.events.listener import Listener
from mtango_gevent.control.events.overtaken import Overtaken
from mtango_gevent.control.events.silence import exceeds, is_unreachable
from mtango_gevent.control.events.source import Source
from mtango_gevent.errors import DevFailed, as_failure, in_one_line

logger = logging.getLogger(__name__)

# Seconds after which a source that could not be subscribed to is tried again, at first and at most.
_FIRST_RETRY, _LAST_RETRY = 1.0, 10.0


class Filter(NamedTuple):
    """Which events a client wants. Failures, and values with another quality than before, pass the deadband.

    max_hz: how often per second it wants some; deadband: how far a value must be from the last one that was sent;
    latest: whether the last event is enough, in place of all that have arrived since.
    """

    max_hz: float | None = None
    deadband: float | None = None
    latest: bool = False


ALL = Filter()


class Record(NamedTuple):
    """An event for a client.

    missed: events before it that a slow client does not get; None if some may have been lost, as while the device was
    out of reach.
    """

    feed: Feed
    event: Event
    missed: int | None


class FeedStream(Protocol):
    """The stream of a feed. guard: held for a moment, for what a feed has to do at once."""

    guard: threading.Lock

    def note_ready(self, feed: Feed) -> None:
        """Note that a feed may have a record; called from any thread."""

    def note_later(self, feed: Feed, due: float) -> None:
        """Note that a feed may have a record at that time, of time.monotonic()."""

    def return_place(self) -> None:
        """Note that a feed has ended and listens no more."""

    def spawn(self, function: Callable[[], None]) -> None:
        """Run `function` in the background."""


class Feed:
    """One source of a stream. key: what the client calls it; since: seconds since the epoch.

    sent: records; dropped: events that the client was too slow for.
    listen: called with the keyword `turn`, returns a new listener, from the last event on. Raises DevFailed. It waits
    for Tango.
    after: where a client continues that was connected before.
    """

    __slots__ = (
        "_after",
        "_begin_at",
        "_due",
        "_filter",
        "_found",
        "_is_cut",
        "_last",
        "_listen",
        "_listener",
        "_overtaken",
        "_pause",
        "_stream",
        "_turn",
        "_until",
        "dropped",
        "failure",
        "is_ended",
        "key",
        "sent",
        "since",
    )

    def __init__(
        self, stream: FeedStream, key: Hashable, listen: Callable[..., Listener], after: Cursor | None, through: Filter
    ) -> None:
        self.key, self.since = key, time.time()
        self.sent = self.dropped = 0
        self.is_ended = False
        self._is_cut = False  # whether the last record is that the device is out of reach
        self._stream, self._listen, self._after, self._filter = stream, listen, after, through
        self._listener: Listener | None = None
        self._turn: Turn | None = None  # from the call of `listen` until what it found is taken
        self._found: Listener | DevFailed | None = None  # by the last call of `listen`
        self.failure = ""  # the one to listen, of which the client has been told
        self._begin_at, self._pause = 0.0, _FIRST_RETRY
        self._last: Event | None = None  # that was sent, where the filter compares
        self._overtaken: Overtaken | None = None  # if the last one that was sent is a value that was read
        self._due, self._until = 0.0, 0

    @property
    def source(self) -> Source | None:
        """The source, once it is subscribed to."""
        return self._listener.source if self._listener else None

    def begin(self) -> None:
        """Listen, in the background."""
        with self._stream.guard:
            if self.is_ended:
                return
            self._turn = Turn()
        self._stream.spawn(self._find)

    def on_event(self) -> None:
        self._stream.note_ready(self)

    def _find(self) -> None:
        found = None if self.is_ended else self._try_to_listen()
        with self._stream.guard:
            is_ended = self.is_ended
            if not is_ended:
                self._found, found = found, None
        if isinstance(found, Listener):
            found.leave()
        if is_ended:
            self._stream.return_place()
        else:
            self._stream.note_ready(self)

    def _try_to_listen(self) -> Listener | DevFailed | None:
        """Return a listener, or the failure to find one; None if the feed has ended meanwhile."""
        try:
            return self._listen(turn=self._turn)
        except GivenUp:
            return None
        except DevFailed as failure:
            return DevFailed(*failure.args)
        except Exception as error:
            if not self.failure:  # once, although it is tried again
                logger.exception("a feed cannot begin")
            return as_failure(error, "MTANGO_InternalError", "the gateway cannot listen")

    def end(self) -> None:
        """Listen no more."""
        with self._stream.guard:
            self.is_ended = True
            turn = self._turn if self._found is None else None
            ended, self._listener, self._found = (self._listener, self._found), None, None
        for each in ended:
            if isinstance(each, Listener):
                each.leave()
        if turn is not None:
            turn.end()  # `_find` returns the place
        else:
            self._stream.return_place()

    # --- by the greenlet or thread that takes the records of the stream ---

    def take(self) -> Record | None:
        """Return the next record that is there and due, or None."""
        if self._found is not None:
            failure = self._take_found()
            if failure is not None:
                return self._record(failure, 0)
        listener = self._listener
        if listener is None:
            self._begin_when_due()
            return None
        if self._filter.max_hz and not self._is_due(listener):
            return None
        event = self._next(listener) if self._filter is ALL else self._take_filtered(listener)
        if event is None:
            if listener.is_retired:
                self._begin_when_due()
            return None
        missed, listener.lost = listener.lost, 0
        return self._record(event, missed)

    def _next(self, listener: Listener) -> Event | None:
        """Return the next event that is there, without those that a value which was read has overtaken."""
        while (event := listener.take()) is not None:
            if self._overtaken is None or not self._overtaken.includes(event):
                self._overtaken = Overtaken(event) if event.was_read else None
                return event
        overtaken = self._overtaken
        if overtaken is None or not overtaken.has_last:
            return None
        self._stream.note_later(self, overtaken.due)
        return overtaken.take_last()

    def _record(self, event: Event, missed: int | None) -> Record:
        if event.failure is not None:
            self._is_cut = is_unreachable(event)
        elif self._is_cut:
            self._is_cut, missed = False, None
        self.sent += 1
        self.dropped += missed or 0
        return Record(self, event, missed)

    def _take_found(self) -> Event | None:
        """Go on with the new listener, or return the failure to find one, unless the client knows it."""
        with self._stream.guard:
            before, found, self._found, self._turn = self._listener, self._found, None, None
            if isinstance(found, Listener):
                self._listener = found
        if isinstance(found, Listener):
            self._go_on(found, before)
        elif found is not None:
            self._begin_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LAST_RETRY)
            told, self.failure = self.failure, in_one_line(found)
            return Event.of_failure(found) if self.failure != told else None
        return None

    def _go_on(self, listener: Listener, before: Listener | None) -> None:
        self._pause, self.failure = _FIRST_RETRY, ""
        listener.follow_with(self)
        if before is not None:
            listener.succeed(before)
            before.leave()
        elif self._after is not None:
            listener.follow(self._after)

    def _begin_when_due(self) -> None:
        if self._turn is not None:
            return
        if time.monotonic() >= self._begin_at:
            self.begin()
        else:
            self._stream.note_later(self, self._begin_at)

    # --- the filter ---

    def _is_due(self, listener: Listener) -> bool:
        """Return whether `max_hz` allows a record now; a failure after a value is sent at once."""
        if listener.position < self._until or time.monotonic() >= self._due:
            return True
        newest = listener.newest()
        if newest and newest.failure and not (self._last and self._last.failure):
            return True
        self._stream.note_later(self, self._due)
        return False

    def _take_filtered(self, listener: Listener) -> Event | None:
        event = self._next(listener)
        while event is not None:
            if self._filter.latest:
                event = self._skip(listener, event)
            if self._filter.deadband is None or exceeds(self._filter.deadband, self._last, event):
                self._last = event
                self._note_turn(listener)
                return event
            event = self._next(listener)
        return None

    def _skip(self, listener: Listener, event: Event) -> Event:
        """Return the last event that is there. The others count as missed if the client could have had them all."""
        skipped = 0
        while (newer := self._next(listener)) is not None:
            event, skipped = newer, skipped + 1
        if listener.lost is not None and not self._filter.max_hz:
            listener.lost += skipped
        return event

    def _note_turn(self, listener: Listener) -> None:
        """Note when the next records are due. All that are there now are sent together."""
        if self._filter.max_hz and listener.position > self._until:
            self._due = time.monotonic() + 1 / self._filter.max_hz
            self._until = 0 if self._filter.latest else listener.end
