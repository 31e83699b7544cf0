"""The cache of device proxies: least recently used, with an idle time, and one connection attempt per device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mtango_gevent.control.attempts import Attempts
from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import Bulkhead
from mtango_gevent.workers import CacheFigures


class ProxyCache:
    """Device proxies by name. `size`: how many; `idle`: seconds without use after which one is let go."""

    def __init__(self, size: int, idle: float, figures: CacheFigures | None = None) -> None:
        self._proxies = Cache(size, idle, renew=True, figures=figures)
        self._attempts = Attempts("connection")
        self.count = self._proxies.count
        self.peek = self._proxies.peek
        self.discard = self._proxies.discard

    def get(
        self, name: str, bulkhead: Bulkhead, find_bulkhead: Callable[[], Bulkhead], connect: Callable[[], Any]
    ) -> Any:
        """The proxy of `name`, whose calls take `bulkhead`; if there is none, made by `connect` where
        `find_bulkhead` says.

        Callers that come while it is being made wait for that attempt, each until its own deadline.
        Raises what `find_bulkhead` and `connect` raise (to all who wait), and DevFailed at the deadline.
        """
        proxy = self._proxies.find(name)
        if proxy is not None:
            return proxy
        find = functools.partial(self._proxies.peek, name)
        return self._attempts.join(name, bulkhead, find_bulkhead, find, lambda: self._proxies.store(name, connect()))

    def clear(self) -> None:
        self._proxies.clear()
