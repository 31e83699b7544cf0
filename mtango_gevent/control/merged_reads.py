"""Merged reads: different attributes of one device that are asked for in one turn of the hub are one Tango call."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import gevent
import tango
from cachetools import TTLCache

from mtango_gevent.control.calls import Bulkhead, Signal, with_reasons
from mtango_gevent.control.reads import AttributeRead, Reading, Reads
from mtango_gevent.control.records import value_size
from mtango_gevent.control.single_flight import Route, SingleFlight
from mtango_gevent.errors import DevFailed, as_read_of_one, has_timed_out, status_of

T = TypeVar("T")

# Attributes of one call: their times add up, and together should stay below the timeout of a Tango call.
MOST_IN_A_CALL = 32

# Bytes of a value from which on it is large, and would hold up the small ones of its call.
LARGE = 10_000

# Seconds for which an attribute is read alone after it was large, or its call failed as a whole; how many attributes.
_ALONE_FOR, _MOST_ALONE = 60.0, 10_000


class _Batch:
    """The reads of one call, by attribute.

    generation: of the device's readings when the call was asked for; is_ended: whether a caller has left it.
    """

    __slots__ = ("generation", "is_ended", "reads", "url")

    def __init__(self, url: str, generation: int) -> None:
        self.url, self.generation, self.is_ended = url, generation, False
        self.reads: dict[Hashable, AttributeRead] = {}


class _Answer(NamedTuple):
    """The readings of a call by attribute, and the attributes whose values are large."""

    readings: dict[Hashable, Reading[Any]]
    large: set[Hashable]


class MergedReads(Reads):
    """Reads that merge; chosen by MTANGO_MERGE_READS. Threads without a hub have no turns, and do not merge."""

    def __init__(
        self,
        max_age: float,
        memory: int,
        make_signal: Callable[[], Signal],
        flights: type[SingleFlight] = SingleFlight,
    ) -> None:
        super().__init__(max_age, memory, make_signal, flights)
        self._flights = flights(make_signal)
        self._open: dict[tuple[str, int], _Batch] = {}  # those of this turn
        self._under_way: dict[tuple[str, int, Hashable], _Batch] = {}  # by attribute
        self._alone: TTLCache[tuple[str, Hashable], bool] = TTLCache(_MOST_ALONE, _ALONE_FOR)

    def get(
        self,
        url: str,
        what: Hashable,
        bulkhead: Bulkhead,
        connect: Callable[[], tango.DeviceProxy],
        read: Callable[[tango.DeviceProxy], T],
        kept: bool = True,
    ) -> Reading[T]:
        """Return the reading, as Reads does; that of one attribute perhaps from a call for several."""
        if not isinstance(read, AttributeRead) or not bulkhead.keeps_deadlines() or (url, what) in self._alone:
            return super().get(url, what, bulkhead, connect, read, kept)
        reading: Reading[Any] | None = self._cache.find(url, what) if kept and self._keeps else None
        if reading is None:
            reading = self._read_merged(url, what, Route(bulkhead, "read"), connect(), read)
        if reading is None:
            return super().get(url, what, bulkhead, connect, read, kept)
        if reading.items.has_failed:
            raise as_read_of_one(DevFailed(*reading.items.get_err_stack()), read.taken)
        return reading

    def _read_merged(
        self, url: str, what: Hashable, route: Route, proxy: tango.DeviceProxy, read: AttributeRead
    ) -> Reading[Any] | None:
        """Return a reading, perhaps a failed one; None where the call has failed in a way that tells nothing of it."""
        batch = self._batch(url, what, read)
        try:
            answer = self._flights.do(batch, lambda: self._read(batch, proxy), route)
            if what in answer.large:
                self._alone[url, what] = True
            return answer.readings[what]
        except DevFailed as failure:
            if len(batch.reads) == 1:
                raise
            unanswered = status_of(failure) == 503
            if not unanswered or has_timed_out(failure):
                self._alone[url, what] = True
            if not unanswered:
                return None
            raise as_read_of_one(failure, read.taken) from None
        except Exception:  # PyTango converts all or none
            if len(batch.reads) == 1:
                raise
            self._alone[url, what] = True
            return None
        finally:
            self._end(batch)

    def _batch(self, url: str, what: Hashable, read: AttributeRead) -> _Batch:
        """Return the batch that has the attribute, or the one of this turn with the attribute added."""
        generation = self._cache.generation(url)
        batch = self._under_way.get((url, generation, what))
        if batch is None:
            batch = self._open.get((url, generation))
            if batch is None or len(batch.reads) == MOST_IN_A_CALL:
                batch = self._open[url, generation] = _Batch(url, generation)
                # Before the leader starts the call: it waits for the end of the turn, too, and later in the queue.
                gevent.get_hub().loop.run_callback(self._open.pop, (url, generation), None)
            batch.reads[what] = read
            self._under_way[url, generation, what] = batch
        return batch

    def _end(self, batch: _Batch) -> None:
        """Let no more callers join a call, as its first caller leaves it."""
        if batch.is_ended:
            return
        batch.is_ended = True
        if self._open.get((batch.url, batch.generation)) is batch:
            del self._open[batch.url, batch.generation]
        for what in batch.reads:
            self._under_way.pop((batch.url, batch.generation, what), None)

    def _read(self, batch: _Batch, proxy: tango.DeviceProxy) -> _Answer:
        asked, began = time.monotonic(), time.perf_counter()
        items = with_reasons(_read_all, proxy, list(batch.reads.values()))
        readings = {what: Reading(item, began) for what, item in zip(batch.reads, items, strict=True)}
        if self._keeps:
            for what, reading in readings.items():
                self._cache.keep(batch.url, what, reading, batch.generation, asked)
        large = {what for what, reading in readings.items() if value_size(reading.items) >= LARGE}
        return _Answer(readings, large)


def _read_all(proxy: tango.DeviceProxy, reads: list[AttributeRead]) -> list[tango.DeviceAttribute]:
    """Read attributes in one call. One by itself fails with DevFailed, one of several has `has_failed`."""
    if len(reads) == 1:
        return [reads[0](proxy)]
    return proxy.read_attributes([read.taken for read in reads])
