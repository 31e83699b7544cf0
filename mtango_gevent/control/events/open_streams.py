"""The open streams of one application: their limits, and what an operator sees of them."""

from __future__ import annotations

import os
from typing import Any

from mtango_gevent.config import Config
from mtango_gevent.control.calls import Concurrency, NativeLock
from mtango_gevent.control.events.feed import Feed
from mtango_gevent.control.events.stream import Stream, StreamClient
from mtango_gevent.errors import tango_failure

# The feeds of all streams of a worker are at most so many times those of one stream.
_FULL_STREAMS = 10

# Feeds in the status of one stream, and of all streams of a worker.
_FEEDS_OF_A_STREAM, _FEEDS_OF_A_WORKER = 100, 5000


class OpenStreams:
    """The open streams: at most `stream_limit`, and `stream_client_limit` of one user or address."""

    def __init__(self, config: Config, concurrency: Concurrency) -> None:
        self.stopping = self._had_streams = False
        self._config, self._concurrency = config, concurrency
        self._guard = NativeLock()
        self._streams = dict[Stream, None]()
        self._feeds = 0
        self._sent = self._dropped = 0  # by streams that are closed

    def open(self, transport: str, user: str, address: str) -> Stream:
        """Return a new stream, which its `close` removes. transport: `sse` or `websocket`; user: empty if anonymous.

        Raises DevFailed, MTANGO_TooManyStreams.
        """
        client = StreamClient(transport, user, address)
        stream, config = Stream(self._concurrency, client, self), self._config
        with self._guard:
            total = len(self._streams)
            own = sum(each.client.owner == client.owner for each in self._streams)
            if total < config.stream_limit and own < config.stream_client_limit:
                self._streams[stream] = None
                stream.stopping = self.stopping
                return stream
        text = f"{total} streams of this worker are open already, {own} of them by {client.owner}"
        raise tango_failure("MTANGO_TooManyStreams", text)

    def stop(self) -> None:
        """Have all clients connect again."""
        self.stopping = True
        for stream in self._all():
            stream.stop()

    def info(self) -> dict[str, float]:
        """Return metrics."""
        streams = self._all()
        return {
            "open": len(streams),
            "feeds": self._feeds,
            "sent": self._sent + sum(stream.sent for stream in streams),
            "dropped": self._dropped + sum(stream.dropped for stream in streams),
            "lag": max((stream.lag for stream in streams), default=0.0),
        }

    def changes(self) -> bool:
        """Return whether the status may have changed since the last call."""
        before, self._had_streams = self._had_streams, bool(self._streams)
        return before or self._had_streams

    def status(self) -> list[dict[str, Any]]:
        """Return a row for each stream; other greenlets run meanwhile."""
        rows, left = list[dict[str, Any]](), _FEEDS_OF_A_WORKER
        for stream in self._concurrency.in_turns(self._all()):
            rows.append(_shape_stream(stream, min(left, _FEEDS_OF_A_STREAM)))
            left -= len(rows[-1]["feeds"])
        return rows

    # --- for the streams ---

    def take_place(self, stream: Stream) -> None:
        """Count a further feed of a stream. Raises DevFailed, MTANGO_TooManyItems."""
        limit = self._config.stream_items
        with self._guard:
            full = stream.places >= limit, self._feeds >= _FULL_STREAMS * limit
            if not any(full):
                stream.places += 1
                self._feeds += 1
        if any(full):
            of = "one stream" if full[0] else f"{_FULL_STREAMS} streams of a worker together"
            raise tango_failure("MTANGO_TooManyItems", f"expected at most {limit} attributes in {of}")

    def return_place(self, stream: Stream) -> None:
        with self._guard:
            stream.places -= 1
            self._feeds -= 1

    def remove(self, stream: Stream) -> None:
        with self._guard:
            if stream in self._streams:
                del self._streams[stream]
                self._sent += stream.sent
                self._dropped += stream.dropped

    def _all(self) -> list[Stream]:
        with self._guard:
            return list(self._streams)


def _shape_stream(stream: Stream, most: int) -> dict[str, Any]:
    feeds = list(stream.feeds.values())
    return {
        "id": stream.id,
        "worker": os.getpid(),
        "transport": stream.client.transport,
        "user": stream.client.user or None,
        "address": stream.client.address,
        "since": stream.since,
        "sent": stream.sent,
        "dropped": stream.dropped,
        "lag": stream.lag,
        "attributes": len(feeds),
        "feeds": [_shape_feed(feed) for feed in feeds[:most]],
    }


def _shape_feed(feed: Feed) -> dict[str, Any]:
    source = feed.source
    return {
        "source": source.name if source else str(feed.key),
        "since": feed.since,
        "sent": feed.sent,
        "dropped": feed.dropped,
        "failure": feed.failure or None,
    }
