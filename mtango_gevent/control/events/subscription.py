"""A subscription: has Tango send the events of one attribute, or reads the attribute where Tango sends none.

Tango's events come in a thread of Tango's, by a plain proxy.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mtango_gevent.control.events.buffer import Event
from mtango_gevent.control.events.channel import Channel
from mtango_gevent.control.events.silence import Silence, differ
from mtango_gevent.control.events.source import SETTLING_SECONDS, Source
from mtango_gevent.errors import DevFailed, status_of
from mtango_gevent.values import attach_labels

if TYPE_CHECKING:
    from mtango_gevent.control.events.hub import EventHub

logger = logging.getLogger(__name__)

# For how long an attribute is read before the gateway subscribes to it again.
_POLL_SECONDS = 60.0

# Why Tango sends a failure: it has lost events on their way; the heartbeat of the device server is missing; the device
# server has ceased to poll the attribute.
_MISSED, _SILENT, _NOT_POLLED = "API_MissedEvents", "API_EventTimeout", "API_PollObjNotFound"

# Every ten seconds without a heartbeat Tango reports it, and reads the attribute and passes the value on as an event.
# An event that comes within that time of the report does not prove that events come.
_PROVES_NOTHING = 1.0

# Seconds without such a report after which a new subscription is trusted before its first event.
_CALM = 30.0


class Subscription(Channel):
    """polled: whether the attribute is read at intervals, in place of events that do not come.

    settled: when events come, by time.monotonic().
    """

    def __init__(self, hub: EventHub, source: Source) -> None:
        super().__init__(hub, source)
        self.polled = False
        self.settled = 0.0
        self._silence = Silence(hub.config.event_silence)
        self._withheld: Event | None = None  # Tango's report, to be told where the attribute cannot be read either
        self._silent_at = -_CALM
        self._ask_again = 0.0
        self._serial = 0  # of Tango's subscriptions, one in place of the other
        self._unsubscribe: Callable[[], None] | None = None
        self._labels: Sequence[str] | None = None

    def begin(self) -> None:
        """Have events sent, in place of those of an earlier subscription. Blocks its thread. Raises DevFailed.

        An attribute that sends none is polled from then on.
        """
        proxy, serial = self._hub.connect(self.source.url), self._serial + 1
        self._ask_again = time.monotonic() + _POLL_SECONDS
        try:
            unsubscribe = self.source.subscribe(proxy, functools.partial(self._receive, serial), self._receive_labels)
        except DevFailed as refusal:
            if status_of(refusal) != 400 or not self.source.readable:  # out of reach, or no such attribute
                raise
            self.polled = True
            return
        self._serial, self.settled = serial, time.monotonic() + SETTLING_SECONDS
        earlier, self._unsubscribe = self._unsubscribe, unsubscribe
        if earlier:
            self._hub.unsubscribe(self.source.name, earlier)
        if time.monotonic() - self._silent_at >= _CALM:
            self._trust()

    def poll(self) -> None:
        """Read the attribute, or subscribe to it again when it is time to. Blocks its thread. Raises DevFailed."""
        if self.polled and time.monotonic() > self._ask_again:
            self.begin()
        with self._hub.guard:
            end = self.buffer.end
        item = self.source.read()
        self._look_at(Event.of_value(attach_labels(item, self.source.labels(item))), end)

    def fail(self, failure: DevFailed) -> None:
        """Reading has failed."""
        self._look_at(Event.of_failure(failure), self.buffer.end)

    def is_due(self) -> bool:
        """Whether the attribute is to be read now."""
        if self.polled or self.is_new:
            return True
        listened = self.listeners or time.monotonic() - self.unheard_since < self._hub.config.event_silence
        return bool(listened) and self.source.readable and self._silence.is_due()

    @property
    def is_new(self) -> bool:
        """Whether neither an event has come nor the value that was there before."""
        return not self.buffer

    def end(self) -> Callable[[], None] | None:
        """Guarded. Gives what is still to be done, if anything is."""
        self._ended = True
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        return unsubscribe

    # --- what reading finds ---

    def _look_at(self, found: Event, end: int) -> None:
        """end: that of the buffer when the read began."""
        if self._begin_with(found):
            return
        with self._hub.guard:
            last, is_late = self.buffer.last(), self.buffer.end != end
        if is_late:  # an event has come meanwhile, and is newer
            return
        if self.polled:
            if found.item and last and last.failure:  # perhaps a restart, after which no events come
                self._ask_again = 0.0
            if found.failure or differ(self.source.kind, last, found):
                self._push(found)
        elif self._silence.is_broken(self.source.kind, last, found, self.source.describe):
            self._begin_polling(found, last)

    def _begin_polling(self, found: Event, last: Event | None) -> None:
        logger.info("%s: no events come, the attribute is read", self.source.name)
        self.polled = True
        self._ask_again = time.monotonic() + _POLL_SECONDS
        withheld, self._withheld = self._withheld, None
        if found.failure:
            self._push(withheld or found)
        elif differ(self.source.kind, last, found):
            self._push(found)

    def _trust(self) -> None:
        """Events come."""
        if self.polled:
            logger.info("%s: events come, the attribute is not read any more", self.source.name)
        self.polled, self._withheld = False, None
        self._silence.heard()

    # --- what Tango sends; nothing may escape from here ---

    def _receive(self, serial: int, received: Any) -> None:
        """Called by Tango, in the thread that subscribes or in one of its own."""
        if serial < self._serial:
            return
        reasons = {error.reason for error in received.errors} if received.err else set()
        if _MISSED in reasons:
            self._miss()
        elif reasons & {_SILENT, _NOT_POLLED}:
            self._receive_report(Event.of_failure(DevFailed(*received.errors)), _SILENT in reasons)
        elif received.err:
            self._receive_event(Event.of_failure(DevFailed(*received.errors)), serial)
        elif received.attr_value is not None:
            received.attr_value.name = self.source.attribute  # Tango puts that of its own channel there, in lower case
            self._receive_event(Event.of_value(attach_labels(received.attr_value, self._labels)), serial)

    def _receive_labels(self, labels: Sequence[str] | None) -> None:
        """Called by Tango with the labels of an enumeration; they hold for the events that follow."""
        self._labels = labels

    def _receive_report(self, report: Event, silent: bool) -> None:
        """Tango says that no events come."""
        if silent:
            self._silent_at = time.monotonic()
        if not self.source.readable:
            self._push(report)
            self._hub.retire(self)  # a new listener is told at once, and finds it again as soon as it is back
        elif not self.polled:
            self._withheld = report
            self._silence.distrust()

    def _receive_event(self, event: Event, serial: int) -> None:
        subscribing = serial > self._serial
        if subscribing and self._begin_with(event):
            return
        every = not self.polled and self.source.kind != "alarm"  # else reading may have found it, or it is no alarm
        if not subscribing and time.monotonic() - self._silent_at >= _PROVES_NOTHING:
            self._trust()
        if every or event.failure or differ(self.source.kind, self.buffer.last(), event):
            self._push(event)
