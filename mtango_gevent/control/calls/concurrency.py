"""Spawn, sleep and signal: with greenlets in the worker's hub, with native threads where there is no hub."""

from __future__ import annotations

import contextlib
import contextvars
import heapq
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import gevent
import tango
from gevent._hub_local import get_hub_if_exists  # the public get_hub() would make one

from mtango_gevent.control.calls.native import get_ident, sleep, start_thread
from mtango_gevent.control.calls.signals import (
    STREAMS_AT_A_TIME,
    WOKEN_AT_A_TIME,
    GreenletSignal,
    Signal,
    ThreadSignal,
    Waker,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

# Items after which other greenlets run: each may need 50 us.
_IN_ONE_TURN = 20

# Items that are sorted at a time, in 20 us.
_SORTED_AT_A_TIME = 100

# Seconds: after `sleep(0)` gevent goes on up to 50 times before it looks for I/O.
_A_MOMENT = 1e-6

# How often this process has been forked from another one, since threads do not survive a fork.
_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class Concurrency:
    """The concurrency of one application: the hub whose greenlets it serves, or plain threads.

    The hub is that of the first greenlet that asks, and is looked for again after a fork. The thread is known by its
    native id: PyTango's own executor compares patched ids, which differ for each greenlet.
    """

    def __init__(self) -> None:
        self.loop: Any = None
        self._home: tuple[int, int] | None = None  # (native thread id, forks) of the hub
        self._waker: Waker | None = None
        self._stream_waker: Waker | None = None
        self._on_start: list[Callable[[], None]] = []

    def on_start(self, function: Callable[[], None]) -> None:
        """Have `function` called in the hub before it is used first, and again after a fork."""
        self._on_start.append(function)

    def in_hub(self) -> bool:
        """Return whether the caller is a greenlet of the hub."""
        here = get_ident(), _forks
        if here == self._home:
            return True
        if (self._home is not None and self._home[1] == here[1]) or get_hub_if_exists() is None:
            return False
        self._home, self.loop = here, gevent.get_hub().loop
        self._waker = Waker(self.loop, WOKEN_AT_A_TIME)
        self._stream_waker = Waker(self.loop, STREAMS_AT_A_TIME)
        for function in self._on_start:
            function()
        return True

    def spawn(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run `function` in a new greenlet; in a new thread where there is no hub. Raises RuntimeError without one."""
        if self.in_hub():
            gevent.spawn(_run, function, *arguments)
        else:
            start_thread(_run_in_thread, (function, *arguments))

    def spawn_later(self, seconds: float, function: Callable[..., object], *arguments: Any) -> Callable[[], None]:
        """Run `function` in a new greenlet after that time; return a function that cancels that until then.

        The caller is a greenlet of the hub.
        """
        timer = self.loop.timer(seconds)
        timer.start(self.spawn, function, *arguments)
        return timer.close

    def call_within(self, seconds: float, function: Callable[[], T]) -> T:
        """Return what `function` returns. Raises TimeoutError after that time, except in a thread."""
        if not self.in_hub():
            return function()
        timer = gevent.Timeout.start_new(seconds)
        try:
            return function()
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            raise TimeoutError from None
        finally:
            timer.close()

    def sleep(self, seconds: float) -> None:
        """Suspend the calling greenlet or thread."""
        (gevent.sleep if self.in_hub() else sleep)(seconds)

    def in_turns(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items that each need some work, and let other greenlets run from time to time."""
        for number, item in enumerate(items, 1):
            yield item
            if number % _IN_ONE_TURN == 0:
                self.sleep(_A_MOMENT)

    def sorted_in_turns(self, items: Iterable[T], key: Callable[[T], Any]) -> list[T]:
        """Return the items sorted by `key`, as `sorted` does, and let other greenlets run from time to time."""
        unsorted = list(items)
        starts = self.in_turns(range(0, len(unsorted), _SORTED_AT_A_TIME))
        parts = [sorted(unsorted[start : start + _SORTED_AT_A_TIME], key=key) for start in starts]
        return list(self.in_turns(heapq.merge(*parts, key=key)))

    def at_once(self, function: Callable[[T], R], items: Sequence[T], most: int) -> list[R]:
        """Return what `function` returns for each item, called in `most` greenlets or threads at a time.

        Each has a copy of the caller's context. The first exception of `function` is raised when all calls have ended.
        """
        results: dict[int, R] = {}
        failures: dict[int, Exception] = {}
        left = enumerate(items)

        def work(end: Signal | None = None) -> None:
            try:
                for number, item in left:
                    try:
                        results[number] = function(item)
                    except Exception as error:
                        failures[number] = error
            finally:
                if end is not None:
                    end.set()

        ends = []
        with contextlib.suppress(RuntimeError):  # without a thread more the others do it
            for _ in range(min(len(items), most) - 1):
                end = self.signal()
                self.spawn(contextvars.copy_context().run, work, end)
                ends.append(end)
        work()
        for end in ends:
            end.wait(None)
        for number in sorted(failures)[:1]:
            raise failures[number]
        return [results[number] for number in range(len(items))]

    def signal(self) -> Signal:
        """Return a new signal for the calling greenlet or thread to wait for."""
        if not self.in_hub():
            return ThreadSignal()
        assert self._waker is not None
        return GreenletSignal(self._waker)

    def stream_signal(self) -> Signal:
        """Return a signal that wakes the greenlet of a stream, of which thousands may have something to do at once."""
        if not self.in_hub():
            return ThreadSignal()
        assert self._stream_waker is not None
        return GreenletSignal(self._stream_waker)


def _run(function: Callable[..., object], *arguments: Any) -> None:
    """Log any error here: gevent would print the arguments, and printing a proxy calls its device."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("%s failed", function.__qualname__)


def _run_in_thread(function: Callable[..., object], *arguments: Any) -> None:
    with tango.EnsureOmniThread():
        _run(function, *arguments)
