"""The event hub: one source of events for each attribute and kind in a process, however many listen.

Contract: rc3, Decisions "Events".
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import time
import weakref
from collections.abc import Callable, Container

import tango

from mtango_gevent.config import Config
from mtango_gevent.control.attempts import Attempts
from mtango_gevent.control.cache import NativeLock
from mtango_gevent.control.green import Green
from mtango_gevent.control.keeper import Keeper
from mtango_gevent.control.lane import Lane
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
        self._keeper = Keeper(self)
        atexit.register(_end, weakref.ref(self))

    def listen(self, source: Source, find_lane: Callable[[], Lane]) -> Listener:
        """Listen to what comes after this call; `find_lane` names the lane to subscribe in. Raises DevFailed."""
        self._check_limit()
        self._keeper.begin()
        known = self._subscriptions.get(source.key)
        listener = known and known.listen(known.buffer.end)
        if listener:
            return listener
        find, make = functools.partial(self._subscriptions.get, source.key), functools.partial(self._subscribe, source)
        new = self._attempts.join(source.key, source.lane, find_lane, find, make)
        self._keeper.begin()  # in case it has found nothing to do meanwhile
        listener = new.listen(min(1, new.buffer.end))  # the first one is the value that was there already
        if listener:
            return listener
        raise tango_failure("MTANGO_DeviceBusy", f"the subscription to {source.attribute} has just been given up")

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

    def in_use(self) -> bool:
        return bool(self._open or self._attempts)

    def subscriptions(self) -> list[Subscription]:
        """Also those that have been retired and are still listened to."""
        with self.guard:
            return list(self._open)

    def take_ended(self, busy: Container[str]) -> list[tuple[str, Callable[[], None]]]:
        """(name, what is to be done) for those that are retired and not listened to; not those of `busy` devices."""
        with self.guard:
            ended = [each for each in self._open if each.retired and not each.listeners and each.source.url not in busy]
            self._open.difference_update(ended)
            ends = [(each.source.name, each.end()) for each in ended]
        return [(name, end) for name, end in ends if end]

    def stop(self) -> None:
        """Let nobody wait any more."""
        self.stopping = True
        for subscription in self.subscriptions():
            subscription.wake()

    def end(self) -> None:
        """Unsubscribe from all. An interpreter that ends while events come in is aborted."""
        with self.guard:
            left = [subscription.end() for subscription in self._open]
        for unsubscribe in filter(None, left):
            with contextlib.suppress(DevFailed):
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
            subscription.unheard_since = time.monotonic()
            self._subscriptions[source.key] = subscription
            self._open.add(subscription)
        return subscription


def _end(hub: weakref.ref[EventHub]) -> None:
    found = hub()
    if found is not None:
        found.end()
