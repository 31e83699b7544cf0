"""Applications with streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from webtest import TestApp

from mtango_gevent.demo.embedded import EmbeddedTango
from tests.api.streams.sse import EventSource
from tests.waiting import wait_until

SUBSCRIPTIONS = "/tango/subscriptions"


class Streams:
    """A client of an application, and its open streams."""

    def __init__(self, client: TestApp, tango_host: str) -> None:
        self.client, self.tango_host, self._open = client, tango_host, list[EventSource]()

    def target(self, attribute: str, device: str = "test/sender/1", kind: str = "change") -> dict[str, str]:
        return {"host": self.tango_host, "device": device, "attribute": attribute, "type": kind}

    def create(self, *targets: dict[str, str], **options: Any) -> Any:
        return self.client.post_json(SUBSCRIPTIONS, list(targets), **options).json

    def follow(self, subscription: int, query: str = "", **headers: str) -> EventSource:
        url = f"{SUBSCRIPTIONS}/{subscription}/event-stream{query}"
        source = EventSource(self.client.app, url, {name.replace("_", "-"): text for name, text in headers.items()})
        self._open.append(source)
        return source

    def end(self) -> None:
        """Close the streams, and let the application listen to nothing."""
        for source in self._open:
            source.close()
        tango_client = self.client.app.extensions["mtango"].client
        tango_client.events.clear()
        wait_until(lambda: not tango_client.events.info()["subscriptions"])


@pytest.fixture
def make_streams(make_client: Callable[..., TestApp], tango_system: EmbeddedTango) -> Iterator[Callable[..., Streams]]:
    made: list[Streams] = []

    def make(**settings: Any) -> Streams:
        quick = {"stream_heartbeat": 0.2, "event_poll_period": 0.05, "event_linger": 0.0}
        made.append(Streams(make_client(**{**quick, **settings}), tango_system.tango_host))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def streams(make_streams: Callable[..., Streams]) -> Streams:
    return make_streams()
