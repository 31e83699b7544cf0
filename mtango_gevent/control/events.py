"""The event hub: one source of events for each attribute and kind in a process, however many listen.

Contract: rc3, Decisions "Events".
"""

from __future__ import annotations

import atexit
import functools
import time
import weakref
from collections.abc import Callable, Iterable

import tango

from mtango_gevent.config import Config
from mtango_gevent.control.attempts import Attempts
from mtango_gevent.control.cache import NativeLock
from mtango_gevent.control.green import Green, Lane
from mtango_gevent.control.subscription import Key, Listener, Source, Subscription
from mtango_gevent.errors import DevFailed, tango_failure


class EventHub:
    """The subscriptions of one application. One guard for all of it, held for work on them only, never for Tango's."""

    def __init__(self, config: Config, green: Green, connect: Callable[[str], tango.DeviceProxy]) -> None:
        self.config = config
        self.green = green
        self.connect = connect
        self.guard = NativeLock()
        self.listeners = self.received = self.missed = self.dropped = 0
        self.stopping = False
        self._subscriptions: dict[Key, Subscription] = {}
        self._open: set[Subscription] = set()  # the retired ones too
        self._attempts = Attempts("subscription")
        self._polled_now: set[str] = set()
        self._kept = False
        atexit.register(_end, weakref.ref(self))

    def listen(self, source: Source, find_lane: Callable[[], Lane]) -> Listener:
        """Listen to what comes after this call; `find_lane` names the lane to subscribe in. Raises DevFailed."""
        self._check_limit()
        listener: Listener | None = None
        known = self._subscriptions.get(source.key)
        if known is not None:
            listener = known.listen(known.buffer.end)
        find, make = functools.partial(self._subscriptions.get, source.key), functools.partial(self._subscribe, source)
        while listener is None:
            new = self._attempts.join(source.key, source.lane, find_lane, find, make)
            listener = new.listen(min(1, new.buffer.end))  # the first one is the value that was there already
        self._keep()
        return listener

    def info(self) -> dict[str, int]:
        """Figures: attributes that are listened to, how many of them by reading, listeners; events that came, that
        Tango has lost on their way, and that went before a listener had them."""
        with self.guard:
            return {
                "subscriptions": len(self._open),
                "polled": sum(subscription.polled for subscription in self._open),
                "listeners": self.listeners,
                "received": self.received,
                "missed": self.missed,
                "dropped": self.dropped,
            }

    def clear(self) -> None:
        """Let all go, each once those who listen now have left."""
        for subscription in list(self._subscriptions.values()):
            self.retire(subscription)

    def retire(self, subscription: Subscription) -> None:
        """Whoever comes from now on gets another one."""
        with self.guard:
            if self._subscriptions.get(subscription.source.key) is subscription:
                del self._subscriptions[subscription.source.key]
            subscription.retired = True
        self.close(subscription)

    def close(self, subscription: Subscription) -> None:
        """End a retired one, unless somebody listens."""
        with self.guard:
            if not subscription.retired or subscription.listeners:
                return
            self._open.discard(subscription)
            unsubscribe = subscription.end()
        if unsubscribe is not None:
            self.green.spawn(self._unsubscribe, unsubscribe)  # never in a thread of Tango's

    def stop(self) -> None:
        """Let nobody wait any more."""
        self.stopping = True
        with self.guard:
            subscriptions = list(self._open)
        for subscription in subscriptions:
            subscription.wake()

    def end(self) -> None:
        """Unsubscribe from all. An interpreter that ends while events come in is aborted."""
        with self.guard:
            left = [subscription.end() for subscription in self._open]
        for unsubscribe in left:
            if unsubscribe is not None:
                unsubscribe()

    def _check_limit(self) -> None:
        """Raises DevFailed where as many listen as may."""
        if self.listeners >= self.config.event_limit:
            raise tango_failure("MTANGO_TooManyListeners", f"{self.listeners} requests wait for events already")

    def _subscribe(self, source: Source) -> Subscription:
        """In a thread of the pool."""
        subscription = Subscription(self, source)
        subscription.begin()
        with self.guard:
            self._subscriptions[source.key] = subscription
            self._open.add(subscription)
        return subscription

    def _unsubscribe(self, unsubscribe: Callable[[], None]) -> None:
        self.green.threads.run(unsubscribe, kind="subscription")

    def _keep(self) -> None:
        with self.guard:
            begin, self._kept = not self._kept, True
        if begin:
            self.green.spawn(self._poll_and_sweep)

    def _poll_and_sweep(self) -> None:
        while True:
            self.green.sleep(self.config.event_poll_period)
            now = time.monotonic()
            with self.guard:
                if not self._open:
                    self._kept = False
                    return
                subscriptions = list(self._open)
            polled: dict[str, list[Subscription]] = {}
            for subscription in subscriptions:
                if not subscription.listeners and now - subscription.unheard_since >= self.config.event_linger:
                    self.retire(subscription)
                elif subscription.polled:
                    polled.setdefault(subscription.source.url, []).append(subscription)
            for url, subscriptions in polled.items():
                if url not in self._polled_now:  # else the device is slower than the period
                    self._polled_now.add(url)
                    self.green.spawn(self._poll_device, url, subscriptions)

    def _poll_device(self, url: str, subscriptions: Iterable[Subscription]) -> None:
        lost: DevFailed | None = None
        try:
            for subscription in subscriptions:
                lost = subscription.poll(lost)
        finally:
            self._polled_now.discard(url)


def _end(hub: weakref.ref[EventHub]) -> None:
    found = hub()
    if found is not None:
        found.end()
