"""Which part of the pool each kind of work has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtango_gevent.control.calls.bulkhead import Bulkhead

if TYPE_CHECKING:
    from mtango_gevent.control.calls.executor import Green


class Partitions:
    """Parts of the pool: six of a tenth each, the rest for calls. What gets stuck takes the threads of its own part.

    calls: what devices are asked and told. metadata: what their servers know of them. databases.
    connections: to servers that may answer; lost: to those that did not, the last time.
    events: attributes that send none, which are read; silent: of devices that did not answer; unsubscribing.
    watching: subscribing to configuration events, which one frozen server can hold up for seconds.
    subscribing: a part of that for metadata, as only servers answer it; hundreds of requests may come at once.
    pictures: encoding them. probes: of open devices; pings: of servers.
    """

    def __init__(self, green: Green) -> None:
        tenth = max(1, green.config.pool_size // 10)
        few = max(1, tenth // 4)

        def part(name: str, limit: int) -> Bulkhead:
            return Bulkhead(green, name, max(1, limit), green.threads, refusal="MTANGO_PoolExhausted")

        self.calls = part("the threads for calls", green.config.pool_size - 6 * tenth - few)
        self.metadata = part("the threads for metadata", tenth)
        self.subscribing = Bulkhead(
            green, "the threads for subscribing", max(1, tenth // 2), self.metadata, refusal="MTANGO_PoolExhausted"
        ).timed(green.config.call_deadline, green.config.call_deadline)
        self.databases = part("the threads for databases", tenth)
        self.connections = part("the threads for connections", tenth - few)
        self.lost = part("the threads for connections after a failure", few)
        self.events = part("the threads for polling", tenth - few - 2).timed(None, None)
        self.silent = part("the threads for polling after a failure", few).timed(None, None)
        self.unsubscribing = part("the thread for unsubscribing", 1).timed(None, None)
        self.watching = part("the thread for configuration events", 1).timed(None, None)
        self.pictures = part("the threads for pictures", few)  # each takes a processor: never all of them
        self.probes = part("the threads for probes", tenth).timed(None, None)
        self.pings = part("the threads for pings", tenth).timed(None, None)
