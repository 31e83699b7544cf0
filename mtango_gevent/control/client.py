"""TangoClient: what one application keeps of Tango."""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tango
from tango.gevent_executor import set_global_executor

from mtango_gevent.config import Config
from mtango_gevent.control.addresses import Addresses
from mtango_gevent.control.background import Background
from mtango_gevent.control.cache import Cache
from mtango_gevent.control.calls import (
    Bulkhead,
    BulkheadRegistry,
    CallCounter,
    Concurrency,
    DeviceBulkhead,
    NativeLock,
    Partitions,
    ThreadPool,
)
from mtango_gevent.control.database import Address, Database, DatabaseServer
from mtango_gevent.control.derived_cache import DerivedCache
from mtango_gevent.control.events import ConfigurationWatch, EventHub, OpenStreams
from mtango_gevent.control.merged_reads import MergedReads
from mtango_gevent.control.reads import Reads
from mtango_gevent.control.single_flight import Route
from mtango_gevent.control.tracing import open_tracing
from mtango_gevent.errors import DevFailed
from mtango_gevent.metrics import CacheMetrics, Metrics, own
from mtango_gevent.names import local_name

T = TypeVar("T")
R = TypeVar("R")

# Entries of each cache of metadata: room for the attributes of thousands of devices, a few hundred bytes each.
METADATA_SIZE = 100_000

# Bytes of the lists of devices that are kept: sorted names and JSON of 10,000 devices take 5 MB.
_DERIVED_MEMORY = 32 << 20


class TangoClient:
    """The bulkheads, proxies and caches of one application. Makes no connection, so it may be made before a fork."""

    def __init__(self, config: Config, metrics: Metrics | None = None) -> None:
        self.config = config
        self.metrics = metrics or own(config.metrics_devices)
        self.concurrency, self.tracing = Concurrency(), open_tracing()
        signal, flights = self.concurrency.signal, self.tracing.flights
        self.pool = ThreadPool(self.concurrency, self.tracing.make_call)
        self.counter = CallCounter(self.metrics)
        self.partitions = Partitions(config, self.pool, self.counter)
        self.bulkheads = BulkheadRegistry(config, self.pool, self.partitions, self.counter, self._probe, self._ping)
        self.executor = self.tracing.make_executor(self.partitions.whole, self.concurrency)
        self.concurrency.on_start(lambda: set_global_executor(self.executor))
        self.background = Background(self.concurrency, config.async_limit)
        self.events = EventHub(config, self.concurrency, self.partitions, self.plain_proxy)
        self.streams = OpenStreams(config, self.concurrency)
        proxies = CacheMetrics(self.metrics, "devices", config.cache_size)
        self.proxies = Cache[Any](
            config.cache_size, config.cache_idle, signal, renew=True, metrics=proxies, flights=flights
        )
        make_reads = MergedReads if config.merge_reads else Reads
        self.reads = make_reads(config.value_max_age, config.value_memory, signal, flights)
        self._configuring: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()
        self._guard = NativeLock()
        attributes = CacheMetrics(self.metrics, "attributes", METADATA_SIZE)
        self.attributes = Cache[Any](
            METADATA_SIZE, config.metadata_lifetime, signal, metrics=attributes, flights=flights
        )
        self.descriptions = Cache[Any](METADATA_SIZE, config.metadata_lifetime, signal, flights=flights)
        self.watch = ConfigurationWatch(
            self.concurrency, self.partitions, self.plain_proxy, self.bulkhead, self.attributes, self.descriptions
        )
        self.names = Cache[str](METADATA_SIZE, config.cache_idle, signal, flights=flights)
        self.database_queries = flights(signal)
        self.derived = DerivedCache(_DERIVED_MEMORY, self.concurrency)
        self.addresses = Addresses(self.concurrency)
        self._databases: dict[str, Database] = {}
        self._database_servers: dict[str, DatabaseServer] = {}

    def database(self, prefix: str, find_addresses: Callable[[], Sequence[Address]]) -> Database:
        """Return the database of a Tango host. Raises what find_addresses raises.

        prefix: what device names of the host begin with; find_addresses: returns the addresses of its servers.
        """
        known = self._databases.get(prefix)
        if known is None:
            addresses = find_addresses()
            with self._guard:
                known = self._databases.setdefault(prefix, Database(self._make_servers(prefix, addresses)))
        return known

    def _make_servers(self, prefix: str, addresses: Sequence[Address]) -> list[DatabaseServer]:
        """Give each server of several a device name of its own, and with that a bulkhead."""
        servers = list[DatabaseServer]()
        for host, port in addresses:
            own = prefix if len(addresses) == 1 else f"tango://{host}:{port}/"
            device = self.config.database_device.lower()
            url = own + device
            find_bulkhead = functools.partial(self.bulkhead, url)
            server = DatabaseServer((host, port), device, self.config.tango_timeout, find_bulkhead)
            servers.append(self._database_servers.setdefault(url, server))
        return servers

    def bulkhead(self, url: str) -> DeviceBulkhead:
        """Return the bulkhead of a device's calls. url: as for device_proxy."""
        return self.bulkheads.get(url)

    def _ping(self, url: str) -> None:
        """Ping the server of a device, in a thread. Raises DevFailed. Does nothing without a cached proxy."""
        asked = self._database_servers.get(url) or self.proxies.peek(url, False)
        if asked:
            asked.ping()

    def _probe(self, url: str) -> None:
        """Read the state of a device, in a thread. Raises DevFailed where it does not answer."""
        database = self._database_servers.get(url)
        if database:
            database.run_here("DbInfo")
            return
        proxy = self.proxies.peek(url, True) or self.proxies.peek(url, False) or self.plain_proxy(url)
        proxy.read_attribute("State")

    def device_proxy(
        self, url: str, find_server: Callable[[bool], str], past_polling: bool = False
    ) -> tango.DeviceProxy:
        """Return the green proxy of a device, connecting if there is none. Raises DevFailed.

        url: the device's name in lower case, with or without tango://host:port/.
        find_server: returns the name of its device server; if its argument is true, by asking the database now.
        past_polling: return the proxy whose reads the device answers itself, also where a polled value is kept.
        """
        bulkhead = self.bulkhead(url)
        if bulkhead.is_silent and not self.bulkheads.is_database(url):
            with contextlib.suppress(DevFailed):  # the device may have been moved to another server
                self.bulkheads.assign_server(bulkhead, find_server(False))
        if bulkhead.connected_through and bulkhead.connected_through != self._through(url):
            bulkhead.connected_through = ""
            self.proxies.forget(url)

        def connect() -> tango.DeviceProxy:
            assert bulkhead.server is not None
            with bulkhead.server.health.connecting():
                # Not tango.gevent.DeviceProxy, which would connect through the global executor.
                bulkhead.connected_through = self._through(url)
                executor = self.tracing.make_executor(bulkhead, self.concurrency)
                full_name = bulkhead.connected_through + url
                proxy = self._ready(
                    tango.DeviceProxy(full_name, green_mode=tango.GreenMode.Gevent, threadpool=executor)
                )
            if past_polling:
                proxy.set_source(tango.DevSource.DEV)
            return proxy

        def find_bulkhead() -> Bulkhead:
            # The database is asked before every connection: PyTango would wait for a frozen one, the first time
            # with a lock that all other connections need.
            server = find_server(True)
            if not self.bulkheads.is_database(url):
                self.bulkheads.assign_server(bulkhead, server)
            assert bulkhead.server is not None
            return bulkhead.server.connection_bulkhead()

        return self.proxies.get(url, past_polling, connect, route=Route(bulkhead, "connection", find_bulkhead))

    def plain_proxy(self, url: str) -> tango.DeviceProxy:
        """Connect a proxy that blocks its thread, for a thread of the pool. Raises DevFailed."""
        return self._ready(tango.DeviceProxy(self._through(url) + url))

    def _through(self, url: str) -> str:
        """Return the prefix that PyTango needs to connect to a device; see Database.through."""
        own = self._databases.get("")
        return own.through if own and local_name(url) == url else ""

    def _ready(self, proxy: tango.DeviceProxy) -> tango.DeviceProxy:
        # The proxy of a frozen server connects in its first method. ping() does so without the GIL.
        proxy.ping()  # pyright: ignore[reportCallIssue]
        proxy.set_timeout_millis(int(self.config.tango_timeout * 1000))
        return proxy

    def ask_at_once(self, ask: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return what `ask` returns for each of the items, which are of different devices, asked at the same time.

        One request takes half of the threads for calls, so that hanging devices leave the others to other requests.
        """
        return self.concurrency.at_once(ask, items, max(1, self.partitions.calls.semaphore.limit // 2))

    def configuring(self, url: str) -> threading.Lock:
        """Return the lock for changing the configuration of a device, in a thread of the pool."""
        with self._guard:
            return self._configuring.setdefault(url, NativeLock())

    def apply_pending_clears(self) -> None:
        """Clear the caches that a request to any worker has asked all workers to clear."""
        for cache in self.metrics.slot.pending_clears():
            {"devices": self._forget_devices, "attributes": self.attributes.clear}[cache]()

    def pool_info(self) -> dict[str, int]:
        """Return figures of the thread pool: threads, calls in flight, calls that were refused or came too late."""
        return {
            "threads": self.pool.threads,
            "in_flight": self.pool.in_flight,
            "maxsize": self.config.pool_size,
            "abandoned": self.pool.abandoned,
            "refused": self.counter.refused,
            "timed_out": self.counter.timed_out,
        }

    def publish(self) -> None:
        """Publish the metrics that other parts of this process count, and the status of its devices, to all workers."""
        self.proxies.count()
        self.attributes.count()
        self.metrics.publish("pool", {**self.pool_info(), "waiting": self.bulkheads.waiting()})
        self.metrics.publish("circuits", self.bulkheads.info())
        self.metrics.publish("events", self.events.info())
        self.metrics.publish("streams", self.streams.info())
        self.metrics.publish("async", self.background.info())
        self.metrics.publish_own()
        self.metrics.slot.write_devices(self.bulkheads.status())

    def publish_streams(self) -> None:
        """Publish the streams of this process to all workers; other greenlets run meanwhile."""
        if self.streams.changes():
            self.partitions.files.call("file", self.metrics.slot.write_streams, self.streams.status())

    def read_streams(self) -> list[dict[str, Any]]:
        """Return a row for each stream of all workers, those of this one as they are now."""
        self.publish_streams()
        return self.partitions.files.call("file", self.metrics.scoreboard.read_streams)

    def _forget_devices(self) -> None:
        self.proxies.clear()
        for database in tuple(self._databases.values()):
            database.disconnect()
        self.bulkheads.reset()
        self.reads.clear()
        self.events.clear()
        self.descriptions.clear()
        self.names.clear()
        self.derived.clear()
