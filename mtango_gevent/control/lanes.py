"""The lanes of all devices, and the servers that they lead to."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable

from mtango_gevent.control.cache import Cache, NativeLock
from mtango_gevent.control.device_lane import DeviceLane
from mtango_gevent.control.green import Green
from mtango_gevent.control.server import Server
from mtango_gevent.names import local_name
from mtango_gevent.reports import Row

# Seconds without an answer after which a database is pinged: another one may have to be asked.
_DATABASE_PATIENCE = 1.0


class Lanes:
    """Each is there for as long as anything uses it, and for long besides, so that what is known of a device lasts.

    probe and ping: as those of DeviceLane, given its name.
    """

    def __init__(self, green: Green, probe: Callable[[str], object], ping: Callable[[str], object]) -> None:
        self._green = green
        self._probe, self._ping = probe, ping
        self._lanes: weakref.WeakValueDictionary[str, DeviceLane] = weakref.WeakValueDictionary()
        self._recent = Cache(green.config.cache_size, green.config.cache_idle)
        self._servers: weakref.WeakValueDictionary[str, Server] = weakref.WeakValueDictionary()
        self._guard = NativeLock()

    def get(self, url: str) -> DeviceLane:
        """The lane of a device's calls; url: the name Tango knows it by, in lower case, perhaps with its Tango host."""
        with self._guard:
            lane = self._lanes.get(url)
            if lane is None:
                lane = self._lanes[url] = self._make(url)
                self._recent.store(url, lane)
            return lane

    def is_database(self, url: str) -> bool:
        """Whether that device is the database of its Tango host."""
        return local_name(url) == self._green.config.database_device.lower()

    def lead(self, lane: DeviceLane, server: str) -> None:
        """The device belongs to the device server of that name."""
        with self._guard:
            known = self._servers.get(server)
            if known is None:
                limit, share = self._green.config.server_limit, self._green.shares.calls
                known = self._servers[server] = Server(self._green, server, limit, share)
        lane.belongs_to(known)

    def reset(self) -> None:
        """As if none had ever failed."""
        for lane in self._all():
            lane.circuit.reset()

    def info(self) -> dict[str, int]:
        """Figures: devices that are open, servers that do not answer."""
        lanes = self._all()
        silent = {lane.server for lane in lanes if lane.server and lane.server.silent_since}
        return {"devices": sum(lane.is_open for lane in lanes), "servers": len(silent)}

    def waiting(self) -> int:
        """How many calls wait for a slot."""
        return sum(lane.waiting for lane in self._all())

    def report(self) -> list[Row]:
        """Of all devices that were ever called: those in trouble first, then those that are asked most."""
        rows = [lane.figures() for lane in self._all() if lane.is_known]
        return sorted(rows, key=lambda row: (row["state"] == "closed", -row["calls"]))

    def _all(self) -> list[DeviceLane]:
        with self._guard:
            return list(self._lanes.values())

    def _make(self, url: str) -> DeviceLane:
        config, shares = self._green.config, self._green.shares
        asking = functools.partial(self._probe, url), functools.partial(self._ping, url)
        if not self.is_database(url):
            return DeviceLane(self._green, url, config.device_limit, shares.calls, *asking)
        lane = DeviceLane(self._green, url, config.database_limit, shares.databases, *asking)
        lane.kind, lane.patience = "database", _DATABASE_PATIENCE
        # Pinged also while unused: a server of a redundant database gets no calls once another one has answered.
        lane.belongs_to(Server(self._green, f"of {url}", config.database_limit, shares.databases, forget_after=None))
        return lane
