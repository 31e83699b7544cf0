"""The cache of device proxies: least recently used, with an idle time, and one connection attempt per device."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from mtango_gevent.control.cache import Cache, NativeLock
from mtango_gevent.control.green import Call, Lane
from mtango_gevent.errors import DevFailed, tango_failure

# For how long a device that did not answer counts as one that may not.
_FAILURE_SECONDS = 60


class ProxyCache:
    """Device proxies by name. `size`: how many; `idle`: seconds without use after which one is let go."""

    def __init__(self, size: int, idle: float) -> None:
        self._proxies = Cache(size, idle, renew=True)
        self._failures = Cache(size, _FAILURE_SECONDS)
        self._attempts: dict[str, Call] = {}
        self._locks: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()
        self._guard = NativeLock()
        self.info = self._proxies.info

    def get(self, name: str, lane: Lane, find_lane: Callable[[], Lane], connect: Callable[[], Any]) -> Any:
        """The proxy of `name`, whose calls take `lane`; if there is none, made by `connect` where `find_lane` says.

        Callers that come while it is being made wait for that attempt, each until its own deadline.
        Raises what `find_lane` and `connect` raise (to all who wait), and DevFailed at the deadline.
        """
        proxy = self._proxies.find(name)
        if proxy is not None:
            return proxy
        if not lane.in_executor_context():
            return self._connect_in_thread(name, connect)
        return lane.wait(self._attempts.get(name) or self._start_attempt(name, find_lane, connect))

    def failed(self, name: str) -> bool:
        """Whether the last attempt to connect failed, not long ago."""
        return self._failures.peek(name) is not None

    def clear(self) -> None:
        self._proxies.clear()
        self._failures.clear()

    def _connect(self, name: str, connect: Callable[[], Any]) -> Any:
        try:
            proxy = connect()
        except DevFailed:
            self._failures.store(name, True)
            raise
        self._failures.discard(name)
        return self._proxies.store(name, proxy)

    def _start_attempt(self, name: str, find_lane: Callable[[], Lane], connect: Callable[[], Any]) -> Call:
        attempt = self._attempts[name] = Call(self._connect, (name, connect), {})
        attempt.result.rawlink(lambda _: self._attempts.pop(name, None))
        try:
            find_lane().start(attempt)
        except DevFailed as refusal:  # no server, or no slot: so it is for all who wait
            attempt.result.set_exception(refusal)
        except BaseException:  # the first to come has been killed, the others have not
            attempt.result.set_exception(
                tango_failure("MTANGO_DeviceBusy", f"the attempt to reach {name} was given up")
            )
            raise
        return attempt

    def _connect_in_thread(self, name: str, connect: Callable[[], Any]) -> Any:
        with self._guard:
            lock = self._locks.setdefault(name, NativeLock())
        with lock:
            proxy = self._proxies.peek(name)
            return self._connect(name, connect) if proxy is None else proxy
