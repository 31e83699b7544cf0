"""A cache with an age limit and figures, for threads as for greenlets."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

from cachetools import TTLCache

from mtango_gevent.control.calls import NativeLock
from mtango_gevent.workers import CacheFigures

T = TypeVar("T")


class Cache:
    """At most `size` values by key, each for `lifetime` seconds; with `renew` its time begins anew at each use.

    None cannot be a value. figures: where uses are counted, if anywhere.
    """

    def __init__(self, size: int, lifetime: float, renew: bool = False, figures: CacheFigures | None = None) -> None:
        self._values: TTLCache[Hashable, Any] = TTLCache(size, lifetime)
        self._renew = renew
        self._figures = figures
        self._guard = NativeLock()  # held for dictionary work only, never while anything is waited for

    def find(self, key: Hashable) -> Any | None:
        """What is kept under `key`, or None; counted."""
        with self._guard:
            value = self._values.get(key)
            if value is not None and self._renew:
                self._values[key] = value
        if self._figures:
            (self._figures.miss if value is None else self._figures.hit)()
        return value

    def peek(self, key: Hashable) -> Any | None:
        """The same, as if nobody had looked."""
        with self._guard:
            return self._values.get(key)

    def store(self, key: Hashable, value: T) -> T:
        with self._guard:
            self._values[key] = value
        self.count()
        return value

    def discard(self, key: Hashable) -> None:
        with self._guard:
            self._values.pop(key, None)
        self.count()

    def clear(self) -> None:
        with self._guard:
            self._values.clear()
        self.count()

    def count(self) -> None:
        """Bring its size among the figures up to date."""
        if self._figures:
            with self._guard:
                self._values.expire()
                self._figures.size(len(self._values))
