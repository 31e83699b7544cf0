"""The bulkheads of all devices, and of the servers that they belong to."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from cachetools import TTLCache

from mtango_gevent.config import Config
from mtango_gevent.control.calls.breaker import CircuitBreaker
from mtango_gevent.control.calls.bulkhead import Bulkhead, Times
from mtango_gevent.control.calls.counter import CallCounter
from mtango_gevent.control.calls.device_health import DeviceHealth, MetadataHealth
from mtango_gevent.control.calls.native import NativeLock
from mtango_gevent.control.calls.partitions import Partitions
from mtango_gevent.control.calls.server_health import ServerHealth
from mtango_gevent.control.calls.threads import ThreadPool
from mtango_gevent.names import local_name
from mtango_gevent.scoreboard import DeviceStatus

# Seconds without an answer after which a database is pinged: another one may have to be asked.
_DATABASE_PATIENCE = 1.0

# Connections that are made to one server at a time, as a frozen one holds each for seconds.
_CONNECTIONS = 2


class Server:
    """The bulkheads of one device server, for calls, metadata and connections, and its health."""

    def __init__(
        self, health: ServerHealth, limit: int, pool: ThreadPool, times: Times, partitions: Partitions, share: Bulkhead
    ) -> None:
        self.health = health

        def part(limit: int, share: Bulkhead) -> Bulkhead:
            return Bulkhead(f"the server {health.name}", limit, pool, share.health, times, share, shares=True)

        self.calls = part(limit, share)
        self.metadata = part(limit, partitions.metadata)
        self._connections = part(_CONNECTIONS, partitions.connections)
        self._unreachable = part(_CONNECTIONS, partitions.unreachable)

    def connection_bulkhead(self) -> Bulkhead:
        """Return the bulkhead to connect in: an unreachable server takes no thread that others need."""
        return self._unreachable if self.health.is_unreachable() else self._connections


class DeviceBulkhead(Bulkhead):
    """The bulkhead of calls to one device. metadata: the one of questions about it, which its server answers.

    connected_through: the prefix that its connections were made with, see Database.through.
    """

    health: DeviceHealth

    def __init__(
        self, health: DeviceHealth, limit: int, pool: ThreadPool, times: Times, queue: int, partitions: Partitions
    ) -> None:
        name = health.device
        super().__init__(name, limit, pool, health, times, partitions.calls, queue=queue)
        self.metadata = Bulkhead(name, limit, pool, MetadataHealth(health), times, partitions.metadata, queue=queue)
        self.server: Server | None = None  # None until it is known
        self.connected_through = ""

    def assign_server(self, server: Server) -> None:
        """Put the device into the bulkheads of its server."""
        self.server, self.health.server = server, server.health
        self.parent, self.metadata.parent = server.calls, server.metadata

    @property
    def waiting(self) -> int:
        """Calls that wait for a place, in the bulkheads of the device or further on."""
        further_on = max(0, self.semaphore.taken - self.health.breaker.in_flight)
        return self.semaphore.waiting + self.metadata.semaphore.waiting + further_on

    @property
    def is_open(self) -> bool:
        """Whether the circuit of the device is open."""
        return self.health.breaker.opened > 0

    @property
    def is_silent(self) -> bool:
        """Whether the server of the device does not answer."""
        return self.health.silent_since > 0

    def status(self) -> DeviceStatus:
        """Return a row of the device status. Times are seconds, points in time seconds since the epoch."""
        silent_since = self.health.silent_since
        return {
            "name": self.name,
            "server": self.server and self.server.health.name,
            **self.health.breaker.status(),
            **({"state": "open", "open_since": silent_since, "next_try": None} if silent_since else {}),
            "in_flight": self.health.breaker.in_flight,
            "waiting": self.waiting,
        }


class BulkheadRegistry:
    """The bulkheads of devices by name, kept while they are used and for `cache_idle` seconds after that.

    probe, ping: as those of DeviceHealth, with the device's name as argument.
    """

    def __init__(
        self,
        config: Config,
        pool: ThreadPool,
        partitions: Partitions,
        counter: CallCounter,
        probe: Callable[[str], object],
        ping: Callable[[str], object],
    ) -> None:
        self._config, self._pool, self._partitions, self._counter = config, pool, partitions, counter
        self._times = Times(config.queue_timeout, config.call_deadline)
        self._probe, self._ping = probe, ping
        self._bulkheads: weakref.WeakValueDictionary[str, DeviceBulkhead] = weakref.WeakValueDictionary()
        self._recent: TTLCache[str, DeviceBulkhead] = TTLCache(config.cache_size, config.cache_idle)
        self._servers: weakref.WeakValueDictionary[str, Server] = weakref.WeakValueDictionary()
        self._guard = NativeLock()

    def get(self, url: str) -> DeviceBulkhead:
        """Return the bulkhead of a device. url: its name in lower case, perhaps with tango://host:port/."""
        with self._guard:
            bulkhead = self._bulkheads.get(url)
            if bulkhead is None:
                bulkhead = self._bulkheads[url] = self._make(url)
                self._recent[url] = bulkhead
            return bulkhead

    def is_database(self, url: str) -> bool:
        """Return whether that device is the database of its Tango host."""
        return local_name(url) == self._config.database_device.lower()

    def assign_server(self, bulkhead: DeviceBulkhead, name: str) -> None:
        """Put a device into the bulkheads of the device server of that name."""
        with self._guard:
            server = self._servers.get(name)
            if server is None:
                health = self._server_health(name)
                server = self._servers[name] = self._server(health, self._config.server_limit, self._partitions.calls)
        bulkhead.assign_server(server)

    def reset(self) -> None:
        """Close all circuits."""
        for bulkhead in self._all():
            bulkhead.health.breaker.reset()

    def info(self) -> dict[str, int]:
        """Return the numbers of open devices and of servers that do not answer."""
        bulkheads = self._all()
        silent = {bulkhead.server for bulkhead in bulkheads if bulkhead.is_silent}
        return {"devices": sum(bulkhead.is_open for bulkhead in bulkheads), "servers": len(silent)}

    def waiting(self) -> int:
        """Return the number of calls that wait for a place."""
        return sum(bulkhead.waiting for bulkhead in self._all())

    def status(self) -> list[DeviceStatus]:
        """Return the status of each device that has been called: open ones first, then those with most calls."""
        rows = [bulkhead.status() for bulkhead in self._all() if bulkhead.health.breaker.is_used]
        return sorted(rows, key=lambda row: (row["state"] == "closed", -row["calls"]))

    def _all(self) -> list[DeviceBulkhead]:
        with self._guard:
            return list(self._bulkheads.values())

    def _make(self, url: str) -> DeviceBulkhead:
        config, is_database = self._config, self.is_database(url)
        limit = config.database_limit if is_database else config.device_limit
        health = self._device_health(url)
        bulkhead = DeviceBulkhead(health, limit, self._pool, self._times, config.device_queue, self._partitions)
        if is_database:
            health.patience = _DATABASE_PATIENCE
            # Pinged also while it is unused: once another server of the database has answered, this one gets no calls.
            server = self._server_health(f"of {url}", forget_after=None)
            bulkhead.assign_server(self._server(server, config.database_limit, self._partitions.databases))
        return bulkhead

    def _device_health(self, url: str) -> DeviceHealth:
        config = self._config
        late_after = 0.9 * min(config.tango_timeout, config.call_deadline)
        return DeviceHealth(
            self._counter,
            CircuitBreaker(url, config.open_after, late_after),
            self._pool.concurrency,
            self._partitions.probes,
            config.retry_after,
            functools.partial(self._probe, url),
            functools.partial(self._ping, url),
        )

    def _server_health(self, name: str, **options: Any) -> ServerHealth:
        pings, retry_after = self._partitions.pings, self._config.retry_after
        return ServerHealth(name, self._pool.concurrency, pings, retry_after, **options)

    def _server(self, health: ServerHealth, limit: int, share: Bulkhead) -> Server:
        return Server(health, limit, self._pool, self._times, self._partitions, share)
