"""A cache with an age limit and figures, for threads as for greenlets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from cachetools import TTLCache
from gevent import monkey

T = TypeVar("T")

NativeLock: type[threading.Lock] = monkey.get_original("threading", "Lock")


class Cache:
    """At most `size` values by key, each for `lifetime` seconds; with `renew` its time begins anew at each use.

    None cannot be a value.
    """

    def __init__(self, size: int, lifetime: float, renew: bool = False) -> None:
        self._values: TTLCache[Hashable, Any] = TTLCache(size, lifetime)
        self._renew = renew
        self._size = size
        self._guard = NativeLock()  # held for dictionary work only, never while anything is waited for
        self._hits = self._misses = 0

    def get(self, key: Hashable, ask: Callable[[], T]) -> T:
        """What is kept under `key`, else what `ask` answers now. Failures are not kept."""
        value = self.find(key)
        return self.store(key, ask()) if value is None else value

    def find(self, key: Hashable) -> Any | None:
        """What is kept under `key`, or None; counted."""
        with self._guard:
            value = self._values.get(key)
            if value is None:
                self._misses += 1
                return None
            self._hits += 1
            if self._renew:
                self._values[key] = value
            return value

    def peek(self, key: Hashable) -> Any | None:
        """The same, as if nobody had looked."""
        with self._guard:
            return self._values.get(key)

    def store(self, key: Hashable, value: T) -> T:
        with self._guard:
            self._values[key] = value
        return value

    def discard(self, key: Hashable) -> None:
        with self._guard:
            self._values.pop(key, None)

    def clear(self) -> None:
        with self._guard:
            self._values.clear()

    def info(self) -> dict[str, int]:
        """mtango-py's figures: hits, misses, currsize, maxsize."""
        with self._guard:
            self._values.expire()
            size = len(self._values)
            return {"hits": self._hits, "misses": self._misses, "currsize": size, "maxsize": self._size}
