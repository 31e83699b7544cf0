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
from mtango_gevent.control.calls import Bulkhead, Concurrency, NativeLock, Partitions
from mtango_gevent.control.events.listener import Listener
from mtango_gevent.control.events.poller import EventPoller
from mtango_gevent.control.events.source import Key, Source
from mtango_gevent.control.events.subscription import Subscription
from mtango_gevent.errors import DevFailed, tango_failure


class EventHub:
    """The subscriptions of one application. One guard for all of it, held for work on them only, never for Tango's."""

    def __init__(
        self,
        config: Config,
        concurrency: Concurrency,
        partitions: Partitions,
        connect: Callable[[str], tango.DeviceProxy],
    ) -> None:
        self.config = config
        self.concurrency = concurrency
        self.partitions = partitions
        self.connect = connect
        self.guard = NativeLock()
        self.listeners = self.received = self.missed = self.dropped = 0
        self.places = 0  # that are taken by listeners, and by requests that are about to listen
        self.stopping = False
        self._subscriptions: dict[Key, Subscription] = {}
        self._open: set[Subscription] = set()  # the retired ones too
        self._left: list[tuple[str, Callable[[], None]]] = []  # (name, how to end a subscription of Tango's)
        self._attempts = Attempts("subscription")
        self._keeper = EventPoller(self)
        atexit.register(_end, weakref.ref(self))

    def listen(self, source: Source, find_bulkhead: Callable[[], Bulkhead]) -> Listener:
        """Listen to what comes after this call; `find_bulkhead` names the bulkhead to subscribe in. Raises DevFailed.

        The listener's end gives its place back.
        """
        self._take_place()
        try:
            return self._listen(source, find_bulkhead)
        except BaseException:
            with self.guard:
                self.places -= 1
            raise

    def _listen(self, source: Source, find_bulkhead: Callable[[], Bulkhead]) -> Listener:
        self._keeper.begin()
        known = self._subscriptions.get(source.key)
        if known:
            end = known.buffer.end
            self._settle(known)
            listener = known.listen(end)
            if listener:
                return listener
        find, make = functools.partial(self._subscriptions.get, source.key), functools.partial(self._subscribe, source)
        new = self._attempts.join(source.key, source.bulkhead, find_bulkhead, find, make)
        self._settle(new)
        self._keeper.begin()  # in case it has found nothing to do meanwhile
        listener = new.listen(1)  # number 0 is the value that was there already
        if listener:
            self._keeper.read_first(new)
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
        return bool(self._open or self._left or self._attempts)

    def subscriptions(self) -> list[Subscription]:
        """Also those that have been retired and are still listened to."""
        with self.guard:
            return list(self._open)

    def take_ended(self, busy: Container[str]) -> list[tuple[str, Callable[[], None]]]:
        """(name, what is to be done) for those that are retired and not listened to; not those of `busy` devices."""
        with self.guard:
            ended = [each for each in self._open if each.retired and not each.listeners and each.source.url not in busy]
            self._open.difference_update(ended)
            left, self._left = self._left, []
            ends = [(each.source.name, each.end()) for each in ended]
        return left + [(name, end) for name, end in ends if end]

    def stop(self) -> None:
        """Let nobody wait any more."""
        self.stopping = True
        for subscription in self.subscriptions():
            subscription.wake()

    def end(self) -> None:
        """Unsubscribe from all. An interpreter that ends while events come in is aborted."""
        with self.guard:
            left = [subscription.end() for subscription in self._open] + [end for _, end in self._left]
        for unsubscribe in filter(None, left):
            with contextlib.suppress(DevFailed):
                unsubscribe()

    def unsubscribe(self, name: str, unsubscribe: Callable[[], None]) -> None:
        """Have an earlier subscription of Tango's ended, as soon as may be."""
        with self.guard:
            self._left.append((name, unsubscribe))

    def _settle(self, subscription: Subscription) -> None:
        left = subscription.settled - time.monotonic()
        if left > 0:
            self.concurrency.sleep(left)

    def _take_place(self) -> None:
        """Before anything is waited for, so that the limit holds. Raises DevFailed where as many listen as may."""
        with self.guard:
            taken = self.places
            if taken < self.config.event_limit:
                self.places += 1
                return
        raise tango_failure("MTANGO_TooManyListeners", f"{taken} requests wait for events already")

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
