"""Notices: the followers of a channel are told about its events by the hub.

Tango's threads would need the GIL for thousands of followers, while the hub waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from mtango_gevent.control.calls import Concurrency

# Followers that are told before the hub serves others; each needs a microsecond or two.
_AT_A_TIME = 200


class Follower(Protocol):
    def on_event(self) -> None:
        """Learn that the channel may have an event, or is retired; called in any thread."""


class Channel(Protocol):
    """is_noted: whether its followers are about to be told."""

    is_noted: bool

    def followers(self) -> list[Follower]: ...


class Notices:
    """Tells followers about events: some at a time in the hub, or at once where there is no hub."""

    def __init__(self, concurrency: Concurrency) -> None:
        self._concurrency = concurrency
        self._due: deque[Channel] = deque()
        self._turn: Iterator[Follower] = iter(())  # the rest of the followers of a channel
        self._scheduled = False

    def post(self, channel: Channel) -> None:
        """Tell the followers of a channel that it may have an event; called in any thread."""
        loop = self._concurrency.loop
        if loop is None:
            for follower in channel.followers():
                follower.on_event()
            return
        if channel.is_noted:
            return
        channel.is_noted = True
        self._due.append(channel)
        if not self._scheduled:
            self._scheduled = True
            loop.run_callback_threadsafe(self._tell_some)

    def _tell_some(self) -> None:
        self._scheduled = False  # before looking: a later notice is either seen here or schedules this again
        told = 0
        while told < _AT_A_TIME:
            for follower in self._turn:
                follower.on_event()
                told += 1
                if told == _AT_A_TIME:
                    break
            else:
                if not self._due:
                    return
                channel = self._due.popleft()
                channel.is_noted = False  # before the followers look: they see a later event, or are told of it
                self._turn = iter(channel.followers())
                told += 1
        self._scheduled = True
        self._concurrency.loop.run_callback(self._tell_some)
