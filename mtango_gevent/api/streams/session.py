"""The session of a WebSocket: its subscriptions, what it sends and when it ends."""

from __future__ import annotations

import contextvars
import functools
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mtango_gevent.api import guard, hosts, reply
from mtango_gevent.api.access import renew_token
from mtango_gevent.api.query import check_name
from mtango_gevent.api.request_context import RequestContext
from mtango_gevent.api.streams import messages, records
from mtango_gevent.api.streams.frames import Frames, Refused
from mtango_gevent.api.streams.records import Item
from mtango_gevent.api.streams.undescribed import Undescribed
from mtango_gevent.control.events import Record, Stream, StreamClosed
from mtango_gevent.errors import ApiError, DevFailed, describe

logger = logging.getLogger(__name__)

# Seconds between two checks of access and of configurations.
_CHECK_SECONDS = 3.0

# Records, configurations and notices of one frame, and bytes of records after which it is sent.
_MOST_RECORDS, _MOST_BYTES = 100, 256 << 10

# Notices that wait for a client that does not read; until it does, none of its messages is read.
_MOST_NOTICES = 1_000

# Pings without an answer after which a client is gone.
_MOST_PINGS = 2


class Session:
    """One greenlet reads the client's messages (`_read`), one writes (`run`), and a new one checks at times (`_watch`).

    stream: where the events come from; the key of each feed is the id of its subscription.
    """

    def __init__(self, context: RequestContext, stream: Stream, frames: Frames) -> None:
        self._context, self._stream, self._frames = context, stream, frames
        self._config, self._concurrency = context.state.config, stream.concurrency
        self._items, self._undescribed = dict[int, Item](), Undescribed(stream, self._describe)
        self._configurations: list[bytes] = []
        self._notices: list[bytes] = []
        self._pong: str | float | None = None
        self._sequence = self._pings = 0
        self._ping_at = time.monotonic() + self._config.stream_heartbeat

    def run(self) -> None:
        """Serve the client until its connection ends."""
        self._concurrency.spawn(contextvars.copy_context().run, self._read)
        self._watch_later()
        try:
            self._write()
            self._frames.close()
        except OSError:  # the client has gone, or reads nothing
            self._frames.finish(1006, "the client has gone")
        except Exception:
            self._fail()
            self._frames.close()
        finally:
            self._cancel_watch()
            self._frames.abort()
            self._stream.close()

    def _finish(self, code: int, reason: str) -> None:
        self._frames.finish(code, reason)
        self._stream.wake()

    def _fail(self) -> None:
        """End the connection after an error of the gateway. Called where that is handled."""
        logger.exception("a WebSocket failed, request %s", self._context.id)
        self._finish(1011, "internal error of the gateway, see its log")

    # --- writing ---

    def _write(self) -> None:
        while self._goes_on():
            taken = self._stream.take(self._ping_at - time.monotonic(), _MOST_RECORDS)
            if not self._goes_on():
                return
            for _ in self._send(taken):
                self._keep_alive(time.monotonic())
                self._concurrency.sleep(1e-6)  # let others run
                if not self._goes_on():
                    return
            self._keep_alive(time.monotonic())

    def _goes_on(self) -> bool:
        if self._stream.stopping:
            self._frames.finish(1012, "the gateway stops, connect again")
        return self._frames.end is None

    def _send(self, taken: Sequence[Record]) -> Iterator[None]:
        """Send records, and all else that waits; yield between two frames."""
        encoded, size = list[bytes](), 0
        for record in taken:
            if size >= _MOST_BYTES or (encoded and self._is_binary(record)):
                yield from self._send_text(encoded)
                encoded, size = [], 0
                yield
            item = self._item_of(record)
            if item is None:
                continue
            if item.described is None:
                self._undescribed.describe(item, record.event)
            if self._is_binary(record):
                yield from self._send_text([])
                self._send_binary(item, record)
                yield
            else:
                encoded.append(records.encode_record(item, record.event, record.missed))
                size += len(encoded[-1])
        yield from self._send_text(encoded)

    def _is_binary(self, record: Record) -> bool:
        item = self._item_of(record)
        return item is not None and records.is_binary(item, record.event)

    def _item_of(self, record: Record) -> Item | None:
        """Return the subscription of a record, unless it has ended or been replaced."""
        feed = record.feed
        return self._items.get(feed.key) if self._stream.feeds.get(feed.key) is feed else None  # type: ignore[arg-type]

    def _send_binary(self, item: Item, record: Record) -> None:
        self._sequence += 1
        self._frames.send_binary(records.encode_binary(item, record.event, record.missed, self._sequence))

    def _send_text(self, encoded: list[bytes]) -> Iterator[None]:
        """Send frames with records and all else that waits, the configurations of the records not after them."""
        while max(len(self._configurations), len(self._notices)) > _MOST_RECORDS:
            self._send_frame([])
            yield
        self._send_frame(encoded)

    def _send_frame(self, encoded: list[bytes]) -> None:
        """Send a frame with records and some of all else that waits, if there is something."""
        configurations, self._configurations = _split(self._configurations)
        notices, self._notices = _split(self._notices)
        pong, self._pong = self._pong, None
        members = records.encode_members(configurations, encoded, notices, pong)
        if members:
            self._sequence += 1
            self._frames.send_text(b'{"seq":%d,%s}' % (self._sequence, members))

    def _keep_alive(self, now: float) -> None:
        """Answer the client's ping, and ping it when it is time."""
        self._frames.answer_ping()
        if now >= self._ping_at:
            period = self._config.stream_heartbeat
            self._pings = self._pings + 1 if self._frames.heard < self._ping_at - period else 0
            self._ping_at = now + period
            if self._pings > _MOST_PINGS:
                self._frames.finish(1008, f"no answer to {_MOST_PINGS} pings")
                return
            self._frames.ping()

    # --- reading ---

    def _read(self) -> None:
        try:
            for text in self._frames.messages():
                if text is None:
                    self._stream.wake()
                else:
                    self._take_message(text)
            self._finish(1006, "the client has gone")
        except Refused as refused:
            self._finish(*refused.args)
        except StreamClosed:
            pass
        except Exception:
            self._fail()
        self._frames.discard()

    def _take_message(self, text: str) -> None:
        while len(self._notices) > _MOST_NOTICES and not self._is_over:
            self._concurrency.sleep(0.1)
        try:
            message = messages.parse_message(text)
            if message is None:
                raise Refused(1007, "expected a JSON object")
            if message.token is not None:
                renew_token(self._context.environ, message.token)
                self._check_credentials()
            for given in self._until_over(message.unsubscribe):
                self._with_id(given, self._unsubscribe)
            for given in self._until_over(message.subscribe):
                number = given.get("id") if isinstance(given, dict) else None
                self._with_id(number, functools.partial(self._subscribe, given))
            self._pong = message.ping
        except ApiError as error:
            self._note(None, error)
        self._stream.wake()

    @property
    def _is_over(self) -> bool:
        return self._frames.end is not None or self._stream.closed

    def _until_over(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield items in turns, while the connection lasts."""
        return itertools.takewhile(lambda _: not self._is_over, self._concurrency.in_turns(items))

    def _with_id(self, given: object, use: Callable[[int], None]) -> None:
        """Call `use` with the id of a subscription, or note what is wrong with the id."""
        try:
            number = messages.parse_id(given)
        except ApiError as error:
            self._note(None, error)
        else:
            use(number)

    def _subscribe(self, given: dict[str, Any], number: int) -> None:
        """Begin a subscription, in place of one with the same id; note why that is refused."""
        try:
            wish = messages.parse_wish(number, given)
            device = hosts.find_device(wish.host, wish.device)
            self._check_access(device, check_name("attribute", wish.attribute))
            listen = functools.partial(device.listen, wish.attribute, wish.event, from_last=True)
            self._stream.add(number, listen, wish.after, wish.through)
            self._items[number] = Item(number, device, wish.attribute, wish.binary, wish.set_value)
        except (ApiError, DevFailed) as error:
            self._unsubscribe(number)
            self._note(number, error)

    def _unsubscribe(self, number: int) -> None:
        self._items.pop(number, None)
        if number in self._stream.feeds:
            self._stream.remove(number)

    def _note(self, number: int | None, error: Exception) -> None:
        """Tell the client that a subscription has ended, or that a message cannot be used."""
        of = {} if number is None else {"id": number}
        self._notices.append(reply.encode_to_keep({**of, "errors": describe(error)}))

    # --- checks ---

    def _watch_later(self) -> None:
        """Have a new greenlet check after a while: one that waits for that would take 7 kB of each client."""
        self._cancel_watch = self._concurrency.spawn_later(_CHECK_SECONDS, contextvars.copy_context().run, self._watch)

    def _watch(self) -> None:
        """Check, also while the client does not read, and again later, until the connection ends."""
        try:
            self._check()
        except Exception:
            self._fail()
        if not self._is_over:
            self._watch_later()

    def _check(self) -> None:
        """End what the client may no longer read, and tell it of configurations that have changed."""
        self._check_credentials()
        for item in self._concurrency.in_turns(list(self._items.values())):
            self._check_item(item)
        self._stream.wake()

    def _check_credentials(self) -> None:
        """End the connection where the credentials of the handshake are no longer good for it."""
        try:
            guard.check_again(self._context)
        except (ApiError, DevFailed) as refusal:
            status = refusal.status if isinstance(refusal, ApiError) else 503
            self._finish(4000 + status, "; ".join(error["description"] for error in describe(refusal)))

    def _check_access(self, device: Any, attribute: str) -> None:
        for refusal in guard.refusals("read", "attribute", device, [attribute]).values():
            raise refusal

    def _check_item(self, item: Item) -> None:
        if self._items.get(item.id) is not item:
            return
        try:
            self._check_access(item.device, item.attribute)
        except (ApiError, DevFailed) as refusal:
            self._unsubscribe(item.id)
            self._note(item.id, refusal)
            return
        self._describe(item)

    def _describe(self, item: Item) -> None:
        """Have the client told of a configuration that it does not have yet, unless the subscription has ended."""
        info = item.device.known_attribute(item.attribute)
        if info is None or info is item.described or self._items.get(item.id) is not item:
            return
        configuration = records.encode_configuration(item, info)
        if configuration != item.configuration:
            self._configurations.append(configuration)
        item.described, item.configuration = info, configuration


def _split(waiting: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return as many as a frame may have, and the others."""
    return waiting[:_MOST_RECORDS], waiting[_MOST_RECORDS:]
