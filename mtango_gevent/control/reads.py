"""Reads: one Tango call for all who ask a device for the same meanwhile, and for who comes soon after, if that may be.

A value that was read before a change of its device by this process is not returned after it: each read belongs to a
generation of its device, which ends when such a change begins and again when it ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import tango
from cachetools import TLRUCache

from mtango_gevent.control.attempts import Attempts
from mtango_gevent.control.calls import Bulkhead, NativeLock
from mtango_gevent.control.events.buffer import size
from mtango_gevent.control.generations import Generations

T = TypeVar("T")
# Device, its generation, what is read.
Key: TypeAlias = tuple[str, int, Hashable]

# Bytes that a value which is kept takes besides its own: PyTango's object, its key, its places in the cache.
_OVERHEAD = 2_000


@dataclasses.dataclass
class Reading(Generic[T]):
    """What a device answered; began: when the Tango call did, by time.perf_counter().

    rendered: what the first of those who share it has made of it, for the others.
    """

    items: T
    began: float
    rendered: Any = None


class Reads:
    """max_age: seconds for which a reading is kept, from its beginning on; memory: bytes that all of them may take."""

    def __init__(self, max_age: float, memory: int) -> None:
        self._max_age = max_age
        self._kept: TLRUCache[Key, Reading[Any]] = TLRUCache(
            memory, lambda _, reading, __: reading.began + max_age, time.perf_counter, _size
        )
        self._generations = Generations()
        self._attempts = Attempts("read")
        self._guard = NativeLock()  # held for dictionary work only

    def get(
        self,
        url: str,
        what: Hashable,
        bulkhead: Bulkhead,
        connect: Callable[[], tango.DeviceProxy],
        read: Callable[[tango.DeviceProxy], T],
        kept: bool = True,
    ) -> Reading[T]:
        """What `read` gives with the proxy of `connect`, called in the device's `bulkhead`, or has just given others.

        what: the same for reads that are the same. kept: whether a reading from before will do, if it is not too old.
        Callers join a read that is in flight, and wait until their own deadline; threads without a hub read each for
        itself, as all they could do is wait for each other. A failure is that of all who have joined, and is not kept.
        Raises what `connect` and `read` raise, and DevFailed at the deadline.
        """
        key = self._key(url, what)
        if kept and self._max_age:
            found = self._find(key)
            if found is not None:
                return found
        in_hub = bulkhead.in_hub()
        if in_hub:
            running = self._attempts.running(key)
            if running:
                return self._attempts.follow(running, bulkhead)
        proxy = connect()
        key = self._key(url, what)  # meanwhile changes may have been made

        def make() -> Reading[T]:
            began = time.perf_counter()
            return self._keep(key, Reading(read(proxy), began))

        if in_hub:
            return self._attempts.share(key, bulkhead, lambda: bulkhead, make)
        return bulkhead.call("read", make)

    @contextlib.contextmanager
    def changing(self, url: str) -> Iterator[None]:
        """Around a Tango call, in its thread, that may change what reads of the device give."""
        self._generations.end(url)
        try:
            yield
        finally:
            self._generations.end(url)

    def clear(self) -> None:
        with self._guard:
            self._kept.clear()
        self._generations.end_all()

    def _key(self, url: str, what: Hashable) -> Key:
        return url, self._generations.of(url), what

    def _find(self, key: Key) -> Reading[Any] | None:
        with self._guard:
            return self._kept.get(key)

    def _keep(self, key: Key, reading: Reading[T]) -> Reading[T]:
        if self._max_age and not _has_failure(reading.items):
            with self._guard, contextlib.suppress(ValueError):  # larger than all that may be kept
                self._kept[key] = reading
        return reading


def _has_failure(items: Any) -> bool:
    return any(item.has_failed for item in _attributes(items))


def _size(reading: Reading[Any]) -> int:
    return sum(_OVERHEAD + size(item) for item in _attributes(reading.items))


def _attributes(items: tango.DeviceAttribute | Sequence[tango.DeviceAttribute]) -> Sequence[tango.DeviceAttribute]:
    return items if isinstance(items, Sequence) else [items]
