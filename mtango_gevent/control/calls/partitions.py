"""The partitions of the thread pool: work that is stuck takes the threads of its own partition only."""

from __future__ import annotations

from mtango_gevent.config import Config
from mtango_gevent.control.calls.bulkhead import UNLIMITED, Bulkhead, Times
from mtango_gevent.control.calls.counter import CallCounter
from mtango_gevent.control.calls.health import Health
from mtango_gevent.control.calls.threads import ThreadPool


class Partitions:
    """10 % of the pool each for metadata, databases, connections, events, probes and pings; the rest for calls.

    calls: reads, writes and commands. metadata: questions that device servers answer by themselves.
    first: a part of calls' for the first values of new subscriptions, among which dozens of devices may hang.
    connections: to servers that may answer; unreachable: connections to those that did not, the last time.
    events: polling of attributes that send none; unresponsive: polling of devices that did not answer the last time.
    unsubscribing: one thread. watching: configuration events, one thread, which a frozen server holds up for seconds.
    subscribing: a part of metadata's; hundreds of requests may subscribe at once, and wait for that until the deadline.
    subscriptions: their store in a file, one thread, for which many short calls may wait.
    files: of access control, of pages and of all workers' figures, one thread.
    passwords: their hashes, one thread, as each takes a processor for long.
    uses: the record of the last uses of API keys, one thread.
    keys: of tokens, fetched from a provider that may be slow, one thread; signatures: slow ones of tokens, one thread.
    logins: at a provider, a few threads.
    pictures: encoding, on a few threads, as each takes a processor; hashes: of large responses, some milliseconds each.
    probes: of open devices; pings: of servers.
    whole: the pool itself, without limits of time.
    """

    def __init__(self, config: Config, pool: ThreadPool, counter: CallCounter) -> None:
        size, tenth = config.pool_size, max(1, config.pool_size // 10)
        few, health = max(1, tenth // 4), Health(counter)
        limited = Times(config.queue_timeout, config.call_deadline)
        patient = Times(config.call_deadline, config.call_deadline)

        def partition(name: str, limit: int, times: Times = limited, parent: Bulkhead | None = None) -> Bulkhead:
            return Bulkhead(name, max(1, limit), pool, health, times, parent, refusal="MTANGO_PoolExhausted")

        self.whole = whole = partition("the gateway's threads", size, UNLIMITED)
        self.calls = partition("the threads for calls", size - 6 * tenth - few, parent=whole)
        self.first = partition("the threads for first values", 3 * tenth, UNLIMITED, self.calls)
        self.metadata = partition("the threads for metadata", tenth, parent=whole)
        self.subscribing = partition("the threads for subscribing", tenth // 2, patient, self.metadata)
        self.databases = partition("the threads for databases", tenth, parent=whole)
        self.connections = partition("the threads for connections", tenth - few, parent=whole)
        self.unreachable = partition("the threads for connections after a failure", few, parent=whole)
        self.events = partition("the threads for polling", tenth - few - 2, UNLIMITED, whole)
        self.unresponsive = partition("the threads for polling after a failure", few, UNLIMITED, whole)
        self.unsubscribing = partition("the thread for unsubscribing", 1, UNLIMITED, whole)
        self.watching = partition("the thread for configuration events", 1, UNLIMITED, whole)
        self.files = partition("the thread for files", 1, parent=whole)
        self.subscriptions = partition("the thread for the store of subscriptions", 1, patient, whole)
        self.passwords = partition("the thread for passwords", 1, patient, whole)
        self.uses = partition("the thread for the last uses of keys", 1, parent=whole)
        self.keys = partition("the thread for the keys of tokens", 1, parent=whole)
        self.signatures = partition("the thread for the signatures of tokens", 1, parent=whole)
        self.logins = partition("the threads for logins", few, parent=whole)
        self.pictures = partition("the threads for pictures", few, parent=whole)
        self.hashes = partition("the threads for hashes", few, parent=whole)
        self.probes = partition("the threads for probes", tenth, UNLIMITED, whole)
        self.pings = partition("the threads for pings", tenth, UNLIMITED, whole)
