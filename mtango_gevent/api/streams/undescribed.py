"""Asks for configurations that the gateway does not keep any more, while the source of their attribute goes on."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable

from mtango_gevent.api.streams.records import Item
from mtango_gevent.control.events import Event, Stream
from mtango_gevent.errors import ApiError, DevFailed

logger = logging.getLogger(__name__)


class Undescribed:
    """Subscriptions of one connection whose configuration has to be asked for, one after another.

    describe: has the client told of a configuration that is kept.
    """

    def __init__(self, stream: Stream, describe: Callable[[Item], None]) -> None:
        self._stream, self._describe = stream, describe
        self._items: dict[int, Item] = {}

    def describe(self, item: Item, event: Event) -> None:
        """Have the client told of a configuration; where the device answers, it is asked for one that is not kept."""
        self._describe(item)
        if item.described is None and event.item is not None:
            self._ask_later(item)

    def _ask_later(self, item: Item) -> None:
        is_idle = not self._items
        self._items.setdefault(item.id, item)
        if is_idle:
            self._stream.concurrency.spawn(contextvars.copy_context().run, self._ask)

    def _ask(self) -> None:
        while self._items and not self._stream.closed:
            number, item = next(iter(self._items.items()))
            try:
                item.device.ask_attribute(item.attribute)
                self._describe(item)
                self._stream.wake()
            except (ApiError, DevFailed):
                pass  # the next value has it asked for again
            except Exception:  # which would leave the others unasked for
                logger.exception("the configuration of %s cannot be shown", ascii(item.attribute))
            finally:
                del self._items[number]
