"""Attempts: what is slow and may fail, like a connection or a read, is tried once for all who come meanwhile."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from mtango_gevent.control.calls import Bulkhead, Call, NativeLock
from mtango_gevent.errors import DevFailed, tango_failure

T = TypeVar("T")


class Attempts:
    """At most one attempt at a time for each key; kind: what they are counted as."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._running: dict[Hashable, Call] = {}
        self._locks: weakref.WeakValueDictionary[Hashable, threading.Lock] = weakref.WeakValueDictionary()
        self._guard = NativeLock()

    def __bool__(self) -> bool:
        """Whether one is being made."""
        return bool(self._running)

    def join(
        self,
        key: Hashable,
        bulkhead: Bulkhead,
        find_bulkhead: Callable[[], Bulkhead],
        find: Callable[[], T | None],
        make: Callable[[], T],
    ) -> T:
        """What `make` gives, called in the bulkhead that `find_bulkhead` names, or what the attempt gives that
        runs already.

        Each caller waits until the deadline of `bulkhead`. A thread without a hub calls `make` itself, unless
        `find` has
        it by the time those before it are through. Raises what `find_bulkhead` and `make` raise (to all who wait), and
        DevFailed at the deadline.
        """
        if bulkhead.in_hub():
            return self.share(key, bulkhead, find_bulkhead, make)
        with self._guard:
            lock = self._locks.setdefault(key, NativeLock())
        with lock:
            found = find()
            if found is not None:
                return found
            find_bulkhead()
            return bulkhead.call(self._kind, make)

    def share(
        self,
        key: Hashable,
        bulkhead: Bulkhead,
        find_bulkhead: Callable[[], Bulkhead],
        make: Callable[[], T],
    ) -> T:
        """The same, in the hub's greenlets only."""
        running = self.running(key)
        return (
            self.follow(running, bulkhead)
            if running
            else _wait(self._start(key, bulkhead, find_bulkhead, make), bulkhead)
        )

    def running(self, key: Hashable) -> Call | None:
        """The attempt that may be joined, if there is one; nobody joins one that others have given up."""
        running = self._running.get(key)
        if running is None or running.abandoned or running.result.ready():  # what was just made may be past already
            return None
        return running

    def follow(self, running: Call, bulkhead: Bulkhead) -> Any:
        """What that attempt gives, until the deadline of `bulkhead`. Raises what it raises, and what
        `bulkhead.run` does."""
        bulkhead.health.admit(self._kind)
        return _wait(running, bulkhead)

    def _forget(self, key: Hashable, attempt: Call) -> None:
        if self._running.get(key) is attempt:
            del self._running[key]

    def _start(
        self,
        key: Hashable,
        bulkhead: Bulkhead,
        find_bulkhead: Callable[[], Bulkhead],
        make: Callable[[], T],
    ) -> Call:
        attempt = self._running[key] = bulkhead.prepare(self._kind, make)
        attempt.result.rawlink(lambda _: self._forget(key, attempt))
        try:
            find_bulkhead().start(attempt)
        except DevFailed as refusal:  # no server, or no slot: so it is for all who wait
            attempt.result.set_exception(refusal)
        except BaseException:  # the first to come has been killed, the others have not
            if not attempt.result.ready():
                attempt.result.set_exception(
                    tango_failure("MTANGO_DeviceBusy", "the request that made the attempt was given up")
                )
            raise
        return attempt


def _wait(attempt: Call, bulkhead: Bulkhead) -> Any:
    try:
        return bulkhead.wait(attempt)
    except DevFailed as failure:  # one that several raise would hold the frames of them all
        reasons = failure.args
    raise DevFailed(*reasons)
