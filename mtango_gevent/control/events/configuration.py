"""Tango's configuration events: cached metadata of a device is dropped as soon as Tango reports a change.

An attribute whose labels are in use is subscribed to (attribute configuration), and its device as well (interface
change). For devices that send no such events the lifetime of the metadata remains as the limit.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import tango

from mtango_gevent.control.cache import Cache, attribute_key
from mtango_gevent.control.calls import Bulkhead, Concurrency, NativeLock, Partitions
from mtango_gevent.control.events.consumer import subscribe_event
from mtango_gevent.control.events.source import Labels
from mtango_gevent.errors import DevFailed
from mtango_gevent.names import folded
from mtango_gevent.values import enum_labels

logger = logging.getLogger(__name__)

# Subscriptions of a worker for reads: each is a call to the device server every few minutes, and about 10 kB.
MOST = 1_000

# Seconds without use after which a subscription ends, and after which a refused one is tried again.
IDLE_SECONDS = 120.0

_LOOK_SECONDS = 10.0


@dataclasses.dataclass(eq=False)
class _Watched:
    """An attribute, or a device where `attribute` is None.

    used: the last read that needed it; refused: when the subscription failed, both by time.monotonic().
    holders: event subscriptions that need the labels. lock: held while it is subscribed to.
    """

    url: str
    attribute: str | None
    used: float = -math.inf
    refused: float | None = None
    holders: int = 0
    labels: Labels = None
    dropped: bool = False
    unsubscribe: Callable[[], None] | None = None
    lock: threading.Lock = dataclasses.field(default_factory=NativeLock)

    def is_idle(self, since: float) -> bool:
        return not self.holders and (self.used < since or (self.refused is not None and self.refused < since))


class ConfigurationWatch:
    """The subscriptions to configuration events of one application.

    connect: returns a new plain proxy; bulkhead: returns the bulkhead of a device's calls; `attributes` and
    `descriptions` are updated. In a process without a hub only event subscriptions are watched for (`hold`).
    """

    def __init__(
        self,
        concurrency: Concurrency,
        partitions: Partitions,
        connect: Callable[[str], tango.DeviceProxy],
        bulkhead: Callable[[str], Bulkhead],
        attributes: Cache[Any],
        descriptions: Cache[Any],
    ) -> None:
        self._concurrency, self._partitions = concurrency, partitions
        self._connect, self._bulkhead = connect, bulkhead
        self._attributes, self._descriptions = attributes, descriptions
        self._watched: dict[tuple[str, str | None], _Watched] = {}
        self._guard = NativeLock()  # held for dictionary work only
        self._running = False
        atexit.register(_end, weakref.ref(self))

    def use(self, url: str, attribute: str) -> None:
        """Subscribe to the configuration of an attribute that is in use, without waiting for that."""
        if not self._concurrency.in_hub():
            return
        for key in ((url, None), (url, folded(attribute))):
            with self._guard:
                known = self._watched.get(key)
                if known is None and len(self._watched) < MOST:
                    self._watched[key] = new = _Watched(*key, used=time.monotonic())
                    self._concurrency.spawn(self._begin, new)
                elif known:
                    known.used = time.monotonic()
        if not self._running:
            self._running = True
            self._concurrency.spawn(self._run)

    def hold(
        self, url: str, proxy: tango.DeviceProxy, attribute: str | bytes
    ) -> tuple[Callable[[], Labels], Callable[[], None]]:
        """Follow the labels of an enumeration; return functions that return those of now, and that end it.

        Both block their thread. The labels are None where the device server sends no configuration events.
        attribute: the name as PyTango takes it.
        """
        key = url, folded(attribute if isinstance(attribute, str) else attribute.decode("latin-1"))
        with self._guard:
            watched = self._watched.setdefault(key, _Watched(*key))
            watched.holders += 1
        with contextlib.suppress(DevFailed):
            self._subscribe(watched, lambda: proxy, attribute)
        return lambda: watched.labels, functools.partial(self._release, watched)

    def end(self) -> None:
        """Unsubscribe from everything: an interpreter that exits while events arrive is aborted."""
        for watched in list(self._watched.values()):
            unsubscribe = self._drop(watched, force=True)
            if unsubscribe:
                with contextlib.suppress(DevFailed):
                    unsubscribe()

    def _begin(self, watched: _Watched) -> None:
        bulkhead, through = self._bulkhead(watched.url), self._partitions.watching
        subscribe = functools.partial(self._subscribe, watched, lambda: self._connect(watched.url), watched.attribute)
        try:
            bulkhead.call("subscription", subscribe, through=through)
        except DevFailed as refusal:
            logger.debug("no configuration events of %s: %s", watched.url, refusal.args[0].reason)
        finally:
            if not watched.unsubscribe:
                watched.refused = time.monotonic()

    def _subscribe(
        self, watched: _Watched, connect: Callable[[], tango.DeviceProxy], attribute: str | bytes | None
    ) -> None:
        """Subscribe in this thread, unless that is done; undo it if the entry has been dropped meanwhile."""
        with watched.lock:
            if watched.unsubscribe:
                return
            proxy, receive = connect(), functools.partial(self._receive, watched)
            if attribute is None:
                number = subscribe_event(proxy, tango.EventType.INTERFACE_CHANGE_EVENT, receive)
            else:
                number = subscribe_event(proxy, attribute, tango.EventType.ATTR_CONF_EVENT, receive)
            with self._guard:
                watched.unsubscribe, watched.refused = functools.partial(proxy.unsubscribe_event, number), None
            if watched.dropped:
                watched.unsubscribe()

    def _receive(self, watched: _Watched, event: Any) -> None:
        """Called by Tango, in the thread that subscribes or in one of its own; no exception may leave it."""
        is_first = watched.unsubscribe is None  # the event that Tango sends on subscribing is not a change
        if not is_first:
            self._attributes.forget(watched.url)
        if watched.attribute is not None:
            watched.labels = None if event.err else enum_labels(event.attr_conf)
        if event.err or watched.attribute is None:
            self._descriptions.forget(watched.url)
        else:
            self._attributes.ask(watched.url, attribute_key(watched.attribute), lambda: event.attr_conf)

    def _release(self, watched: _Watched) -> None:
        with self._guard:
            watched.holders -= 1
        unsubscribe = self._drop(watched)
        if unsubscribe:
            unsubscribe()

    def _run(self) -> None:
        try:
            while self._watched:
                self._concurrency.sleep(_LOOK_SECONDS)
                self._look()
        finally:
            self._running = False

    def _look(self) -> None:
        for watched in list(self._watched.values()):
            unsubscribe = self._drop(watched)
            if unsubscribe:
                self._concurrency.spawn(self._unsubscribe, watched.url, unsubscribe)

    def _drop(self, watched: _Watched, force: bool = False) -> Callable[[], None] | None:
        """Forget an entry that is idle, and return what is to be called to end its subscription, if it has one yet."""
        with self._guard:
            if watched.dropped or not (force or watched.is_idle(time.monotonic() - IDLE_SECONDS)):
                return None
            del self._watched[watched.url, watched.attribute]
            watched.dropped = True
            return watched.unsubscribe

    def _unsubscribe(self, url: str, unsubscribe: Callable[[], None]) -> None:
        try:
            self._partitions.watching.call("subscription", unsubscribe)
        except DevFailed as failure:
            logger.warning("cannot end the configuration events of %s: %s", url, failure.args[0].reason)


def _end(watch: weakref.ref[ConfigurationWatch]) -> None:
    found = watch()
    if found is not None:
        found.end()
