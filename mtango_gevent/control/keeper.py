"""The keeper of subscriptions: reads what sends no events, and lets go of what nobody listens to any more.

One device or server that does not answer must not cost the others their threads: a device is read by one thread at a
time, all together by a part of the pool, those that failed the last time by a smaller one; and one thread unsubscribes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mtango_gevent.control.subscription import Subscription
from mtango_gevent.errors import DevFailed

if TYPE_CHECKING:
    from mtango_gevent.control.events import EventHub

logger = logging.getLogger(__name__)

# For how long a device that is out of reach is not read again.
_REST_SECONDS = 3.0


class Keeper:
    """At work as long as its hub has subscriptions."""

    def __init__(self, hub: EventHub) -> None:
        size = hub.config.pool_size
        self._hub = hub
        self._polling = hub.green.lane("polling", max(1, size // 4), patient=True, kind="read")
        self._polling_lost = hub.green.lane("polling after a failure", max(1, size // 8), patient=True, kind="read")
        self._unsubscribing = hub.green.lane("unsubscribing", 1, patient=True, kind="subscription")
        self._polled_now: set[str] = set()
        self._lost_until: dict[str, float] = {}
        self._at_work = False

    def begin(self) -> None:
        """If it is not at work already."""
        with self._hub.guard:
            begin, self._at_work = not self._at_work, True
        if begin:
            self._hub.green.spawn(self._work)

    def _work(self) -> None:
        try:
            while self._goes_on():
                self._hub.green.sleep(self._hub.config.event_poll_period)
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
            if subscription.polled and now >= self._lost_until.get(url, now):
                polled.setdefault(url, []).append(subscription)
        ended = self._hub.take_ended(self._polled_now)
        if ended:
            self._hub.green.spawn(self._unsubscribe, ended)
        for url, subscriptions in polled.items():
            self._polled_now.add(url)
            self._hub.green.spawn(self._poll, url, subscriptions)

    def _poll(self, url: str, subscriptions: Iterable[Subscription]) -> None:
        lane, lost = self._polling_lost if url in self._lost_until else self._polling, None
        try:
            for subscription in subscriptions:
                lost = lane.run(subscription.poll, (lost,))
        finally:
            self._lost_until.pop(url, None)
            if lost:
                self._lost_until[url] = time.monotonic() + _REST_SECONDS
            self._polled_now.discard(url)

    def _unsubscribe(self, ended: Iterable[tuple[str, Callable[[], None]]]) -> None:
        for name, unsubscribe in ended:
            try:
                self._unsubscribing.run(unsubscribe)
            except DevFailed as failure:
                logger.warning("cannot unsubscribe from %s: %s", name, failure.args[0].reason)
