"""The keeper of subscriptions: reads attributes that send no events, checks subscriptions that have been silent for
long, and ends those without listeners.

One device or server that does not answer must not cost the others their threads: a device is read by one thread at a
time, all together by a part of the pool, those that failed the last time by a smaller one; and one thread unsubscribes.
What is found out about a device counts for its circuit, and an open one is not read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mtango_gevent.control.calls import Bulkhead
from mtango_gevent.control.events.subscription import Subscription
from mtango_gevent.errors import DevFailed, status_of

if TYPE_CHECKING:
    from mtango_gevent.control.events.hub import EventHub

logger = logging.getLogger(__name__)

# For how long a device that is out of reach is not read again.
_REST_SECONDS = 3.0


class EventPoller:
    """At work as long as its hub has subscriptions."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._polled_now: set[str] = set()
        self._lost_until: dict[str, float] = {}
        self._at_work = False

    def begin(self) -> None:
        """If it is not at work already."""
        with self._hub.guard:
            begin, self._at_work = not self._at_work, True
        if begin:
            self._hub.concurrency.spawn(self._work)

    def read_first(self, subscription: Subscription) -> None:
        """Read the value of a new subscription, without holding up its listeners."""
        url = subscription.source.url
        with self._hub.guard:
            if not subscription.is_new or url in self._polled_now or url in self._lost_until:
                return  # the next look does it
            self._polled_now.add(url)
        self._hub.concurrency.spawn(self._poll, url, [subscription])

    def _work(self) -> None:
        try:
            while self._goes_on():
                self._hub.concurrency.sleep(self._hub.config.event_poll_period)
                self._look()
        except BaseException:  # of ours: the next one to listen begins anew
            self._at_work = False
            raise

    def _goes_on(self) -> bool:
        with self._hub.guard:
            self._at_work = self._hub.in_use()
            return self._at_work

    def _look(self) -> None:
        now, polled = time.monotonic(), dict[str, list[Subscription]]()
        for subscription in self._hub.subscriptions():
            url = subscription.source.url
            if url in self._polled_now:  # the device is slower than the period
                continue
            if subscription.is_unheard(now - self._hub.config.event_linger):
                self._hub.retire(subscription)
            if subscription.is_due() and now >= self._lost_until.get(url, now):
                polled.setdefault(url, []).append(subscription)
        ended = self._hub.take_ended(self._polled_now)
        if ended:
            self._hub.concurrency.spawn(self._unsubscribe, ended)
        for url, subscriptions in polled.items():
            self._polled_now.add(url)
            self._hub.concurrency.spawn(self._poll, url, subscriptions)

    def _poll(self, url: str, subscriptions: Iterable[Subscription]) -> None:
        partitions, lost = self._hub.partitions, None
        bulkhead = partitions.unresponsive if url in self._lost_until else partitions.events
        try:
            for subscription in subscriptions:
                lost = _poll_or_fail(subscription, bulkhead, lost)
        finally:
            self._lost_until.pop(url, None)
            if lost:
                self._lost_until[url] = time.monotonic() + _REST_SECONDS
            self._polled_now.discard(url)

    def _unsubscribe(self, ended: Iterable[tuple[str, Callable[[], None]]]) -> None:
        for name, unsubscribe in ended:
            try:
                self._hub.partitions.unsubscribing.call("subscription", unsubscribe)
            except DevFailed as failure:
                logger.warning("cannot unsubscribe from %s: %s", name, failure.args[0].reason)


def _poll_or_fail(subscription: Subscription, bulkhead: Bulkhead, lost: DevFailed | None) -> DevFailed | None:
    """Read it, unless the device is `lost` already; who listens is told of a failure. Gives the one that lost it."""
    try:
        if lost:
            raise lost
        subscription.source.bulkhead.call("read", subscription.poll, through=bulkhead)
    except DevFailed as failure:
        subscription.fail(failure)
        return failure if status_of(failure) == 503 else None
    return None
