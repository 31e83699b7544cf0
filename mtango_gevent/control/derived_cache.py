"""Lists and renderings computed from answers of the database, kept as long as the database answers the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Sized
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache

from mtango_gevent.control.calls import Concurrency, NativeLock
from mtango_gevent.control.single_flight import SingleFlight

T = TypeVar("T")

# Bytes that an entry takes besides source and result: its key, which may have a long query.
_OVERHEAD = 10_000

# Names that are compared without a look at other greenlets: in_turns does it twenty times, in 0.2 ms.
_COMPARED_AT_ONCE = 500


class _Entry(NamedTuple):
    source: object
    result: Any
    size: int


class DerivedCache:
    """Results with the source of each, the least recently used one first to go. memory: bytes of all entries.

    A source is a list or dictionary of texts, or a tuple of sources. It is compared as a whole each time, so that
    no result of an old one is ever returned.
    """

    def __init__(self, memory: int, concurrency: Concurrency) -> None:
        self._entries: LRUCache[Hashable, _Entry] = LRUCache(memory, lambda entry: entry.size)
        self._flights = SingleFlight(concurrency.signal)
        self._in_turns = concurrency.in_turns
        self._guard = NativeLock()  # held for dictionary work only

    def get(
        self, key: Hashable, source: tuple[object, ...], compute: Callable[[], T], size_of: Callable[[T], int]
    ) -> T:
        """Return what `compute` returns, or has returned for an equal source. `compute` must not return None.

        key: what the result depends on besides the source. size_of: returns the bytes of a result. Concurrent callers
        with the same source, by identity, share one call.
        """
        with self._guard:
            entry = self._entries.get(key)
        if entry is not None and self._are_equal(entry.source, source):
            return entry.result
        return self._flights.do((key, *map(id, source)), lambda: self._compute(key, source, compute, size_of))

    def clear(self) -> None:
        with self._guard:
            self._entries.clear()

    def _compute(
        self, key: Hashable, source: tuple[object, ...], compute: Callable[[], T], size_of: Callable[[T], int]
    ) -> T:
        result = compute()
        size = _OVERHEAD + _size_of_source(source) + size_of(result)
        with self._guard, contextlib.suppress(ValueError):  # larger than the memory
            self._entries.pop(key, None)
            self._entries[key] = _Entry(source, result, size)
        return result

    def _are_equal(self, one: object, other: object) -> bool:
        if one is other:
            return True
        if isinstance(one, tuple) and isinstance(other, tuple):
            return len(one) == len(other) and all(map(self._are_equal, one, other))
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and self._have_equal_items(one, other)
        return one == other

    def _have_equal_items(self, one: list[object], other: list[object]) -> bool:
        spans = (slice(start, start + _COMPARED_AT_ONCE) for start in range(0, len(one), _COMPARED_AT_ONCE))
        return all(one[span] == other[span] for span in self._in_turns(spans))


def size_of_texts(texts: Sized) -> int:
    """Return about how many bytes a list or dictionary of names takes, in Python."""
    return 100 * len(texts)


def _size_of_source(source: object) -> int:
    if isinstance(source, tuple):
        return sum(map(_size_of_source, source))
    return size_of_texts(source) if isinstance(source, list | dict) else 0
