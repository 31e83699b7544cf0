"""The event hub: one subscription for each attribute and kind of event in a process, for any number of listeners.

Contract: rc3, Decisions "Events".
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import time
import weakref
from collections.abc import Callable, Iterator

import tango

from mtango_gevent.config import Config
from mtango_gevent.control.calls import Bulkhead, Concurrency, NativeLock, Partitions
from mtango_gevent.control.events.admission import Admission, Turn
from mtango_gevent.control.events.buffer import microseconds
from mtango_gevent.control.events.channel import EventCounters
from mtango_gevent.control.events.listener import Listener
from mtango_gevent.control.events.notices import Notices
from mtango_gevent.control.events.poller import EventPoller
from mtango_gevent.control.events.source import KINDS, Key, Source
from mtango_gevent.control.events.subscription import Subscription
from mtango_gevent.control.single_flight import Route, SingleFlight
from mtango_gevent.errors import DevFailed, tango_failure

# Seconds for which a subscription is kept after the last stream has left it: a client comes back a second after its
# connection was lost. Long polls leave after each event, and may take as long as `event_linger` to come back.
_STREAM_LINGER = 2.0

# Subscriptions that are tried for a feed.
_TRIES = 3


class EventHub:
    """The subscriptions of one application. connect: returns a new plain proxy of a device.

    places: listeners, and requests that are about to listen.
    """

    def __init__(
        self,
        config: Config,
        concurrency: Concurrency,
        partitions: Partitions,
        connect: Callable[[str], tango.DeviceProxy],
    ) -> None:
        self.places = 0
        self.stopping = False
        self._config, self._concurrency, self._connect = config, concurrency, connect
        self._guard = NativeLock()
        self._subscriptions: weakref.WeakValueDictionary[Key, Subscription] = weakref.WeakValueDictionary()
        self._flights = SingleFlight(concurrency.signal)
        self._poller = EventPoller(config, concurrency, partitions, functools.partial(bool, self._flights))
        self._counters, self._notices, self._admission = EventCounters(), Notices(concurrency), Admission(concurrency)
        atexit.register(_end, weakref.ref(self))

    def listen(
        self, source: Source, find_bulkhead: Callable[[], Bulkhead], from_last: bool = False, turn: Turn | None = None
    ) -> Listener:
        """Return a listener to the events after this call, subscribing if there is no subscription.

        from_last: for a stream: begin with the last event, or the value from before the first one; `event_limit` is
        for requests. turn: that of its feed, which ends the wait for a place. find_bulkhead: returns the bulkhead to
        subscribe in. Raises DevFailed, MTANGO_TooManyListeners beyond `event_limit`, and what subscribing raises;
        GivenUp when the turn is over.
        """
        if from_last:
            return self._listen_for_stream(source, find_bulkhead, turn or Turn())
        self._take_place()
        try:
            return self._listen(source, find_bulkhead)
        except BaseException:
            self._return_place()
            raise

    def _listen(self, source: Source, find_bulkhead: Callable[[], Bulkhead]) -> Listener:
        known = self._find(source.key)
        if known:
            end = known.end
            if self._enter(known):
                return Listener(known, end, self._config.event_linger, self._return_place)
        new = self._subscribe(source, find_bulkhead)
        if not self._enter(new):
            raise _given_up(source)
        self._poller.read_first(new)
        return Listener(new, 1, self._config.event_linger, self._return_place)  # number 0 is the value from before

    def _listen_for_stream(self, source: Source, find_bulkhead: Callable[[], Bulkhead], turn: Turn) -> Listener:
        for _ in range(_TRIES):  # the one that is found may just be closing
            subscription = self._find(source.key)
            if subscription is None:
                with self._admission.place(source.url, turn):
                    subscription = self._find(source.key) or self._subscribe(source, find_bulkhead)
            end = subscription.end
            if self._enter(subscription):
                self._poller.read_first(subscription)
                return Listener(subscription, end - 1, _STREAM_LINGER, _nothing)
        raise _given_up(source)

    def _enter(self, subscription: Subscription) -> bool:
        """Count a listener once events can arrive, unless the subscription is closed; return whether it is counted."""
        self._settle(subscription)
        self._poller.begin()  # it has ended if it found nothing to do meanwhile
        return subscription.enter()

    def _subscribe(self, source: Source, find_bulkhead: Callable[[], Bulkhead]) -> Subscription:
        """Return a new subscription, in one call with concurrent callers. Raises DevFailed."""
        self._poller.begin()
        route = Route(source.bulkhead, "subscription", find_bulkhead)
        return self._flights.do(source.key, functools.partial(self._make, source), route)

    def info(self) -> dict[str, int]:
        """Return metrics: subscriptions, how many of them are polled, listeners, and the counters of events."""
        subscriptions = self._poller.subscriptions()
        return {
            "subscriptions": len(subscriptions),
            "polled": sum(subscription.polled for subscription in subscriptions),
            "listeners": sum(subscription.listeners for subscription in subscriptions),
            "received": self._counters.received,
            "missed": self._counters.missed,
            "dropped": self._counters.dropped,
        }

    def last_values(self, url: str, attribute: str) -> Iterator[tuple[tango.DeviceAttribute, float]]:
        """Yield the last value of each subscription and its age in seconds. attribute: its name in lower case."""
        for kind in KINDS:
            known = self._find((url, attribute, kind))
            event = known and known.last()
            if event and event.item is not None:
                yield event.item, (microseconds() - event.came) / 1e6

    def arrival(self, key: Key, time: int) -> int | None:
        """Return when the first kept event of a source with that time arrived, in microseconds since the epoch."""
        known = self._subscriptions.get(key)
        return known.arrival(time) if known else None

    def clear(self) -> None:
        """End all subscriptions, each when its listeners have left; new listeners get new ones."""
        for subscription in self._poller.subscriptions():
            subscription.retire()

    def stop(self) -> None:
        """End the waiting of all listeners."""
        self.stopping = True
        for subscription in self._poller.subscriptions():
            subscription.stop()

    def end(self) -> None:
        """Unsubscribe from everything: an interpreter that exits while events arrive is aborted."""
        for subscription in self._poller.subscriptions():
            for unsubscribe in subscription.take_all():
                with contextlib.suppress(DevFailed):
                    unsubscribe()

    def _find(self, key: Key) -> Subscription | None:
        known = self._subscriptions.get(key)
        return None if known is None or known.retired else known

    def _settle(self, subscription: Subscription) -> None:
        left = subscription.settled - time.monotonic()
        if left > 0:
            self._concurrency.sleep(left)

    def _take_place(self) -> None:
        """Count a request as listening before it waits for anything, so that the limit holds."""
        with self._guard:
            taken = self.places
            if taken < self._config.event_limit:
                self.places += 1
                return
        raise tango_failure("MTANGO_TooManyListeners", f"{taken} requests wait for events already")

    def _return_place(self) -> None:
        with self._guard:
            self.places -= 1

    def _make(self, source: Source) -> Subscription:
        """Make a subscription, in a thread of the pool, unless another caller has just made it."""
        known = self._find(source.key)
        if known:
            return known
        subscription = Subscription(
            source,
            self._config,
            self._connect,
            self._concurrency.signal,
            self._counters,
            self._notices,
            self._poller.event_buffer,
        )
        subscription.begin()
        subscription.unheard_since = time.monotonic()
        self._subscriptions[source.key] = subscription
        self._poller.add(subscription)
        if self.stopping:
            subscription.stop()
        return subscription


def _given_up(source: Source) -> DevFailed:
    return tango_failure("MTANGO_DeviceBusy", f"the subscription to {source.attribute} has just been given up")


def _nothing() -> None:
    return None


def _end(hub: weakref.ref[EventHub]) -> None:
    found = hub()
    if found is not None:
        found.end()
