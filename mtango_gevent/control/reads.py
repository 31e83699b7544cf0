"""Reads: one Tango call for concurrent callers, whose reading is kept for a while if the settings allow it.

A write, command or configuration change discards the readings of its device, when it begins and again when it ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import tango

from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import Bulkhead, Signal, with_reasons
from mtango_gevent.control.records import value_size
from mtango_gevent.control.single_flight import Route, SingleFlight

T = TypeVar("T")

# Bytes that a kept reading takes besides its value: PyTango's object, the key, the entries of the cache.
_OVERHEAD = 2_000


@dataclasses.dataclass
class Reading(Generic[T]):
    """The values of one Tango call. began: the time of the call, by time.perf_counter().

    rendered: what the first caller that shares the reading has made of it, for the others, by its form.
    """

    items: T
    began: float
    rendered: dict[Hashable, Any] = dataclasses.field(default_factory=dict)


class AttributeRead:
    """The call that reads one attribute. taken: its name as PyTango takes it."""

    __slots__ = ("taken",)

    def __init__(self, taken: Any) -> None:
        self.taken = taken

    def __call__(self, proxy: tango.DeviceProxy) -> tango.DeviceAttribute:
        return proxy.read_attribute(self.taken)


class Reads:
    """max_age: seconds for which a reading is kept, from its beginning on; memory: bytes of all that are kept.

    make_signal: as for SingleFlight; flights: as for Cache.
    """

    def __init__(
        self,
        max_age: float,
        memory: int,
        make_signal: Callable[[], Signal],
        flights: type[SingleFlight] = SingleFlight,
    ) -> None:
        self._cache = Cache[Reading[Any]](memory, max_age, make_signal, weigh=_weigh, flights=flights)
        self._keeps = max_age > 0
        self.clear = self._cache.clear
        self.generation = self._cache.generation
        self.peek = self._cache.peek

    def get(
        self,
        url: str,
        what: Hashable,
        bulkhead: Bulkhead,
        connect: Callable[[], tango.DeviceProxy],
        read: Callable[[tango.DeviceProxy], T],
        kept: bool = True,
    ) -> Reading[T]:
        """Return what `read` returns with the proxy of `connect`, or has just returned to other callers.

        what: equal for equal reads. kept: whether a kept reading may be returned. Callers join a read that is under
        way, each until the deadline of the device's `bulkhead`. Raises what `connect` and `read` raise, to all that
        wait, and DevFailed at the deadline.
        """
        if kept and self._keeps:
            found = self._cache.find(url, what)
            if found is not None:
                return found
        route = Route(bulkhead, "read")
        found = self._cache.join(url, what, route)  # needs no connection of its own
        if found is not None:
            return found
        proxy = connect()

        def read_now() -> Reading[T]:
            began = time.perf_counter()
            return Reading(with_reasons(read, proxy), began)

        return self._cache.do(url, what, read_now, route)

    @contextlib.contextmanager
    def changing(self, url: str) -> Iterator[None]:
        """Discard the readings of a device, before and after a Tango call that may change them, in its thread."""
        self._cache.forget(url)
        try:
            yield
        finally:
            self._cache.forget(url)


def _weigh(reading: Reading[Any]) -> float:
    """Return the bytes that a reading takes; one with a failed attribute is not kept."""
    items = reading.items
    attributes: Sequence[tango.DeviceAttribute] = items if isinstance(items, Sequence) else [items]
    if any(item.has_failed for item in attributes):
        return math.inf
    return sum(_OVERHEAD + value_size(item) for item in attributes)
