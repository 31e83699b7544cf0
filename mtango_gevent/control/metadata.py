"""The cache of what changes slowly: attribute configurations, command descriptions, names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cachetools import TTLCache
from gevent import monkey

T = TypeVar("T")

# Room for each attribute of many devices; an entry is a few hundred bytes.
MAXSIZE = 100_000


class MetadataCache:
    """Answers of Tango by key, each kept for `lifetime` seconds."""

    def __init__(self, lifetime: float) -> None:
        self._entries: TTLCache[Any, Any] = TTLCache(MAXSIZE, lifetime)
        self._guard: threading.Lock = monkey.get_original("threading", "Lock")()
        self._hits = self._misses = 0

    def get(self, key: Any, ask: Callable[[], T]) -> T:
        """What is kept under `key`, else what `ask` answers now. Failures are not kept."""
        with self._guard:
            try:
                value = self._entries[key]
                self._hits += 1
                return value
            except KeyError:
                self._misses += 1
        value = ask()
        with self._guard:
            self._entries[key] = value
        return value

    def clear(self) -> None:
        with self._guard:
            self._entries.clear()

    def info(self) -> dict[str, int]:
        """The same figures as ProxyCache.info."""
        with self._guard:
            self._entries.expire()
            size = len(self._entries)
            return {"hits": self._hits, "misses": self._misses, "currsize": size, "maxsize": MAXSIZE}
