"""TangoClient: what one application keeps of Tango."""

from __future__ import annotations

import tango
import tango.gevent

from mtango_gevent.config import Config
from mtango_gevent.control.cache import Cache
from mtango_gevent.control.green import Green, Lane
from mtango_gevent.control.proxies import ProxyCache

# Entries of each cache of metadata: room for the attributes of thousands of devices, a few hundred bytes each.
METADATA_SIZE = 100_000


class TangoClient:
    """Executor, proxies and caches of one application. Makes no connection by itself, so it may be made anywhere."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.green = Green(config)
        self.proxies = ProxyCache(config.cache_size, config.cache_idle)
        self.attributes = Cache(METADATA_SIZE, config.metadata_lifetime)
        self.descriptions = Cache(METADATA_SIZE, config.metadata_lifetime)
        self.names = Cache(METADATA_SIZE, config.cache_idle)

    def device_proxy(self, url: str, lane: Lane, connecting: Lane) -> tango.DeviceProxy:
        """The green proxy of a device, from the cache, else made now. Raises DevFailed.

        url: the name Tango knows it by, in lower case, with or without tango://host:port/.
        lane: the one its calls take; connecting: the one in which it is made.
        """

        def make() -> tango.DeviceProxy:
            proxy = tango.gevent.DeviceProxy(url, threadpool=lane)
            proxy.set_timeout_millis(int(self.config.tango_timeout * 1000))
            return proxy

        return self.proxies.get(url, connecting, make)

    def clean_devices(self) -> None:
        """Forget proxies and all that is known of devices."""
        self.proxies.clear()
        self.descriptions.clear()
        self.names.clear()
        self.clean_attributes()

    def clean_attributes(self) -> None:
        """Forget attribute configurations."""
        self.attributes.clear()
