"""The event poller: reads attributes that send no events, checks silent subscriptions, ends those without listeners.

A device or server that does not answer must not occupy the threads of the others: one thread at a time reads a device,
devices that failed the last time share a smaller partition of the pool, and one thread unsubscribes. The calls count
for the device's circuit breaker, and a device whose circuit is open is not read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from mtango_gevent.config import Config
from mtango_gevent.control.calls import Bulkhead, Concurrency, NativeLock, Partitions
from mtango_gevent.control.events.subscription import Subscription
from mtango_gevent.errors import DevFailed, status_of

logger = logging.getLogger(__name__)

# Seconds for which a device that did not answer is not read again.
_REST_SECONDS = 3.0

# Events that all subscriptions keep together, each of which takes 1.6 KB, unless each keeps the least number.
_MOST_EVENTS, _LEAST_EVENTS = 65_536, 16


class EventPoller:
    """The open subscriptions of a process, and the greenlet or thread that looks after them while there are any.

    is_subscribing: returns whether a subscription is being made.
    """

    def __init__(
        self, config: Config, concurrency: Concurrency, partitions: Partitions, is_subscribing: Callable[[], bool]
    ) -> None:
        self._config, self._concurrency, self._partitions = config, concurrency, partitions
        self._is_subscribing = is_subscribing
        self._guard = NativeLock()  # held for dictionary work only
        self._open: set[Subscription] = set()  # retired ones too
        self._polled_now: set[str] = set()
        self._first: dict[str, dict[Subscription, None]] = {}  # whose first values are to be read, by device
        self._unresponsive_until: dict[str, float] = {}  # devices that did not answer
        self._running = False

    def add(self, subscription: Subscription) -> None:
        with self._guard:
            self._open.add(subscription)

    def event_buffer(self) -> int:
        """Return how many events each subscription may keep: fewer than the setting where there are hundreds."""
        limit = self._config.event_buffer
        return min(limit, max(_LEAST_EVENTS, max(limit, _MOST_EVENTS) // max(1, len(self._open))))

    def subscriptions(self) -> list[Subscription]:
        """Return the open subscriptions, retired ones too."""
        with self._guard:
            return list(self._open)

    def begin(self) -> None:
        """Start looking after the subscriptions, unless that is running."""
        with self._guard:
            begin, self._running = not self._running, True
        if begin:
            self._concurrency.spawn(self._run)

    def read_first(self, subscription: Subscription) -> None:
        """Read the value from before the first event, without delaying the caller."""
        url = subscription.source.url
        with self._guard:
            if not subscription.is_new or url in self._unresponsive_until:
                return  # the next look reads it
            self._first.setdefault(url, {})[subscription] = None
            if url in self._polled_now:
                return  # and it comes next
            self._polled_now.add(url)
        self._concurrency.spawn(self._poll_first, url)

    def _run(self) -> None:
        try:
            while self._goes_on():
                self._concurrency.sleep(self._config.event_poll_period)
                self._look()
        except BaseException:  # the next listener starts it again
            self._running = False
            raise

    def _goes_on(self) -> bool:
        with self._guard:
            self._running = bool(self._open) or self._is_subscribing()
            return self._running

    def _look(self) -> None:
        now, polled, ended = time.monotonic(), dict[str, list[Subscription]](), list[tuple[str, Callable[[], None]]]()
        for subscription in self.subscriptions():
            url = subscription.source.url
            ended += [(subscription.source.name, end) for end in subscription.take_replaced()]
            if url in self._polled_now:  # the device is slower than the period
                continue
            if subscription.is_over():
                subscription.retired = True
            if subscription.retired and subscription.close():
                with self._guard:
                    self._open.discard(subscription)
                ended += [(subscription.source.name, end) for end in subscription.take_all()]
            elif subscription.is_due() and now >= self._unresponsive_until.get(url, now):
                polled.setdefault(url, []).append(subscription)
        if ended:
            self._concurrency.spawn(self._unsubscribe, ended)
        for url, subscriptions in polled.items():
            self._polled_now.add(url)
            self._concurrency.spawn(self._poll, url, subscriptions)

    def _poll(self, url: str, subscriptions: Iterable[Subscription]) -> None:
        failure = None
        partition = self._partitions.unresponsive if url in self._unresponsive_until else self._partitions.events
        try:
            for subscription in subscriptions:
                failure = _poll_or_fail(subscription, partition, failure)
        finally:
            self._end_poll(url, failure)

    def _poll_first(self, url: str) -> None:
        failure = None
        try:
            while subscription := self._next_first(url):
                failure = _poll_or_fail(subscription, self._partitions.first, failure)
        finally:
            self._end_poll(url, failure)

    def _next_first(self, url: str) -> Subscription | None:
        """Return the next subscription whose first value is to be read, unless it is there meanwhile."""
        with self._guard:
            first = self._first.get(url, {})
            while first:
                subscription = next(iter(first))
                del first[subscription]
                if subscription.is_new:
                    return subscription
        return None

    def _end_poll(self, url: str, failure: DevFailed | None) -> None:
        self._unresponsive_until.pop(url, None)
        if failure:
            self._unresponsive_until[url] = time.monotonic() + _REST_SECONDS
        with self._guard:
            if not self._first.get(url):
                self._first.pop(url, None)
                self._polled_now.discard(url)
                return
        self._concurrency.spawn(self._poll_first, url)

    def _unsubscribe(self, ended: Iterable[tuple[str, Callable[[], None]]]) -> None:
        for name, unsubscribe in ended:
            try:
                self._partitions.unsubscribing.call("subscription", unsubscribe)
            except DevFailed as failure:
                logger.warning("cannot unsubscribe from %s: %s", name, failure.args[0].reason)


def _poll_or_fail(subscription: Subscription, partition: Bulkhead, before: DevFailed | None) -> DevFailed | None:
    """Poll a subscription, unless its device did not answer before (`before`); return the failure to answer."""
    try:
        if before:
            raise before
        subscription.source.bulkhead.call("read", subscription.poll, through=partition)
    except DevFailed as failure:
        subscription.fail(failure)
        return failure if status_of(failure) == 503 else None
    return None
