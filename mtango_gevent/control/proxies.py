"""The cache of device proxies: least recently used, with an idle time, and one connection at a time per device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import Bulkhead, Signal
from mtango_gevent.metrics import CacheMetrics


class ProxyCache:
    """Device proxies by name. `size`: how many; `idle`: seconds without use after which one is dropped.

    make_signal: as for SingleFlight.
    """

    def __init__(
        self, size: int, idle: float, make_signal: Callable[[], Signal], figures: CacheMetrics | None = None
    ) -> None:
        self._cache = Cache[Any](size, idle, make_signal, renew=True, figures=figures)
        self.count = self._cache.count
        self.peek = self._cache.peek
        self.forget = self._cache.forget
        self.clear = self._cache.clear

    def get(
        self, name: str, bulkhead: Bulkhead, find_bulkhead: Callable[[], Bulkhead], connect: Callable[[], Any]
    ) -> Any:
        """Return the proxy with that name, else what `connect` returns, called in the bulkhead of `find_bulkhead`.

        bulkhead: that of the device's calls; callers that wait for the connection of another one do so until its
        deadline. Raises what `find_bulkhead` and `connect` raise, to all that wait, and DevFailed at the deadline.
        """

        def lead(run: Callable[[], Any]) -> Any:
            return bulkhead.call("connection", run, through=find_bulkhead())

        return self._cache.get(name, None, connect, lead=lead, join=functools.partial(bulkhead.join, "connection"))
