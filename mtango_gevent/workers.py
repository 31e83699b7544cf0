"""What the workers of one server share: figures of each and of all, and word that caches are to be emptied.

Whole numbers in memory that the workers inherit. Each part has one writer, so there is no lock that a killed worker
could hold; a worker's counts outlive it, added to those of the past by the process that started it. Where nobody shares
memory, in other servers than gunicorn, a process has all of it for itself.
"""

from __future__ import annotations

import mmap
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from gevent import monkey

from mtango_gevent import series
from mtango_gevent.reports import Reports, Row
from mtango_gevent.series import Key, Series

_NativeLock = monkey.get_original("threading", "Lock")

T = TypeVar("T")

CACHES = ("devices", "attributes")

# Of the process that answers or of all: mtango-py's `resource` (contract: rc3, section 9). Times in microseconds here.
_TIMES = {"user_time": "ru_utime", "system_time": "ru_stime"}
_RESOURCES = {
    "max_resident_mem": "ru_maxrss",
    "shared_mem": "ru_ixrss",
    "unshared_mem": "ru_idrss",
    "unshared_stack_mem": "ru_isrss",
    "sent_msgs": "ru_msgsnd",
    "recv_msgs": "ru_msgrcv",
    "page_faults.major": "ru_majflt",
    "page_faults.minor": "ru_minflt",
    "swap_out": "ru_nswap",
    "block.input": "ru_inblock",
    "block.output": "ru_oublock",
    "signals": "ru_nsignals",
    "context_switch.voluntary": "ru_nvcsw",
    "context_switch.involuntary": "ru_nivcsw",
}

# What goes on counting when a worker is gone.
COUNTERS = (
    "requests",
    "responses",
    "failures",
    *(f"{cache}.{figure}" for cache in CACHES for figure in ("hits", "misses")),
    *(f"pool.{figure}" for figure in ("refused", "timed_out")),
    *(f"events.{figure}" for figure in ("received", "missed", "dropped")),
    *(f"async.{figure}" for figure in ("done", "failed")),
    *(f"resource.{figure}" for figure in (*_TIMES, *_RESOURCES) if figure != "max_resident_mem"),
)

# What goes with it.
GAUGES = (
    *(f"{cache}.{figure}" for cache in CACHES for figure in ("currsize", "maxsize")),
    *(f"pool.{figure}" for figure in ("threads", "in_flight", "waiting", "maxsize", "abandoned")),
    *(f"circuits.{figure}" for figure in ("devices", "servers")),
    *(f"events.{figure}" for figure in ("subscriptions", "polled", "listeners")),
    "async.waiting",
    "resource.max_resident_mem",
)

_PLACES = {name: place for place, name in enumerate((*COUNTERS, *GAUGES))}

# Of a part, before its figures: who has it, since when (microseconds since the epoch), which cleaning it has done.
_PID, _SINCE, *_CLEANED = range(2 + len(CACHES))
_FIGURES = 2 + len(CACHES)
_PART = _FIGURES + len(_PLACES)

# Of the first part, which is nobody's: since when, which cleaning is to be done, and a count that is odd while the
# figures of a worker that has gone are on their way into it.
_MOVING = _PID

_RESERVED = -1

# Twice the most workers that the settings allow: during a reload there are the old and the new ones.
MOST_WORKERS = 512

_MICRO = 1_000_000


class Board:
    """The memory: the past in part 0, a part for each worker."""

    def __init__(self, workers: int) -> None:
        self._words = memoryview(mmap.mmap(-1, 8 * _PART * (1 + workers))).cast("q")
        self._words[_SINCE] = _now()
        self._areas = memoryview(mmap.mmap(-1, 8 * series.AREA * (1 + workers))).cast("q")  # takes what is written only
        self.reports = Reports(1 + workers)
        self._workers = workers

    # --- in the process that starts the workers ---

    def reserve(self) -> int | None:
        """A part for the worker that is about to start. None where there are too many: it has to do without."""
        number = next((number for number in range(1, 1 + self._workers) if not self._part(number)[_PID]), None)
        if number is not None:
            self._part(number)[_PID] = _RESERVED
        return number

    def release(self, number: int | None) -> None:
        """What the worker has counted stays, its part is free for another one."""
        if number is None:
            return
        past, part = self._part(0), self._part(number)
        past[_MOVING] += 1
        for name in COUNTERS:
            past[_FIGURES + _PLACES[name]] += part[_FIGURES + _PLACES[name]]
        Series(self._area(0)).add(series.read(self._area(number)))
        self._area(number)[0] = 0
        self.reports.write(number, ())
        part[:] = memoryview(bytes(8 * _PART)).cast("q")
        past[_MOVING] += 1

    # --- in the workers ---

    def begin(self, number: int) -> Figures:
        """The part of this process, from now on."""
        part = self._part(number)
        part[_SINCE] = _now()
        part[_CLEANED[0] : _CLEANED[-1] + 1] = self._part(0)[_CLEANED[0] : _CLEANED[-1] + 1]
        part[_PID] = os.getpid()
        return Figures(self, number, part, Series(self._area(number)))

    def clean(self, *caches: str) -> None:
        """Have every worker empty those caches before it uses them again."""
        for cache in caches:
            self._words[_CLEANED[CACHES.index(cache)]] = time.monotonic_ns()  # another one each time

    def cleaning(self, cache: int) -> int:
        return self._words[_CLEANED[cache]]

    @property
    def since(self) -> float:
        """When it was made; seconds since the epoch."""
        return self._words[_SINCE] / _MICRO

    def read(self) -> tuple[dict[str, int], list[dict[str, int]]]:
        """(figures of all by name, those of each worker with its `pid` and `since`, in microseconds)."""
        words = self._copy()
        workers = [
            self._figures(words, number)
            for number in range(1, 1 + self._workers)
            if words[number * _PART + _PID] not in (0, _RESERVED)
        ]
        past = {name: words[_FIGURES + _PLACES[name]] for name in COUNTERS}
        total = {name: past.get(name, 0) + sum(worker[name] for worker in workers) for name in _PLACES}
        return total, workers

    def read_series(self) -> dict[Key, list[int]]:
        """Numbers by key, of all."""
        total: dict[Key, list[int]] = {}
        for area in self._copy_areas():
            for key, numbers in series.read(area).items():
                total[key] = [sum(each) for each in zip(numbers, total.get(key, [0] * len(numbers)), strict=True)]
        return total

    def _figures(self, words: list[int], number: int) -> dict[str, int]:
        part = words[number * _PART : (number + 1) * _PART]
        found = {name: part[_FIGURES + place] for name, place in _PLACES.items()}
        for index, cache in enumerate(CACHES):
            if part[_CLEANED[index]] != words[_CLEANED[index]]:  # will be empty before it is used again
                found[f"{cache}.currsize"] = 0
        return {"pid": part[_PID], "since": part[_SINCE], **found}

    def _copy(self) -> list[int]:
        return self._of_one_moment(self._words.tolist)

    def _copy_areas(self) -> list[memoryview]:
        """Not those of parts that nobody has: to look at memory is to take it."""

        def look() -> list[memoryview]:
            used = (number for number in range(1, 1 + self._workers) if self._part(number)[_PID] not in (0, _RESERVED))
            return [series.copy(self._area(number)) for number in (0, *used)]

        return self._of_one_moment(look)

    def _of_one_moment(self, look: Callable[[], T]) -> T:
        """What `look` gives, not while figures are moved, unless who moved them was killed at it."""
        for _ in range(1000):
            before = self._words[_MOVING]
            found = look()
            if before % 2 == 0 and self._words[_MOVING] == before:
                return found
        return look()

    def _part(self, number: int) -> memoryview:
        return self._words[number * _PART : (number + 1) * _PART]

    def _area(self, number: int) -> memoryview:
        return self._areas[number * series.AREA : (number + 1) * series.AREA]


class Figures:
    """Those of this process. Threads may count at the same time."""

    def __init__(self, board: Board, number: int, part: memoryview, rows: Series) -> None:
        self.board = board
        self._number = number
        self._part = part
        self._rows = rows
        self._guard = _NativeLock()

    def count(self, name: str) -> None:
        with self._guard:
            self._part[_FIGURES + _PLACES[name]] += 1

    def count_labelled(self, *key: str) -> None:
        """One more of that name and with those labels."""
        with self._guard:
            self._rows.count(key)

    def time_labelled(self, seconds: float, *key: str) -> None:
        """One more that took so long."""
        with self._guard:
            self._rows.time(key, seconds)

    def set(self, name: str, value: int) -> None:
        self._part[_FIGURES + _PLACES[name]] = value

    def get(self, name: str) -> int:
        return self._part[_FIGURES + _PLACES[name]]

    def publish(self, group: str, figures: Mapping[str, int]) -> None:
        """Have the others know what this process alone can count."""
        for name, value in figures.items():
            self.set(f"{group}.{name}", value)

    def report(self, rows: Iterable[Row]) -> None:
        """Have them know of its devices."""
        self.board.reports.write(self._number, rows)

    def publish_resources(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.publish("resource", {name: int(getattr(usage, key) * _MICRO) for name, key in _TIMES.items()})
        self.publish("resource", {name: getattr(usage, key) for name, key in _RESOURCES.items()})

    def to_clean(self) -> Iterator[str]:
        """The caches that are to be emptied, each told once."""
        for index, cache in enumerate(CACHES):
            wanted = self.board.cleaning(index)
            if wanted != self._part[_CLEANED[index]]:
                yield cache
                self._part[_CLEANED[index]] = wanted


class CacheFigures:
    """Those of one cache."""

    def __init__(self, figures: Figures, cache: str, maxsize: int) -> None:
        self._figures = figures
        self._names = [f"{cache}.{figure}" for figure in ("hits", "misses", "currsize", "maxsize")]
        self._hits, self._misses, self._currsize, maximum = self._names
        figures.set(maximum, maxsize)

    def hit(self) -> None:
        self._figures.count(self._hits)

    def miss(self) -> None:
        self._figures.count(self._misses)

    def size(self, currsize: int) -> None:
        self._figures.set(self._currsize, currsize)


def grouped(figures: Mapping[str, int]) -> dict[str, Any]:
    """`a.b` as b within a; times in seconds."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        *groups, key = name.split(".")
        holder = found
        for group in groups:
            holder = holder.setdefault(group, {})
        holder[key] = value / _MICRO if key in (*_TIMES, "since") else value
    return found


def _now() -> int:
    return int(time.time() * _MICRO)


# --- of this process and those that it starts ---

_board: Board | None = None
_own: Figures | None = None


def share() -> Board:
    """The board that processes started from here on inherit; one, however often the configuration is read."""
    global _board
    _board = _board or Board(MOST_WORKERS)
    return _board


def begin(number: int | None) -> None:
    """In a worker: it has that part of the board it inherited."""
    global _own
    _own = None if number is None else share().begin(number)


def own() -> Figures:
    """The figures of this process; of a board of its own where it has inherited none."""
    return _own or Board(1).begin(1)
