"""The event stream of a subscription: server-sent events as long as its client reads them. Contract: v11, 6."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from mtango_gevent.api import connection
from mtango_gevent.api.request_context import RequestContext
from mtango_gevent.api.streams import sse, targets
from mtango_gevent.control.events import Listener, Stream, Turn
from mtango_gevent.errors import ApiError, DevFailed
from mtango_gevent.store import Subscription, Target

# Seconds between two checks whether the client is connected, and whether it may still read what it reads.
_LOOK_EVERY, _CHECK_EVERY = 2.0, 5.0

# Records that are taken together, and bytes after which they are written.
_MOST, _MOST_BYTES = 500, 256 << 10

# Has a function that listens begin where a client was before.
Resume: TypeAlias = Callable[[Callable[..., Listener]], Callable[..., Listener]]


class Ended(Exception):
    """The stream is over. Its text says why."""


class EventStream:
    """The stream of a subscription to one client.

    last: the time of the last event that the client has received, in milliseconds; None for a new client.
    """

    def __init__(
        self,
        context: RequestContext,
        owner: str,
        subscription: Subscription,
        stream: Stream,
        last: int | None,
    ) -> None:
        self._context, self._owner, self._subscription = context, owner, subscription
        self._stream, self._last = stream, last
        self._followed = dict[int, targets.Followed]()  # by event
        self._refused = set[int]()  # the events of which the client has been told so
        self._changed, self._check_at = False, time.monotonic() + _CHECK_EVERY
        self._concurrency = stream.concurrency
        self._follower = context.state.subscriptions.follow(subscription, self._on_change)

    def _on_change(self) -> None:
        self._changed = True
        self._stream.wake()

    def close(self) -> None:
        self._context.state.subscriptions.leave(self._follower)
        self._stream.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield records. The first bytes are there at once, as the client takes the stream for open with them."""
        yield sse.RETRY + sse.comment(f"subscription {self._subscription.id}")
        try:
            yield self._follow_allowed(self._resume()) or sse.HEARTBEAT
            yield from self._go_on()
        except Ended as reason:
            yield sse.comment(str(reason))
        if self._stream.stopping:
            yield sse.RECONNECT

    def _go_on(self) -> Iterator[bytes]:
        """Yield records, and signs of life between them, until the gateway stops or the client is gone."""
        heartbeat, written = self._context.state.config.stream_heartbeat, time.monotonic()
        while not self._stream.stopping:
            began = time.monotonic()
            for found in self._news(max(0.0, min(_LOOK_EVERY, written + heartbeat - began))):
                yield found
                written = time.monotonic()
            if written >= began:
                continue
            if time.monotonic() >= written + heartbeat:
                yield sse.HEARTBEAT
                written = time.monotonic()
            elif connection.is_lost(self._context.environ):
                return

    def _news(self, seconds: float) -> Iterator[bytes]:
        yield from self._take(seconds)
        told = self._check()
        if told:
            yield told

    def _take(self, seconds: float) -> Iterator[bytes]:
        """Yield the next records in the order in which their events have arrived, which `last` relies on."""
        records = [record for record in self._stream.take(seconds, _MOST) if record.feed.key in self._followed]
        piece, size = list[bytes](), 0
        for record in sorted(records, key=lambda record: record.event.came):
            if size >= _MOST_BYTES:
                yield b"".join(piece)
                piece, size = [], 0
                self._concurrency.sleep(1e-6)  # let others run
            number = record.feed.key
            assert isinstance(number, int)
            piece.append(sse.record(number, self._followed[number].device, record.event))
            size += len(piece[-1])
        if piece:
            yield b"".join(piece)

    # --- what is followed ---

    def _check(self) -> bytes:
        """Take in changes of the subscription and of access; return the records that tell of them. Raises Ended."""
        is_due = time.monotonic() >= self._check_at
        if not (self._changed or is_due):
            return b""
        if is_due:
            self._check_at = time.monotonic() + _CHECK_EVERY
            self._check_client()
        if self._changed:
            self._changed = False  # first, as it may change again meanwhile
            if not self._read_again():
                self._changed = True
        return self._follow_allowed()

    def _check_client(self) -> None:
        """Raise Ended where the credentials of the client are not valid any more."""
        context, access = self._context, self._context.state.access
        if access.is_open:
            return
        try:
            identity = access.authenticate(context.environ)
        except ApiError as refusal:
            raise Ended(refusal.description) from None
        if identity.is_anonymous and not context.identity.is_anonymous:  # a cookie is ignored when it has expired
            raise Ended("the token has expired, make the subscription again")
        context.identity = identity

    def _read_again(self) -> bool:
        """Read the changed subscription; return whether the store could be asked. Raises Ended without it."""
        try:
            found = self._context.state.subscriptions.read(self._subscription.id, self._owner)
        except (ApiError, DevFailed):
            return False
        if found is None:
            raise Ended("the subscription has been deleted")
        self._subscription = found
        for event in self._followed.keys() - found.events.keys():
            self._leave(event)
        return True

    def _follow_allowed(self, resume: Resume | None = None) -> bytes:
        """Follow all that the client may read, and nothing else; return a record for each refusal that is new."""
        told = list[bytes]()
        for event, target in self._concurrency.in_turns(self._subscription.events.items()):
            problem = self._follow(event, target, resume)
            if problem is None:
                self._refused.discard(event)
            elif event not in self._refused:
                self._leave(event)
                self._refused.add(event)
                told.append(sse.refusal(event, problem))
        return b"".join(told)

    def _follow(self, event: int, target: Target, resume: Resume | None) -> Exception | None:
        """Follow a target, unless it is followed already; return why the client may not, or it cannot be."""
        try:
            followed = self._find(event, target)
            refusal = targets.refusal(followed)
            if refusal is None and event not in self._stream.feeds:
                listen = functools.partial(followed.device.listen, followed.attribute, followed.kind, from_last=True)
                self._stream.add(event, resume(listen) if resume else listen)
            return refusal
        except (ApiError, DevFailed) as problem:
            return problem

    def _find(self, event: int, target: Target) -> targets.Followed:
        if event not in self._followed:
            self._followed[event] = targets.find(target)
        return self._followed[event]

    def _leave(self, event: int) -> None:
        self._followed.pop(event, None)
        self._refused.discard(event)
        if event in self._stream.feeds:
            self._stream.remove(event)

    # --- where a client continues ---

    def _resume(self) -> Resume | None:
        """Return what makes a function that listens begin where the client was; None for a new client."""
        if self._last is None:
            return None
        return functools.partial(_Resuming, self._arrival(self._last), self._last)

    def _arrival(self, last: int) -> int | None:
        """Return when the last event that the client has received arrived here; None if it is not kept here."""
        arrivals = list[int]()
        for event, target in self._concurrency.in_turns(self._subscription.events.items()):
            with contextlib.suppress(ApiError, DevFailed):  # told when it is to be followed
                found = self._find(event, target)
                came = found.device.event_arrival(found.attribute, found.kind, last)
                arrivals += [] if came is None else [came]
        return min(arrivals, default=None)


class _Resuming:
    """Listens; the first time where a client continues that was connected before."""

    __slots__ = ("_came", "_is_new", "_last", "_listen")

    def __init__(self, came: int | None, last: int, listen: Callable[..., Listener]) -> None:
        self._came, self._last, self._listen, self._is_new = came, last, listen, True

    def __call__(self, turn: Turn) -> Listener:
        listener = self._listen(turn=turn)
        if self._is_new:
            listener.resume(self._came, self._last)
            self._is_new = False
        return listener
