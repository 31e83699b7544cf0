"""Reads: one Tango call for all who ask a device for the same meanwhile, and for who comes soon after, if that may be.

Nobody gets what was read before a change of the device that this process has made: reads belong to an epoch of their
device, which ends when such a change begins and again when it ends. An epoch lives as long as a read of it does, in
flight or kept, so that there is nothing to tidy up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import tango
from cachetools import TLRUCache

from mtango_gevent.control.attempts import Attempts
from mtango_gevent.control.buffer import size
from mtango_gevent.control.cache import NativeLock
from mtango_gevent.control.lane import Lane

T = TypeVar("T")
Key: TypeAlias = "tuple[_Epoch, Hashable]"

# Bytes that a value which is kept takes besides its own: PyTango's object, its key, its places in the cache.
_OVERHEAD = 2_000


@dataclasses.dataclass(frozen=True)
class Reading(Generic[T]):
    """What a device answered; began: when the Tango call did, by time.perf_counter()."""

    items: T
    began: float


class _Epoch:
    """Of a device, between two changes that this process has made."""

    __slots__ = ("__weakref__",)


class Reads:
    """max_age: seconds for which a reading is kept, from its beginning on; memory: bytes that all of them may take."""

    def __init__(self, max_age: float, memory: int) -> None:
        self._max_age = max_age
        self._kept: TLRUCache[Key, Reading[Any]] = TLRUCache(
            memory, lambda _, reading, __: reading.began + max_age, time.perf_counter, _size
        )
        self._epochs: weakref.WeakValueDictionary[str, _Epoch] = weakref.WeakValueDictionary()
        self._attempts = Attempts("read")
        self._guard = NativeLock()  # held for dictionary work only

    def get(
        self,
        url: str,
        what: Hashable,
        lane: Lane,
        connect: Callable[[], tango.DeviceProxy],
        read: Callable[[tango.DeviceProxy], T],
        kept: bool = True,
    ) -> Reading[T]:
        """What `read` gives with the proxy of `connect`, called in the device's `lane`, or has just given others.

        what: the same for reads that are the same. kept: whether a reading from before will do, if it is not too old.
        Callers join a read that is in flight, and wait until their own deadline; threads without a hub read each for
        itself, as all they could do is wait for each other. A failure is that of all who have joined, and is not kept.
        Raises what `connect` and `read` raise, and DevFailed at the deadline.
        """
        if kept and self._max_age:
            found = self._find((self._epoch(url), what))
            if found is not None:
                return found
        proxy = connect()  # which may take a while, and changes may have been made meanwhile
        key = self._epoch(url), what

        def make() -> Reading[T]:
            began = time.perf_counter()
            return self._keep(key, Reading(read(proxy), began))

        if lane.in_executor_context():
            return self._attempts.share(key, lane, lambda: lane, make)
        return lane.run(make, kind="read")

    @contextlib.contextmanager
    def changing(self, url: str) -> Iterator[None]:
        """Around a Tango call, in its thread, that may change what reads of the device give."""
        self._end_epoch(url)
        try:
            yield
        finally:
            self._end_epoch(url)

    def clear(self) -> None:
        with self._guard:
            self._kept.clear()
            self._epochs.clear()

    def _epoch(self, url: str) -> _Epoch:
        with self._guard:
            epoch = self._epochs.get(url)
            if epoch is None:
                epoch = self._epochs[url] = _Epoch()
            return epoch

    def _end_epoch(self, url: str) -> None:
        with self._guard:
            self._epochs.pop(url, None)

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
