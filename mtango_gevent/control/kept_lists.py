"""What has been made of the database's answers, kept until an answer differs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache

from mtango_gevent.control.calls import NativeLock, Signal
from mtango_gevent.control.single_flight import SingleFlight

T = TypeVar("T")

# Bytes that an entry takes besides what was made: its key, which may have a long query, and the content.
_OVERHEAD = 10_000


class _Entry(NamedTuple):
    content: tuple[object, ...]
    made: Any
    size: int


class KeptLists:
    """What has been made of contents, the least recently used first to go. memory: bytes of all that is kept.

    The content is compared as a whole each time, so that nothing old is ever returned: 0.2 ms for 10,000 names.
    make_signal: as for SingleFlight.
    """

    def __init__(self, memory: int, make_signal: Callable[[], Signal]) -> None:
        self._entries: LRUCache[Hashable, _Entry] = LRUCache(memory, lambda entry: entry.size)
        self._flights = SingleFlight(make_signal)
        self._guard = NativeLock()  # held for dictionary work only

    def get(self, key: Hashable, content: tuple[object, ...], make: Callable[[], T], weigh: Callable[[T], int]) -> T:
        """Return what `make` returns, or has returned for an equal content. `make` must not return None.

        key: what the result depends on besides the content. weigh: returns the bytes of a result. Concurrent callers
        with the same content, by identity, share one call.
        """
        with self._guard:
            entry = self._entries.get(key)
        if entry is not None and entry.content == content:
            return entry.made
        return self._flights.do((key, *map(id, content)), lambda: self._make(key, content, make, weigh))

    def clear(self) -> None:
        with self._guard:
            self._entries.clear()

    def _make(self, key: Hashable, content: tuple[object, ...], make: Callable[[], T], weigh: Callable[[T], int]) -> T:
        made = make()
        with self._guard, contextlib.suppress(ValueError):  # larger than the memory
            self._entries.pop(key, None)
            self._entries[key] = _Entry(content, made, _OVERHEAD + weigh(made))
        return made


def weigh_names(names: list[str] | dict[str, str]) -> int:
    """Return about how many bytes the names take, in Python."""
    return 100 * len(names)
