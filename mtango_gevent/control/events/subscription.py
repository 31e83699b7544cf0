"""A subscription: Tango sends the events of one attribute, or the attribute is read where Tango sends none.

Tango calls back in a thread of its own.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

import tango

from mtango_gevent.config import Config
from mtango_gevent.control.calls import Signal
from mtango_gevent.control.events.buffer import Event
from mtango_gevent.control.events.channel import Channel, EventCounters
from mtango_gevent.control.events.notices import Notices
from mtango_gevent.control.events.silence import Silence, differ, is_unreachable
from mtango_gevent.control.events.source import SETTLING_SECONDS, Labels, Source
from mtango_gevent.errors import DevFailed, status_of
from mtango_gevent.values import attach_labels

logger = logging.getLogger(__name__)

# Seconds for which an attribute is read before the gateway subscribes to it again.
_POLL_SECONDS = 60.0

# Reasons of the failures that Tango itself sends as events: it has lost events; the heartbeat of the device server is
# missing; the device server does not poll the attribute any more.
_MISSED, _SILENT, _NOT_POLLED = "API_MissedEvents", "API_EventTimeout", "API_PollObjNotFound"

# While the heartbeat is missing, Tango reports it every ten seconds, reads the attribute and passes the value on as an
# event. An event within this many seconds of such a report does not prove that events arrive.
_PROVES_NOTHING = 1.0

# Seconds without such a report after which a new subscription is trusted before its first event.
_CALM = 30.0


class Subscription(Channel):
    """A channel with its source.

    connect: returns a new plain proxy of a device. polled: whether the attribute is read at intervals, in place of
    events that do not arrive. settled: when events can arrive, by time.monotonic().
    """

    def __init__(
        self,
        source: Source,
        config: Config,
        connect: Callable[[str], tango.DeviceProxy],
        make_signal: Callable[[], Signal],
        counters: EventCounters,
        notices: Notices,
        length: Callable[[], int],
    ) -> None:
        super().__init__(source, config, make_signal, counters, notices, length)
        self.polled = False
        self.settled = 0.0
        self._connect = connect
        self._allowed_silence = config.event_silence
        self._silence = Silence(config.event_silence)
        self._withheld: Event | None = None  # Tango's report, sent to listeners only if reading fails too
        self._silent_at = -_CALM
        self._subscribe_at = 0.0
        self._serial = 0  # of Tango's subscriptions, which replace each other
        self._unsubscribe: Callable[[], None] | None = None
        self._replaced: list[Callable[[], None]] = []  # end Tango's earlier subscriptions

    def begin(self) -> None:
        """Subscribe, in place of an earlier subscription. Blocks its thread. Raises DevFailed.

        An attribute that sends no events is polled from then on.
        """
        serial = self._serial + 1
        self._subscribe_at = time.monotonic() + _POLL_SECONDS
        try:
            unsubscribe = self.source.subscribe(
                self._connect(self.source.url), functools.partial(self._receive, serial)
            )
        except DevFailed as refusal:
            if status_of(refusal) != 400 or not self.source.readable:  # out of reach, or no such attribute
                raise
            self.polled = True
            return
        self._serial, self.settled = serial, time.monotonic() + SETTLING_SECONDS
        with self._guard:
            self._replaced += [self._unsubscribe] if self._unsubscribe else []
            self._unsubscribe = unsubscribe
        if time.monotonic() - self._silent_at >= _CALM:
            self._trust()

    def poll(self) -> None:
        """Read the attribute, or subscribe to it again when that is due. Blocks its thread. Raises DevFailed."""
        if self.polled and time.monotonic() > self._subscribe_at:
            self.begin()
        end = self.end
        item = self.source.read()
        found = attach_labels(item, self.source.labels(item))
        self._check(Event.of_value(found, was_read=self.source.readable), end)  # a user event is no value of a read

    def fail(self, failure: DevFailed) -> None:
        """Take in that reading has failed."""
        self._check(Event.of_failure(failure), self.end)

    def is_due(self) -> bool:
        """Return whether the attribute is to be read now."""
        if self.polled or self.is_new:
            return True
        return not self.is_unheard(time.monotonic() - self._allowed_silence) and self._silence.is_due()

    @property
    def is_new(self) -> bool:
        """Whether neither an event has arrived nor the value from before the first event."""
        return not self._buffer

    def take_replaced(self) -> list[Callable[[], None]]:
        """Return the functions that end Tango's earlier subscriptions."""
        with self._guard:
            replaced, self._replaced = self._replaced, []
        return replaced

    def take_all(self) -> list[Callable[[], None]]:
        """Return the functions that end all of Tango's subscriptions."""
        with self._guard:
            unsubscribe, self._unsubscribe = self._unsubscribe, None
        return self.take_replaced() + ([unsubscribe] if unsubscribe else [])

    # --- results of reading ---

    def _check(self, found: Event, end: int) -> None:
        """Compare what was read with the last event; end: number of the next event when the read began."""
        if self._begin_with(found):
            return
        with self._guard:
            last, is_late = self._buffer.last(), self._buffer.end != end
        if is_late:  # an event has arrived meanwhile, and is newer
            return
        if not self.source.readable:  # it was read to find out whether the device is there
            self._silence.heard()
            if is_unreachable(found) and not self.retired:
                self._receive_report(found, silent=False)
            return
        if self.polled:
            if found.item and last and last.failure:  # perhaps after a restart, with which the subscription ended
                self._subscribe_at = 0.0
            if found.failure or differ(self.source.kind, last, found):
                self._push(found)
        elif self._silence.is_broken(self.source.kind, last, found, self.source.describe):
            self._begin_polling(found, last)

    def _begin_polling(self, found: Event, last: Event | None) -> None:
        logger.info("%s: no events arrive, the attribute is polled", self.source.name)
        self.polled = True
        self._subscribe_at = time.monotonic() + _POLL_SECONDS
        withheld, self._withheld = self._withheld, None
        if found.failure:
            self._push(withheld or found)
        elif differ(self.source.kind, last, found):
            self._push(found)

    def _trust(self) -> None:
        """Rely on events again."""
        if self.polled:
            logger.info("%s: events arrive, the attribute is not polled any more", self.source.name)
        self.polled, self._withheld = False, None
        self._silence.heard()

    # --- callbacks of Tango, which no exception may leave ---

    def _receive(self, serial: int, received: Any, labels: Labels = None) -> None:
        """Take in an event; called in the thread that subscribes or in one of Tango's. labels: those of its value."""
        if serial < self._serial:
            return
        reasons = {error.reason for error in received.errors} if received.err else set[str]()
        if _MISSED in reasons:
            self._miss()
        elif reasons & {_SILENT, _NOT_POLLED}:
            self._receive_report(Event.of_failure(DevFailed(*received.errors)), _SILENT in reasons)
        elif received.err:
            self._receive_event(Event.of_failure(DevFailed(*received.errors)), serial)
        elif received.attr_value is not None:
            received.attr_value.name = self.source.attribute  # Tango sets the name of its channel, in lower case
            item = attach_labels(received.attr_value, labels)
            self._receive_event(Event.of_value(item, was_read=serial > self._serial), serial)

    def _receive_report(self, report: Event, silent: bool) -> None:
        """Take in Tango's report that no events arrive."""
        if silent:
            self._silent_at = time.monotonic()
        if not self.source.readable:
            self._push(report)
            self.retire()  # a new listener gets the failure at once, or a new subscription that works
        elif not self.polled:
            self._withheld = report
            self._silence.distrust()

    def _receive_event(self, event: Event, serial: int) -> None:
        subscribing = serial > self._serial
        if subscribing and self.is_new:  # an event between it and the settling may be lost: it is read again then
            return
        was_polled = self.polled
        if not subscribing and time.monotonic() - self._silent_at >= _PROVES_NOTHING:
            self._trust()
        # A polled value may be this event already; Tango's change events are not all alarm events.
        if (
            (not was_polled and self.source.kind != "alarm")
            or event.failure
            or differ(self.source.kind, self.last(), event)
        ):
            self._push(event)
