"""Notices: the followers of a channel are told about its events by the hub.

Tango's threads would need the GIL for thousands of followers, while the hub waits for it. The first event is told at
once and those after it a little later, together: if each event woke the hub, it and the thread that receives the events
would wait for the GIL in turn.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from mtango_gevent.control.calls import Concurrency

logger = logging.getLogger(__name__)

# Followers that are told before the hub serves others; each needs a microsecond or two.
_AT_A_TIME = 200

# Seconds in which the events that follow are collected.
_COLLECTING = 0.005


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
        self._scheduled = False  # whether the hub is about to look whether followers are to be told
        self._timer: Any = None  # a new one each time: gevent's timer fires at once if it is started a second time

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
        try:
            told = self._tell(_AT_A_TIME)
        except Exception:  # the others would not be told of this event, nor any follower of a later one
            logger.exception("a follower of events failed")
            told = _AT_A_TIME
        if told < _AT_A_TIME:
            self._collect(told)
        else:
            self._concurrency.loop.run_callback(self._tell_some)

    def _tell(self, most: int) -> int:
        """Tell at most so many followers, each channel counted as one more; return how many, fewer at the end."""
        told = 0
        while told < most:
            for follower in self._turn:
                follower.on_event()
                told += 1
                if told == most:
                    return told
            if not self._due:
                return told
            channel = self._due.popleft()
            channel.is_noted = False  # before the followers look: they see a later event, or are told of it
            self._turn = iter(channel.followers())
            told += 1
        return told

    def _collect(self, told: int) -> None:
        """Look again a little later, unless nothing has come for that long."""
        if told:
            self._timer = self._concurrency.loop.timer(_COLLECTING)
            self._timer.start(self._tell_some, update=True)
            return
        self._timer, self._scheduled = None, False
        if self._due:  # a thread has found it scheduled, and posted after the look
            self._scheduled = True
            self._concurrency.loop.run_callback(self._tell_some)
