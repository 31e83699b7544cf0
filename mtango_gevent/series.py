"""Counts and times by labels, in an area of memory that processes share: one of them writes, any of them reads.

An area is whole numbers: how many of them are in use, then the rows. A row is how many numbers it has, how many bytes
its key, the numbers, the key. Rows stay where they are, and one that is new is complete before it is in use.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import TypeAlias

# What is counted, and the values of its labels.
Key: TypeAlias = tuple[str, ...]

# Upper limits of the classes of times, in seconds: from a read in the same machine to the longest wait for an event.
LIMITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# A row of times: how many there were of each class, those beyond the last limit, and their sum.
NO_TIMES = [0] * (len(LIMITS) + 2)

# Numbers of an area: room for every route with every status, and for a thousand devices where they are labels.
AREA = 32 * 1024

# In place of the last label, once three quarters are full: labels are not to take more memory without end.
OTHER = "other"
_FULL = AREA * 3 // 4

_MICRO = 1_000_000


class Series:
    """Those that this process writes into `area`, with what is there already."""

    def __init__(self, area: memoryview) -> None:
        self._area = area
        self._places = {key: place for key, place, _ in _rows(area)}
        area[0] = area[0] or 1

    def count(self, key: Key, number: int = 1) -> None:
        place = self._places.get(key) or self._place(key, 1)
        if place:
            self._area[place] += number

    def time(self, key: Key, seconds: float) -> None:
        place = self._places.get(key) or self._place(key, len(NO_TIMES))
        if place:
            self._area[place + bisect.bisect_left(LIMITS, seconds)] += 1
            self._area[place + len(NO_TIMES) - 1] += int(seconds * _MICRO)

    def add(self, rows: dict[Key, list[int]]) -> None:
        """What another one has counted."""
        for key, numbers in rows.items():
            place = self._places.get(key) or self._place(key, len(numbers))
            for offset, number in enumerate(numbers if place else ()):
                self._area[place + offset] += number

    def _place(self, key: Key, size: int) -> int:
        """Where the numbers of a new row begin; 0 where there is no room for it."""
        text = "\0".join(key).encode("utf-8", "replace")
        padded = text + bytes(-len(text) % 8)
        begin, end = self._area[0], self._area[0] + 2 + size + len(padded) // 8
        if end > (AREA if key[-1] == OTHER else _FULL):
            other = (*key[:-1], OTHER)
            return 0 if other == key else self._places.get(other) or self._place(other, size)
        self._area[begin], self._area[begin + 1] = size, len(text)
        self._area[begin + 2 : begin + 2 + size] = memoryview(bytes(8 * size)).cast("q")
        self._area[begin + 2 + size : end] = memoryview(padded).cast("q")
        self._area[0] = end
        self._places[key] = begin + 2
        return begin + 2


def read(area: memoryview) -> dict[Key, list[int]]:
    """Numbers by key."""
    return {key: numbers for key, _, numbers in _rows(area)}


def copy(area: memoryview) -> memoryview:
    """What of it is in use, as it is now."""
    return memoryview(area[: area[0]].tobytes()).cast("q")


def seconds(number: int) -> float:
    """The sum at the end of a row of times."""
    return number / _MICRO


def _rows(area: memoryview) -> Iterator[tuple[Key, int, list[int]]]:
    """(key, where its numbers begin, the numbers)."""
    place, end = 1, area[0] if len(area) else 0
    while place < end:
        size, length = area[place], area[place + 1]
        text = place + 2 + size
        following = text + (length + 7) // 8
        key = area[text:following].tobytes()[:length].decode("utf-8", "replace")
        yield tuple(key.split("\0")), place + 2, area[place + 2 : text].tolist()
        place = following
