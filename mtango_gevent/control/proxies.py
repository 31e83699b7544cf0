"""The cache of device proxies: least recently used, with an idle time, and one connection attempt per device."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from cachetools import TTLCache
from gevent import monkey

from mtango_gevent.control.green import Call, Lane

_Lock = monkey.get_original("threading", "Lock")


class ProxyCache:
    """Device proxies by name. `size`: how many; `idle`: seconds without use after which one is let go."""

    def __init__(self, size: int, idle: float) -> None:
        self._proxies: TTLCache[str, Any] = TTLCache(size, idle)
        self._attempts: dict[str, Call] = {}
        self._locks: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()
        self._guard = _Lock()  # held for dictionary work only, never while anything is waited for
        self._hits = self._misses = 0

    def get(self, name: str, lane: Lane, connect: Callable[[], Any]) -> Any:
        """The proxy of `name`, made by `connect` in `lane` if there is none.

        Callers that come while it is being made wait for that attempt, each until its own deadline.
        Raises what `connect` raises (to all who wait), and DevFailed at the deadline.
        """
        proxy = self._find(name)
        if proxy is not None:
            return proxy
        if lane.in_executor_context():
            return lane.wait(self._attempts.get(name) or self._start_attempt(name, lane, connect))
        return self._connect_in_thread(name, connect)

    def clear(self) -> None:
        with self._guard:
            self._proxies.clear()

    def info(self) -> dict[str, int]:
        """mtango-py's figures: hits, misses, currsize, maxsize."""
        with self._guard:
            self._proxies.expire()
            return {
                "hits": self._hits,
                "misses": self._misses,
                "currsize": len(self._proxies),
                "maxsize": int(self._proxies.maxsize),
            }

    def _find(self, name: str) -> Any | None:
        with self._guard:
            proxy = self._proxies.get(name)
            if proxy is None:
                self._misses += 1
                return None
            self._hits += 1
            self._proxies[name] = proxy  # stored again: its idle time begins anew
            return proxy

    def _store(self, name: str, proxy: Any) -> Any:
        with self._guard:
            self._proxies[name] = proxy
        return proxy

    def _start_attempt(self, name: str, lane: Lane, connect: Callable[[], Any]) -> Call:
        attempt = self._attempts[name] = Call(lambda: self._store(name, connect()), (), {})
        attempt.result.rawlink(lambda _: self._attempts.pop(name, None))
        try:
            lane.start(attempt)
        except BaseException as error:  # no slot: so it is for all who wait
            attempt.result.set_exception(error)
        return attempt

    def _connect_in_thread(self, name: str, connect: Callable[[], Any]) -> Any:
        with self._guard:
            lock = self._locks.setdefault(name, _Lock())
        with lock:
            with self._guard:
                proxy = self._proxies.get(name)
            return proxy if proxy is not None else self._store(name, connect())
