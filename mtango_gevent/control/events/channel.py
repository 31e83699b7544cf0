"""A channel: the events of one source that have come, and the requests that listen to them."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from mtango_gevent.control.calls import Signal
from mtango_gevent.control.events.buffer import Event, EventBuffer
from mtango_gevent.control.events.listener import Listener
from mtango_gevent.control.events.source import Source

if TYPE_CHECKING:
    from mtango_gevent.control.events.hub import EventHub

# Timestamps of answers that are remembered, with the positions that they stand for.
_NOTED = 256


class Channel:
    """generation: marks the cursors of this channel. retired: new listeners get another channel."""

    def __init__(self, hub: EventHub, source: Source) -> None:
        self.source = source
        self.buffer = EventBuffer(hub.config.event_buffer, hub.config.event_memory)
        self.generation = secrets.token_hex(6)
        self.listeners = 0
        self.unheard_since = time.monotonic()
        self.retired = False
        self._hub = hub
        self._waiting: set[Signal] = set()
        self._noted: OrderedDict[int, int] = OrderedDict()
        self._ended = self._gap = False

    def listen(self, position: int) -> Listener | None:
        """Listen from event number `position` on; None when the channel has ended."""
        with self._hub.guard:
            if self._ended:
                return None
            self.listeners += 1
            self._hub.listeners += 1
        return Listener(self._hub, self, position)

    def leave(self) -> None:
        with self._hub.guard:
            self.listeners -= 1
            self._hub.listeners -= 1
            self._hub.places -= 1
            self.unheard_since = time.monotonic()

    def is_unheard(self, since: float) -> bool:
        """Whether no request has listened since that time (time.monotonic())."""
        return not self.listeners and self.unheard_since <= since

    def take(self, listener: Listener, signal: Signal) -> Event | None:
        """The next event of a listener; without one, `signal` tells when to ask again."""
        with self._hub.guard:
            event = listener.take(self.buffer)
            if event is None:
                self._waiting.add(signal)
            return event

    def kept(self, number: int) -> Event | None:
        """The event of that number, if it is kept."""
        with self._hub.guard:
            return self.buffer[number] if self.buffer.first <= number < self.buffer.end else None

    def forget(self, signal: Signal) -> None:
        with self._hub.guard:
            self._waiting.discard(signal)

    def wake(self) -> None:
        """Wake all listeners that wait."""
        with self._hub.guard:
            waiting, self._waiting = self._waiting, set()
        for signal in waiting:
            signal.set()

    def note(self, timestamp: int, position: int) -> None:
        """Remember the position of a client that was answered with a timestamp."""
        with self._hub.guard:
            self._noted[timestamp] = position
            self._noted.move_to_end(timestamp)
            if len(self._noted) > _NOTED:
                self._noted.popitem(last=False)

    def noted(self, timestamp: int) -> int | None:
        with self._hub.guard:
            return self._noted.get(timestamp)

    def _begin_with(self, event: Event) -> bool:
        """Keep the value that was there before any event, unless an event has come already; return whether it is."""
        with self._hub.guard:
            first = self.buffer.begin_with(event)
        if first:
            self.wake()
        return first

    def _push(self, event: Event) -> None:
        with self._hub.guard:
            self.buffer.append(dataclasses.replace(event, after_gap=True) if self._gap else event)
            self._gap = False
            self._hub.received += 1
        self.wake()

    def _miss(self) -> None:
        """Events have been lost on their way."""
        with self._hub.guard:
            self._gap = True
            self._hub.missed += 1
