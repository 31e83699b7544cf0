"""The bulkheads of all devices, and the servers that they lead to."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable

from mtango_gevent.control.cache import Cache, NativeLock
from mtango_gevent.control.calls.device_bulkhead import DeviceBulkhead
from mtango_gevent.control.calls.executor import Green
from mtango_gevent.control.calls.server_health import ServerHealth
from mtango_gevent.names import local_name
from mtango_gevent.scoreboard import DeviceStatus

# Seconds without an answer after which a database is pinged: another one may have to be asked.
_DATABASE_PATIENCE = 1.0


class Bulkheads:
    """Each is there for as long as anything uses it, and for long besides, so that what is known of a device lasts.

    probe and ping: as those of DeviceBulkhead, given its name.
    """

    def __init__(self, green: Green, probe: Callable[[str], object], ping: Callable[[str], object]) -> None:
        self._green = green
        self._probe, self._ping = probe, ping
        self._bulkheads: weakref.WeakValueDictionary[str, DeviceBulkhead] = weakref.WeakValueDictionary()
        self._recent = Cache(green.config.cache_size, green.config.cache_idle)
        self._servers: weakref.WeakValueDictionary[str, ServerHealth] = weakref.WeakValueDictionary()
        self._guard = NativeLock()

    def get(self, url: str) -> DeviceBulkhead:
        """The bulkhead of a device's calls; url: the name Tango knows it by, in lower case, perhaps with its
        Tango host."""
        with self._guard:
            bulkhead = self._bulkheads.get(url)
            if bulkhead is None:
                bulkhead = self._bulkheads[url] = self._make(url)
                self._recent.store(url, bulkhead)
            return bulkhead

    def is_database(self, url: str) -> bool:
        """Whether that device is the database of its Tango host."""
        return local_name(url) == self._green.config.database_device.lower()

    def lead(self, bulkhead: DeviceBulkhead, server: str) -> None:
        """The device belongs to the device server of that name."""
        with self._guard:
            known = self._servers.get(server)
            if known is None:
                limit, share = self._green.config.server_limit, self._green.partitions.calls
                known = self._servers[server] = ServerHealth(self._green, server, limit, share)
        bulkhead.belongs_to(known)

    def reset(self) -> None:
        """As if none had ever failed."""
        for bulkhead in self._all():
            bulkhead.circuit.reset()

    def info(self) -> dict[str, int]:
        """Figures: devices that are open, servers that do not answer."""
        bulkheads = self._all()
        silent = {bulkhead.server for bulkhead in bulkheads if bulkhead.server and bulkhead.server.silent_since}
        return {"devices": sum(bulkhead.is_open for bulkhead in bulkheads), "servers": len(silent)}

    def waiting(self) -> int:
        """How many calls wait for a slot."""
        return sum(bulkhead.waiting for bulkhead in self._all())

    def report(self) -> list[DeviceStatus]:
        """Of all devices that were ever called: those in trouble first, then those that are asked most."""
        rows = [bulkhead.figures() for bulkhead in self._all() if bulkhead.is_known]
        return sorted(rows, key=lambda row: (row["state"] == "closed", -row["calls"]))

    def _all(self) -> list[DeviceBulkhead]:
        with self._guard:
            return list(self._bulkheads.values())

    def _make(self, url: str) -> DeviceBulkhead:
        config, partitions = self._green.config, self._green.partitions
        asking = functools.partial(self._probe, url), functools.partial(self._ping, url)
        if not self.is_database(url):
            return DeviceBulkhead(self._green, url, config.device_limit, partitions.calls, *asking)
        bulkhead = DeviceBulkhead(self._green, url, config.database_limit, partitions.databases, *asking)
        bulkhead.kind, bulkhead.patience = "database", _DATABASE_PATIENCE
        # Pinged also while unused: a server of a redundant database gets no calls once another one has answered.
        bulkhead.belongs_to(
            ServerHealth(self._green, f"of {url}", config.database_limit, partitions.databases, forget_after=None)
        )
        return bulkhead
