"""Tango's configuration events: kept metadata of a device is dropped as soon as Tango reports a change.

An attribute whose labels are in use is subscribed to (attribute configuration), and its device as well (interface
change). For devices that send no such events the lifetime of the metadata remains as the limit.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import logging
import time
import weakref
from collections.abc import Callable
from typing import Any

import tango

from mtango_gevent.control.calls import Bulkhead, Concurrency, Partitions
from mtango_gevent.control.metadata import Metadata, attribute_key
from mtango_gevent.errors import DevFailed
from mtango_gevent.names import folded

logger = logging.getLogger(__name__)

# Subscriptions of a worker: each is a call to the device server every few minutes, and about 10 kB.
MOST = 1_000

# Seconds without use after which a subscription ends, and after which a refused one is tried again.
IDLE_SECONDS = 120.0

_LOOK_SECONDS = 10.0


@dataclasses.dataclass
class _Watched:
    """An attribute, or a device where `attribute` is None. used, refused: by time.monotonic(). end: unsubscribes."""

    url: str
    attribute: str | None
    used: float
    refused: float | None = None
    end: Callable[[], None] | None = None


class ConfigurationWatch:
    """The subscriptions of one application.

    connect: returns a new plain proxy; bulkhead: returns the bulkhead of a device's calls; `attributes` and
    `descriptions` are
    are kept up to date. A process without a hub subscribes to nothing.
    """

    def __init__(
        self,
        concurrency: Concurrency,
        partitions: Partitions,
        connect: Callable[[str], tango.DeviceProxy],
        bulkhead: Callable[[str], Bulkhead],
        attributes: Metadata,
        descriptions: Metadata,
    ) -> None:
        self._concurrency, self._partitions = concurrency, partitions
        self._connect, self._bulkhead = connect, bulkhead
        self._attributes, self._descriptions = attributes, descriptions
        self._watched: dict[tuple[str, str | None], _Watched] = {}
        self._at_work = False
        atexit.register(_end, weakref.ref(self))

    def use(self, url: str, attribute: str) -> None:
        """The configuration of an attribute is in use: subscribe to its changes, without waiting for that."""
        if not self._concurrency.in_hub():
            return
        for key in ((url, None), (url, folded(attribute))):
            known = self._watched.get(key)
            if known:
                known.used = time.monotonic()
            elif len(self._watched) < MOST:
                self._watched[key] = watched = _Watched(*key, time.monotonic())
                self._concurrency.spawn(self._begin, watched)
        if not self._at_work:
            self._at_work = True
            self._concurrency.spawn(self._work)

    def end(self) -> None:
        """Unsubscribe from all. An interpreter that ends while events come in is aborted."""
        watched, self._watched = self._watched, {}
        for end in filter(None, (each.end for each in watched.values())):
            with contextlib.suppress(DevFailed):
                end()

    def _begin(self, watched: _Watched) -> None:
        bulkhead = self._bulkhead(watched.url)
        try:
            bulkhead.call("subscription", self._subscribe, watched, through=self._partitions.watching)
        except DevFailed as refusal:
            watched.refused = time.monotonic()
            logger.debug("no configuration events of %s: %s", watched.url, refusal.args[0].reason)

    def _subscribe(self, watched: _Watched) -> None:
        """In a thread of the pool, which it blocks."""
        proxy = self._connect(watched.url)
        receive = functools.partial(self._receive, watched)
        if watched.attribute is None:
            number = proxy.subscribe_event(tango.EventType.INTERFACE_CHANGE_EVENT, receive)
        else:
            number = proxy.subscribe_event(watched.attribute, tango.EventType.ATTR_CONF_EVENT, receive)
        watched.end = functools.partial(proxy.unsubscribe_event, number)

    def _receive(self, watched: _Watched, event: Any) -> None:
        """Called by Tango, in the thread that subscribes or in one of its own; nothing may escape from here."""
        is_first = watched.end is None  # the event that Tango sends on subscribing is not a change
        if not is_first:
            self._attributes.forget(watched.url)
        if event.err or watched.attribute is None:
            self._descriptions.forget(watched.url)
        else:
            self._attributes.ask(watched.url, attribute_key(watched.attribute), lambda: event.attr_conf)

    def _work(self) -> None:
        try:
            while self._watched:
                self._concurrency.sleep(_LOOK_SECONDS)
                self._look()
        finally:
            self._at_work = False

    def _look(self) -> None:
        long_ago = time.monotonic() - IDLE_SECONDS
        for key, watched in list(self._watched.items()):
            if watched.used < long_ago or (watched.refused is not None and watched.refused < long_ago):
                del self._watched[key]
                if watched.end:
                    self._concurrency.spawn(self._unsubscribe, watched)

    def _unsubscribe(self, watched: _Watched) -> None:
        assert watched.end
        try:
            self._partitions.watching.call("subscription", watched.end)
        except DevFailed as failure:
            logger.warning("cannot end the configuration events of %s: %s", watched.url, failure.args[0].reason)


def _end(watch: weakref.ref[ConfigurationWatch]) -> None:
    found = watch()
    if found is not None:
        found.end()
