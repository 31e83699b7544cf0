"""What each worker has to say of its devices, in memory that the workers share: rows of JSON, the newest only."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Row = dict[str, Any]

# Bytes of each worker's report: room for more than a thousand devices.
_AREA = 1 << 19

_NUMBER, _LENGTH, _TEXT = 0, 8, 16

# The worst of several workers' states is that of the device.
_STATES = ("closed", "half-open", "open")


class Reports:
    """A report for each worker, which alone writes it. Its number is odd while it is being written."""

    def __init__(self, workers: int) -> None:
        self._bytes = memoryview(mmap.mmap(-1, _AREA * workers))  # takes what is written only
        self._workers = workers

    def write(self, worker: int, rows: Iterable[Row]) -> None:
        """Put `rows` in the place of those before, as many as there is room for: the important ones first."""
        lines, room = list[bytes](), _AREA - _TEXT
        for row in rows:
            line = orjson.dumps(row)
            room -= len(line) + 1
            if room < 0:
                break
            lines.append(line)
        text, area = b"\n".join(lines), self._area(worker)
        number = self._word(area, _NUMBER) | 1
        self._set(area, _NUMBER, number)
        area[_TEXT : _TEXT + len(text)] = text
        self._set(area, _LENGTH, len(text))
        self._set(area, _NUMBER, number + 1)

    def read(self) -> list[Row]:
        """The rows of all workers; not of one that was killed as it wrote."""
        return [orjson.loads(line) for worker in range(self._workers) for line in self._lines(worker)]

    def _lines(self, worker: int) -> list[bytes]:
        area = self._area(worker)
        for _ in range(1000):
            number = self._word(area, _NUMBER)
            text = area[_TEXT : _TEXT + self._word(area, _LENGTH)].tobytes()
            if number % 2 == 0 and self._word(area, _NUMBER) == number:
                return text.split(b"\n") if text else []
        return []

    def _area(self, worker: int) -> memoryview:
        return self._bytes[worker * _AREA : (worker + 1) * _AREA]

    @staticmethod
    def _word(area: memoryview, place: int) -> int:
        return int.from_bytes(area[place : place + 8], "little")

    @staticmethod
    def _set(area: memoryview, place: int, value: int) -> None:
        area[place : place + 8] = value.to_bytes(8, "little")


def merged(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """One row for each device, by name, of those that the workers have of it."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.get(row["name"])
        found[row["name"]] = _both(known, row) if known else dict(row)
    return [found[name] for name in sorted(found)]


def _both(one: Row, other: Mapping[str, Any]) -> Row:
    worse, better = sorted((one, other), key=lambda row: -_STATES.index(row["state"]))
    later = max(one, other, key=lambda row: row["last_error_time"] or 0)
    sums = {key: one[key] + other[key] for key in ("in_flight", "waiting", "calls", "seconds", "timeouts")}
    return {**better, **worse, **sums, **{key: later[key] for key in ("last_error", "last_error_time")}}
