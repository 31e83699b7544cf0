"""The cache of proxies, readings and metadata, with single flight and generations of devices."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, NamedTuple, TypeVar

from cachetools import TLRUCache

from mtango_gevent.control.calls import NativeLock, Signal
from mtango_gevent.control.single_flight import Route, SingleFlight
from mtango_gevent.metrics import CacheMetrics
from mtango_gevent.names import folded

T = TypeVar("T")

# Devices whose own generation is remembered, about a hundred bytes each.
MOST_DEVICES = 10_000


class _Entry(NamedTuple):
    """A value of a generation of its device. asked: when its call began, or when it was used last (`renew`)."""

    value: Any
    asked: float
    generation: int
    weight: float


class Cache(Generic[T]):
    """Values by device and detail, each kept for `lifetime` seconds after its call began, at most `size` of them.

    A value whose call began before `forget` or `clear` is neither stored nor joined after it: such a change begins a
    new generation of the device. Concurrent callers share one call. None cannot be a value, and failures are not kept.
    renew: each use begins the lifetime anew. weigh: returns what a value takes of `size`, math.inf if it is not to be
    kept. metrics: where hits, misses and the number of values are counted. make_signal: as for SingleFlight.
    flights: the class of calls that are shared.
    """

    def __init__(
        self,
        size: float,
        lifetime: float,
        make_signal: Callable[[], Signal],
        renew: bool = False,
        weigh: Callable[[T], float] | None = None,
        metrics: CacheMetrics | None = None,
        flights: type[SingleFlight] = SingleFlight,
    ) -> None:
        self._entries: TLRUCache[tuple[str, Hashable], _Entry] = TLRUCache(
            size,
            lambda _key, entry, _now: entry.asked + lifetime,
            time.monotonic,
            lambda entry: entry.weight,
        )
        self._weigh = weigh
        self._renew = renew
        self._metrics = metrics
        self._flights = flights(make_signal)
        self._numbers = itertools.count(1)
        self._generations: dict[str, int] = {}
        self._default = 0  # generation of all devices without one of their own
        self._guard = NativeLock()  # held for dictionary work only

    def get(
        self,
        device: str,
        detail: Hashable,
        ask: Callable[[], T],
        max_age: float = math.inf,
        route: Route | None = None,
    ) -> T:
        """Return the kept value if it is at most `max_age` seconds old, else what `do` returns."""
        found = self.find(device, detail, max_age)
        return self.do(device, detail, ask, route) if found is None else found

    def find(self, device: str, detail: Hashable = None, max_age: float = math.inf) -> T | None:
        """Return the kept value if it is at most `max_age` seconds old, and count a hit or a miss."""
        now = time.monotonic()
        with self._guard:
            entry = self._find(device, detail)
            if entry and self._renew:
                self._entries[device, detail] = entry._replace(asked=now)
        is_fresh = entry is not None and now - entry.asked < max_age
        if self._metrics:
            (self._metrics.hit if is_fresh else self._metrics.miss)()
        return entry.value if entry and is_fresh else None

    def peek(self, device: str, detail: Hashable = None) -> T | None:
        """Return the kept value, without counting or renewing it."""
        with self._guard:
            entry = self._find(device, detail)
        return entry and entry.value

    def do(self, device: str, detail: Hashable, ask: Callable[[], T], route: Route | None = None) -> T:
        """Return and keep what `ask` returns, in a call shared by concurrent callers. Raises what `ask` raises."""
        generation = self.generation(device)
        return self._flights.do((device, generation, detail), lambda: self._ask(device, detail, generation, ask), route)

    def join(self, device: str, detail: Hashable, route: Route | None = None) -> T | None:
        """Return what a call returns that is under way, or None if there is none."""
        return self._flights.join((device, self.generation(device), detail), route)

    def ask(self, device: str, detail: Hashable, ask: Callable[[], T]) -> T:
        """Return and keep what `ask` returns now, in a call of its own."""
        return self._ask(device, detail, self.generation(device), ask)

    def forget(self, device: str) -> None:
        """Drop all values of a device."""
        if len(self._generations) >= MOST_DEVICES:
            self.clear()
        with self._guard:
            self._generations[device] = next(self._numbers)

    def clear(self) -> None:
        """Drop all values."""
        with self._guard:
            self._default = next(self._numbers)
            self._generations.clear()
            self._entries.clear()
        self.count()

    def count(self) -> None:
        """Update the number of values in the metrics."""
        if self._metrics:
            with self._guard:
                self._entries.expire()
                self._metrics.size(len(self._entries))

    def keep(self, device: str, detail: Hashable, value: T, generation: int, asked: float) -> None:
        """Keep a value whose call began at `asked`, by time.monotonic(), in that generation of the device."""
        weight = self._weigh(value) if self._weigh else 1  # before the guard, as it takes long for many texts
        with self._guard, contextlib.suppress(ValueError):  # larger than the cache
            known = self._find(device, detail)
            if generation == self.generation(device) and not (known and known.asked > asked):
                self._entries[device, detail] = _Entry(value, asked, generation, weight)
        self.count()

    def generation(self, device: str) -> int:
        """Return the generation of a device, which each change of it ends."""
        return self._generations.get(device, self._default)

    def _ask(self, device: str, detail: Hashable, generation: int, ask: Callable[[], T]) -> T:
        asked = time.monotonic()
        value = ask()
        self.keep(device, detail, value, generation, asked)
        return value

    def _find(self, device: str, detail: Hashable) -> _Entry | None:
        entry = self._entries.get((device, detail))
        return entry if entry and entry.generation == self.generation(device) else None


def attribute_key(name: str) -> tuple[str, str]:
    """Return the detail under which the configuration of an attribute is kept."""
    return "attribute", folded(name)


def command_key(name: str) -> tuple[str, str]:
    """Return the detail under which the description of a command is kept."""
    return "command", folded(name)
