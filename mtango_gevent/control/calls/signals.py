"""Signals that a greenlet or a thread waits for, set from any thread."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from gevent.event import Event

from mtango_gevent.control.calls.native import NativeEvent

# Greenlets that are woken at a time: hundreds may wait for one event, and the hub serves others in between.
WOKEN_AT_A_TIME = 8

# The same for streams, each of which may have a hundred records to send.
STREAMS_AT_A_TIME = 2


class Signal(Protocol):
    def set(self) -> None:
        """Wake the waiting greenlet or thread."""

    def wait(self, seconds: float | None) -> bool:
        """Return whether it was set within that time; None waits without limit."""
        ...


class ThreadSignal:
    """A signal for a thread."""

    def __init__(self) -> None:
        self._event = NativeEvent()
        self.set = self._event.set

    def wait(self, seconds: float | None) -> bool:
        return self._event.wait(_not_negative(seconds))


class GreenletSignal:
    """A signal for a greenlet of the hub that `waker` serves."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self._event = Event()

    def set(self) -> None:
        self._waker.wake(self._event)

    def wait(self, seconds: float | None) -> bool:
        return bool(self._event.wait(_not_negative(seconds)))


class Waker:
    """Sets the events of one hub's greenlets, a few at a time."""

    def __init__(self, loop: Any, at_a_time: int) -> None:
        self._loop, self._at_a_time = loop, at_a_time
        self._due: deque[Event] = deque()
        self._scheduled = False

    def wake(self, event: Event) -> None:
        """Set `event` in the hub; called from any thread."""
        self._due.append(event)
        if not self._scheduled:
            self._scheduled = True
            self._loop.run_callback_threadsafe(self._wake_some)

    def _wake_some(self) -> None:
        self._scheduled = False  # before looking: a later event is either seen here or schedules this again
        for _ in range(min(self._at_a_time, len(self._due))):
            self._due.popleft().set()
        if self._due:
            self._scheduled = True
            self._loop.run_callback(self._wake_some)


def _not_negative(seconds: float | None) -> float | None:
    return None if seconds is None else max(0.0, seconds)
