"""The scoreboard: what the workers of a gateway know of each other besides their metrics.

Each worker has a slot: its process id, its start, the clears of caches that it has applied, the status of its devices
and streams, its last failed requests.
The slots are memory that the workers inherit. Each has one writer, so there is no lock that a killed worker could hold.
Under other WSGI servers than gunicorn each process has a scoreboard of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import mmap
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

DeviceStatus = StreamStatus = FailedRequest = dict[str, Any]

CACHES = ("devices", "attributes")

# Twice the most workers that the settings allow: during a reload there are the old and the new ones.
MOST_WORKERS = 512

# Devices in the status of one worker.
_MOST_DEVICES = 1000

# Numbers of a slot. Slot 0 is not a worker's: it has the start of the gateway and the last clear of each cache.
_PID, _STARTED, _IN_PROGRESS, *_CLEARS = range(3 + len(CACHES))
_SIZE = 3 + len(CACHES)

_RESERVED = -1
_MICRO = 1_000_000

# A folder in /dev/shm, as the workers write into it every half second.
_PARENT, _PREFIX = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()), "mtango-gevent-"

# Seconds after which a folder without a lock has no owner, and is not just being made.
_STALE = 60

_CIRCUITS = ("closed", "half-open", "open")


class Scoreboard:
    """The slots of `workers` workers. secret: with it a worker signs what only the workers of this gateway may make."""

    folder: Path | None = None  # for the files of metrics and device status, where there are several workers

    def __init__(self, workers: int) -> None:
        self.secret = secrets.token_bytes(32)
        self._numbers = memoryview(mmap.mmap(-1, 8 * _SIZE * (1 + workers))).cast("q")
        self._numbers[_STARTED] = _now()
        self.last_clears = self._numbers[_CLEARS[0] : _SIZE]
        self._slots = range(1, 1 + workers)
        self.devices: list[DeviceStatus] = []  # the status of devices, without a folder
        self.streams: list[StreamStatus] = []
        self.failures: list[FailedRequest] = []

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self._numbers[_STARTED] / _MICRO

    # --- in the process that starts the workers ---

    def make_folder(self, user: int = -1, group: int = -1) -> None:
        """Make the folder for workers of that user, and remove those of gateways that were killed.

        It is locked while a process of this gateway lives.
        """
        _remove_stale_folders()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
        self._lock = os.open(self.folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.chown(self.folder, user, group)

    def remove_folder(self) -> None:
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def reserve(self) -> int | None:
        """Return the number of a slot for a worker that is about to start; None if all are taken."""
        number = next((number for number in self._slots if not self._slot(number)[_PID]), None)
        if number is not None:
            self._slot(number)[_PID] = _RESERVED
        return number

    def release(self, number: int | None) -> None:
        """Free the slot of a worker that has ended. Its counters stay; its gauges and the status of its devices go."""
        if number is None:
            return
        self._slot(number)[:] = memoryview(bytes(8 * _SIZE)).cast("q")
        for path in self.folder.glob(f"*_{number}.*") if self.folder else ():
            if path.name.startswith(("gauge_live", "devices_", "streams_")):
                path.unlink()

    # --- in the workers ---

    def occupy(self, number: int) -> WorkerSlot:
        """Return the slot as that of this process, from now on."""
        slot = self._slot(number)
        slot[_STARTED] = _now()
        slot[_CLEARS[0] :] = self.last_clears
        slot[_PID] = os.getpid()
        return WorkerSlot(self, number, slot)

    def workers(self) -> list[WorkerSlot]:
        """Return the slots of all workers."""
        slots = (WorkerSlot(self, number, self._slot(number)) for number in self._slots)
        return [slot for slot in slots if slot.pid not in (0, _RESERVED)]

    def request_clear(self, *caches: str) -> None:
        """Have every worker empty these caches before its next request."""
        for cache in caches:
            self._numbers[self.place(cache)] = time.monotonic_ns()  # another number each time

    def last_clear(self, cache: str) -> int:
        return self._numbers[self.place(cache)]

    @staticmethod
    def place(cache: str) -> int:
        return _CLEARS[CACHES.index(cache)]

    def read_devices(self) -> list[DeviceStatus]:
        """Return a row for each device, by name."""
        return merged(self._read("devices") if self.folder else self.devices)

    def read_streams(self) -> list[StreamStatus]:
        """Return a row for each stream, the oldest first. Reads files."""
        rows = self._read("streams") if self.folder else self.streams
        return sorted(rows, key=lambda row: row["since"])

    def read_failures(self) -> list[FailedRequest]:
        """Return a row for each of the last failed requests, the newest first. Reads files."""
        rows = self._read("failures") if self.folder else self.failures
        return sorted(rows, key=lambda row: -row["time"])

    def _read(self, what: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in self.folder.glob(f"{what}_*.json") if self.folder else ():
            with contextlib.suppress(FileNotFoundError):  # its worker has just ended
                rows += orjson.loads(path.read_bytes())
        return rows

    def _slot(self, number: int) -> memoryview:
        return self._numbers[number * _SIZE : (number + 1) * _SIZE]


class WorkerSlot:
    """The slot of one worker."""

    def __init__(self, scoreboard: Scoreboard, number: int, numbers: memoryview) -> None:
        self.scoreboard, self.number, self._numbers = scoreboard, number, numbers

    @property
    def pid(self) -> int:
        return self._numbers[_PID]

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self._numbers[_STARTED] / _MICRO

    @property
    def in_progress(self) -> int:
        """Requests in progress."""
        return self._numbers[_IN_PROGRESS]

    def add_in_progress(self, number: int) -> None:
        self._numbers[_IN_PROGRESS] += number

    def has_cleared(self, cache: str) -> bool:
        """Return whether the worker has applied the last clear of that cache."""
        return self._numbers[self.scoreboard.place(cache)] == self.scoreboard.last_clear(cache)

    def pending_clears(self) -> Iterator[str]:
        """Yield the caches that this worker has to empty, each once."""
        if self._numbers[_CLEARS[0] :] == self.scoreboard.last_clears:
            return
        for cache in CACHES:
            last = self.scoreboard.last_clear(cache)
            if self._numbers[self.scoreboard.place(cache)] != last:
                yield cache
                self._numbers[self.scoreboard.place(cache)] = last

    def write_devices(self, rows: Iterable[DeviceStatus]) -> None:
        """Publish the status of this worker's devices, the important ones first."""
        status = list(itertools.islice(rows, _MOST_DEVICES))
        if self.scoreboard.folder is None:
            self.scoreboard.devices = status
            return
        self._write("devices", status, self.scoreboard.folder)

    def write_streams(self, rows: list[StreamStatus]) -> None:
        """Publish the streams of this worker."""
        if self.scoreboard.folder is None:
            self.scoreboard.streams = rows
            return
        self._write("streams", rows, self.scoreboard.folder)

    def write_failures(self, rows: list[FailedRequest]) -> None:
        """Publish the last failed requests of this worker. They outlive it, until the next one in its slot has some."""
        if self.scoreboard.folder is None:
            self.scoreboard.failures = rows
            return
        self._write("failures", rows, self.scoreboard.folder)

    def _write(self, what: str, rows: list[dict[str, Any]], folder: Path) -> None:
        path = folder / f"{what}_{self.number}.json"
        new = path.with_suffix(".new")
        new.write_bytes(orjson.dumps(rows))
        new.rename(path)


def merged(rows: Iterable[Mapping[str, Any]]) -> list[DeviceStatus]:
    """Return one row for each device, by name, from those of all workers: with the worst state and the last error."""
    found: dict[str, DeviceStatus] = {}
    for row in rows:
        known = found.get(row["name"])
        found[row["name"]] = _both(known, row) if known else dict(row)
    return [found[name] for name in sorted(found)]


def _both(one: DeviceStatus, other: Mapping[str, Any]) -> DeviceStatus:
    worse, better = sorted((one, other), key=lambda row: -_CIRCUITS.index(row["state"]))
    later = max(one, other, key=lambda row: row["last_error_time"] or 0)
    counts = ("in_flight", "waiting", "calls", "seconds", "failures", "timeouts")
    sums = {key: one[key] + other[key] for key in counts}
    return {**better, **worse, **sums, **{key: later[key] for key in ("last_error", "last_error_time")}}


def _remove_stale_folders() -> None:
    for folder in _PARENT.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or in use
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - folder.stat().st_mtime > _STALE:
                    shutil.rmtree(folder)
            finally:
                os.close(lock)


def _now() -> int:
    return int(time.time() * _MICRO)


_shared: Scoreboard | None = None


def share() -> Scoreboard:
    """Return the scoreboard that the workers inherit: always the same, however often the configuration is read."""
    global _shared
    _shared = _shared or Scoreboard(MOST_WORKERS)
    return _shared
